"""Post-start hooks: once per server, taken over when the worker that runs them dies."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server import hooks as module
from apiserver_workers.server.hooks import Hook, Hooks

from tests.running import eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "LOCK_INTERVAL", 0.02)
    monkeypatch.setattr(module, "FIRST_RETRY", 0.01)


def writer(path: Path, line: str):
    async def run() -> None:
        with path.open("a") as file:
            file.write(line + "\n")

    return run


def test_one_of_several_workers_runs_the_hooks_and_all_know(tmp_path):
    async def scenario():
        ran = tmp_path / "ran"
        workers = [
            Hooks(
                str(tmp_path),
                "core",
                start_id="1",
                hooks=[Hook("one", writer(ran, "one")), Hook("two", writer(ran, "two"))],
            )
            for _ in range(3)
        ]
        for worker in workers:
            await worker.start()
        await eventually(lambda: all(worker.checks() == {"one": "", "two": ""} for worker in workers))
        assert sorted(ran.read_text().split()) == ["one", "two"]
        assert sum(worker.runs_here for worker in workers) == 1
        for worker in workers:
            await worker.stop()

    asyncio.run(scenario())


def test_a_hook_waits_for_those_before_it_and_a_failing_one_is_tried_again(tmp_path):
    async def scenario():
        order: list[str] = []

        async def first() -> None:
            order.append("first")
            if len(order) < 3:
                raise ValueError("not yet")

        async def second() -> None:
            order.append("second")

        hooks = [Hook("second", second, after=("first",)), Hook("first", first)]
        worker = Hooks(str(tmp_path), "core", start_id="1", hooks=hooks)
        other = Hooks(str(tmp_path), "core", start_id="1", hooks=hooks)
        await worker.start()
        await eventually(lambda: worker.checks()["first"] == "not yet")
        await other.start()
        await eventually(lambda: other.checks() == {"second": "", "first": ""})
        assert order == ["first", "first", "first", "second"]
        await worker.stop()
        await other.stop()

    asyncio.run(scenario())


def test_an_interval_repeats_a_hook(tmp_path):
    async def scenario():
        ran = tmp_path / "ran"
        worker = Hooks(str(tmp_path), "core", start_id="1", hooks=[Hook("one", writer(ran, "x"), interval=0.01)])
        await worker.start()
        await eventually(lambda: ran.exists() and len(ran.read_text().split()) > 3)
        await worker.stop()
        count = len(ran.read_text().split())
        await asyncio.sleep(0.05)
        assert len(ran.read_text().split()) == count

    asyncio.run(scenario())


def test_a_new_start_of_the_server_runs_its_hooks_again(tmp_path):
    async def scenario():
        ran = tmp_path / "ran"
        for start_id in ("1", "2"):
            worker = Hooks(str(tmp_path), "core", start_id=start_id, hooks=[Hook("one", writer(ran, start_id))])
            await worker.start()
            await eventually(lambda worker=worker: worker.checks() == {"one": ""})
            await worker.stop()
        assert ran.read_text().split() == ["1", "2"]

    asyncio.run(scenario())


def run_worker(run_dir: str, label: str) -> None:
    async def main() -> None:
        ran = Path(run_dir) / "ran"
        hooks = [
            Hook("once", writer(ran, f"once-{label}")),
            Hook("often", writer(ran, f"often-{label}"), interval=0.02),
        ]
        await Hooks(run_dir, "core", start_id="1", hooks=hooks).start()
        await asyncio.sleep(60)

    asyncio.run(main())


def test_a_killed_workers_hooks_are_taken_over_and_what_was_done_stays_done(tmp_path):
    context = multiprocessing.get_context("spawn")
    ran = tmp_path / "ran"
    first, second = (context.Process(target=run_worker, args=(str(tmp_path), name)) for name in ("a", "b"))
    try:
        first.start()
        asyncio.run(eventually(lambda: ran.exists() and "often-a" in ran.read_text(), 20))
        second.start()
        asyncio.run(eventually(lambda: ran.read_text().count("often-a") > 20, 20))
        assert "-b" not in ran.read_text()
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        asyncio.run(eventually(lambda: "often-b" in ran.read_text(), 20))
        assert ran.read_text().count("once") == 1
    finally:
        for process in (first, second):
            if process.pid is not None:
                process.kill()
                process.join()


@pytest.mark.parametrize(
    ("interval", "error", "ready"),
    [
        (0.05, ApiError(403, "Forbidden", "no"), True),
        (0.05, ConnectionError("etcd"), False),
        (0.0, ApiError(403, "Forbidden", "no"), False),
    ],
)
def test_a_hook_that_goes_on_does_not_hold_the_server_up_when_its_writes_are_refused(tmp_path, interval, error, ready):
    async def scenario():
        calls = 0

        async def refused() -> None:
            nonlocal calls
            calls += 1
            raise error

        hooks = Hooks(str(tmp_path), "core", start_id="1", hooks=[Hook("refused", refused, interval)])
        await hooks.start()
        await eventually(lambda: calls > module.MOST_REFUSALS + 1)
        assert (hooks.checks() == {"refused": ""}) is ready
        seen = calls
        await eventually(lambda: calls > seen)
        await hooks.stop()

    asyncio.run(scenario())
