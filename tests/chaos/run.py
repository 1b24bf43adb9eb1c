"""One run: servers, clients, faults one after the other, then the judgement."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import linearizability
from tests.chaos.faults import Scene, kinds, strike
from tests.chaos.load import CONFIG_MAPS, KEYS, LONG, LONG_OBJECTS, NAMESPACE, SECRETS, Maker, Reader, Swapper, Watcher
from tests.chaos.records import Records, judge
from tests.reconcilers.members import EtcdCluster
from tests.running import RunningServer, wait_for
from tests.storage.etcd_process import free_port

CATCH_UP = 30.0
LAST = "last"


@dataclass
class Plan:
    """What to run. Everything random follows from `seed`."""

    seconds: float = 300.0
    seed: int = 1
    servers: int = 2
    members: int = 3  # of etcd, which all servers share; with 0 each of one server has its own
    clients: int = 2  # of each kind
    only: str = ""  # a pattern of the kinds of faults
    say: Callable[[str], None] = field(default=print)


@dataclass
class Report:
    """What happened, and what must not have."""

    faults: Counter[str]
    counts: dict[str, int]
    violations: list[tuple[str, str]]

    def text(self) -> str:
        lines = ["faults:"] + [f"  {number:5}  {kind}" for kind, number in sorted(self.faults.items())]
        lines += ["load:"] + [f"  {number:5}  {what}" for what, number in sorted(self.counts.items())]
        found = Counter(kind for kind, _ in self.violations)
        lines += [f"violations: {len(self.violations)}"] + [f"  {number:5}  {kind}" for kind, number in found.items()]
        lines += [f"{kind}: {text}" for kind, text in self.violations[:100]]
        return "\n".join(lines)


def run(plan: Plan, folder: Path) -> Report:
    """Run it in `folder`."""
    records = Records()
    marker = f"chaos-{os.getpid()}-{plan.seed}"
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(folder)) if plan.members else None
        servers = [
            stack.enter_context(_server(folder, number, marker, etcd.urls if etcd else []))
            for number in range(plan.servers if etcd else 1)
        ]
        run_dirs = [server.run_dir for server in servers]
        scene = Scene(servers, etcd, random.Random(plan.seed), records)
        _load_and_faults(plan, scene)
        for server in servers:
            if server.stop(90):
                records.violate("commands failed", "a server did not stop with status 0")
        _left_behind(records, marker, run_dirs)
    return Report(Counter(fault.kind for fault in records.faults), records.counts, judge(records))


@contextmanager
def _etcd(folder: Path) -> Iterator[EtcdCluster]:
    cluster = EtcdCluster(folder / "etcd")
    try:
        yield cluster
    finally:
        cluster.kill()


def _server(folder: Path, number: int, marker: str, etcd: list[str]) -> RunningServer:
    flags = [
        f"--instance={marker}-{number}",
        f"--advertise-address=192.0.2.{10 + number}",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        "--core-workers=2",
    ]
    if etcd:
        flags.append(f"--etcd-servers={','.join(etcd)}")
    return RunningServer(folder / f"server{number}", *flags)


def _load_and_faults(plan: Plan, scene: Scene) -> None:
    servers, records = scene.servers, scene.records
    version = _prepare(servers[0])
    makers = [Maker(servers, records, plan.seed * 1000 + n, n) for n in range(plan.clients)]
    swappers = [Swapper(servers, records, plan.seed * 2000 + n, n) for n in range(plan.clients + 1)]
    readers = [Reader(servers, records, plan.seed * 3000 + n) for n in range(plan.clients)]
    for reader in readers:
        reader.made = lambda: [name for maker in makers for name in maker.made[-50:]]
    watchers = [
        Watcher(server, number, path, version, records)
        for number, server in enumerate(servers)
        for path in (SECRETS, CONFIG_MAPS)
    ]
    clients = [*makers, *swappers, *readers]
    for thread in (*clients, *watchers):
        thread.start()
    _strike_until(time.monotonic() + plan.seconds, plan, scene)
    for client in clients:
        client.stop()
    for client in clients:
        client.join(60)
        if client.is_alive():
            records.violate("clients hang", type(client).__name__)
    _check_objects(servers[0], makers, watchers, records)
    _check_histories(swappers, records)


def _prepare(server: RunningServer) -> int:
    """The namespace and the keys; the resourceVersion after which the watches begin."""
    assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})[0] == 201
    assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": f"{NAMESPACE}-long"}})[0] == 201
    for number in range(LONG_OBJECTS):
        obj = {"metadata": {"name": f"long-{number}"}, "data": {"x": "x" * 10_000}}
        assert server.request("POST", LONG, obj)[0] == 201
    for key in KEYS:
        assert server.request("POST", CONFIG_MAPS, {"metadata": {"name": key}, "data": {"value": "0"}})[0] == 201
    return int(json.loads(server.request("GET", CONFIG_MAPS)[1])["metadata"]["resourceVersion"])


def _strike_until(until: float, plan: Plan, scene: Scene) -> None:
    order: list[str] = []
    while time.monotonic() < until:
        order = order or kinds(etcd=scene.etcd is not None, only=plan.only, chance=scene.chance)
        kind = order.pop()
        began = time.monotonic()
        strike(scene, kind)
        plan.say(f"{until - time.monotonic():6.1f} s left: {kind}, {time.monotonic() - began:.1f} s")
        time.sleep(scene.chance.uniform(0.2, 1.0))


def _check_objects(server: RunningServer, makers: list[Maker], watchers: list[Watcher], records: Records) -> None:
    """What was acknowledged is there, and every watch has seen all that is there, once."""
    for path in (SECRETS, CONFIG_MAPS):
        status, answer = server.request("POST", path, {"metadata": {"name": LAST}}, timeout=30)
        if status != 201:
            records.violate("not well again", f"the last creation: {status} {answer!r}")
    listed = json.loads(server.request("GET", SECRETS, timeout=30)[1])["items"]
    there = {item["metadata"]["name"] for item in listed}
    made = {name for maker in makers for name in maker.made}
    unknown = {name for maker in makers for name in maker.unknown}
    for name in made - there:
        records.violate("acknowledged writes lost", name)
    for name in there - made - unknown - {LAST}:
        records.violate("wrong answers", f"{name} was refused, but is there")
    for watcher in watchers:
        try:
            wait_for(lambda w=watcher: any(name == LAST for _, name, _ in w.seen), CATCH_UP, "the last event")
        except AssertionError:
            records.violate("watch gaps", f"{watcher.path}: the last event does not come")
        watcher.stop()
        watcher.join(10)
        if watcher.path == SECRETS:
            seen = Counter(name for _, name, _ in watcher.seen)
            for name in there - seen.keys():
                records.violate("watch gaps", f"{watcher.path}: nothing of {name}")
            for name, times in seen.items():
                if times > 1:
                    records.violate("watch events twice or out of order", f"{name} came {times} times")
    swaps = [watcher.seen for watcher in watchers if watcher.path == CONFIG_MAPS]
    if any(seen != swaps[0] for seen in swaps):
        records.violate("watch gaps", f"watches of the same saw {sorted(map(len, swaps))} events")


def _check_histories(swappers: list[Swapper], records: Records) -> None:
    for key in KEYS:
        history = [operation for swapper in swappers for operation in swapper.history[key]]
        records.count("operations checked for linearizability", len(history))
        if problem := linearizability.check(history, "0"):
            records.violate("histories not linearizable", f"{key}: {problem}")


def _left_behind(records: Records, marker: str, run_dirs: list[Path]) -> None:
    """Processes are found by the name of their server, which is in their titles and arguments."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            title = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in title and int(entry.name) != os.getpid():
            records.violate("orphans", f"{entry.name}: {title.decode(errors='replace')}")
    for run_dir in run_dirs:
        for path in run_dir.rglob("*"):
            if path.is_socket():
                records.violate("sockets left", str(path))
