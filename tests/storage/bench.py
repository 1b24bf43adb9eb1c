"""CPU per storage call (this process only), on an etcd of its own."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.watch_cache import EtcdWatchCache

from tests.storage.etcd_process import EtcdProcess
from tests.storage.objects import value

CLIENTS = 32
PODS = "/registry/pods/"


async def measure(name: str, total: int, work: Callable[[], Awaitable[object]]) -> None:
    """Run `work`, which does `total` calls, and print what one of them costs."""
    cpu, wall = time.process_time(), time.perf_counter()
    await work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{name:38} {cpu / total * 1e6:9.1f} µs CPU {wall / total * 1e6:9.1f} µs wall")


async def clients(call: Callable[[int], Awaitable[object]], calls: int) -> None:
    async def one(client: int) -> None:
        for number in range(client, calls, CLIENTS):
            await call(number)

    await asyncio.gather(*(one(client) for client in range(CLIENTS)))


async def run(url: str, calls: int) -> None:
    storage = EtcdStorage([url])
    stored = value("a", "x" * 500)

    async def create(number: int) -> None:
        await storage.create(f"{PODS}n{number % 7}/{number:06}", stored)

    await measure(f"create, {CLIENTS} clients", calls, lambda: clients(create, calls))
    await measure(f"get, {CLIENTS} clients", calls, lambda: clients(lambda n: storage.get(f"{PODS}n/{n}"), calls))
    await measure("read index, one client", 1000, lambda: clients_of_one(storage.current_revision, 1000))
    cache = EtcdWatchCache(storage, keep=("pods",))
    await measure(f"load {calls} objects", calls, cache.start)
    pods = cache.resource("pods")
    await measure(f"fresh, {CLIENTS} clients", calls, lambda: clients(lambda n: pods.fresh(), calls))

    async def join() -> None:
        pods.list_body(PODS)

    await measure(f"list body, {calls} objects, first", 1, join)
    await measure(f"list body, {calls} objects, again", 1, join)
    await fan_out(storage, pods, 1000)
    await cache.stop()
    await storage.close()


async def clients_of_one(call: Callable[[], Awaitable[object]], calls: int) -> None:
    for _ in range(calls):
        await call()


async def fan_out(storage: EtcdStorage, pods: object, watchers: int) -> None:
    """Deliver 100 events to each of many watchers."""
    left = 100 * watchers
    subscriptions = [await pods.watch(PODS, pods.revision) for _ in range(watchers)]  # type: ignore[attr-defined]
    done = asyncio.Event()

    async def read(subscription: object) -> None:
        nonlocal left
        async for events in subscription:  # type: ignore[attr-defined]
            left -= len(events)
            if not left:
                done.set()

    tasks = [asyncio.create_task(read(subscription)) for subscription in subscriptions]

    async def write() -> None:
        for number in range(100):
            await storage.create(f"{PODS}fan/{number}", value())
        await done.wait()

    await measure(f"event, {watchers} watchers", left, write)
    await asyncio.gather(*(subscription.aclose() for subscription in subscriptions), *tasks)


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    with tempfile.TemporaryDirectory() as folder:
        etcd = EtcdProcess(Path(folder))
        etcd.start()
        try:
            uvloop.run(run(etcd.url, calls))
        finally:
            etcd.kill()


if __name__ == "__main__":
    main()
