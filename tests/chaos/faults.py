"""The faults: what is done to which process, and how far clients may feel it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from apiserver_supervisor.control import request

from tests.chaos.records import EVERYWHERE, HIDDEN, OPEN, PLANNED, Fault, Records
from tests.reconcilers.members import EtcdCluster, Member, healthy
from tests.running import RunningServer, wait_for

GROUPS = ("aggregator", "core", "extensions")
SETTLES_WITHIN = 60.0
MARGIN = {PLANNED: 0.5, HIDDEN: 1.0, OPEN: 3.0}  # a kept connection that broke shows that when it is used again


@dataclass
class Scene:
    """What faults can strike."""

    servers: list[RunningServer]
    etcd: EtcdCluster | None
    chance: random.Random
    records: Records


def _signal(role: str, number: int) -> Callable[[Scene, RunningServer], None]:
    def strike(scene: Scene, server: RunningServer) -> None:
        pids = server.processes(role)
        if pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(scene.chance.choice(pids), number)

    return strike


def _kill_all(role: str) -> Callable[[Scene, RunningServer], None]:
    def strike(scene: Scene, server: RunningServer) -> None:
        for pid in server.processes(role):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    return strike


def _killed_while_rolling(role: str) -> Callable[[Scene, RunningServer], None]:
    """Old and new workers die in the middle of a rolling restart."""

    def strike(scene: Scene, server: RunningServer) -> None:
        request(server.run_dir, "restart", role=role)
        for _ in range(3):
            time.sleep(scene.chance.uniform(0.1, 0.8))
            _signal(f"{role} worker", signal.SIGKILL)(scene, server)

    return strike


def _command(*arguments: str) -> Callable[[Scene, RunningServer], None]:
    def strike(scene: Scene, server: RunningServer) -> None:
        done = server.command(*arguments, check=False)
        if done.returncode:
            scene.records.violate("commands failed", f"{' '.join(arguments)}: {done.stderr.strip()}")

    return strike


def _scale(role: str) -> Callable[[Scene, RunningServer], None]:
    def strike(scene: Scene, server: RunningServer) -> None:
        _command("scale", f"{role}={scene.chance.choice((1, 2, 3))}")(scene, server)

    return strike


def _kill_server(scene: Scene, server: RunningServer) -> None:
    """The master dies by kill -9, and with it all its processes; then it is started again."""
    server.process.kill()
    server.process.wait()
    server.start()


def _stop_server(scene: Scene, server: RunningServer) -> None:
    if server.stop(90) != 0:
        scene.records.violate("commands failed", "a server did not stop with status 0")
    server.start()


def _pause_master(scene: Scene, server: RunningServer) -> None:
    """The master does nothing for a while; its workers serve on."""
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(scene.chance.uniform(1, 4))
    server.process.send_signal(signal.SIGCONT)


def _member(strike: Callable[[Scene, Member], None]) -> Callable[[Scene, RunningServer], None]:
    def strike_one(scene: Scene, _: RunningServer) -> None:
        assert scene.etcd is not None
        strike(scene, scene.chance.choice(scene.etcd.members))
        wait_for(lambda: all(map(healthy, scene.etcd.urls)), 30, "all etcd members")  # type: ignore[union-attr]

    return strike_one


def _kill_member(scene: Scene, member: Member) -> None:
    member.kill()
    time.sleep(scene.chance.uniform(0.5, 2))
    member.start()


def _kill_the_majority(scene: Scene, _: Member) -> None:
    """Nobody can write until they are back."""
    assert scene.etcd is not None
    members = scene.chance.sample(scene.etcd.members, len(scene.etcd.members) // 2 + 1)
    for member in members:
        member.kill()
    time.sleep(scene.chance.uniform(1, 3))
    for member in members:
        member.start()


def _pause_member(scene: Scene, member: Member) -> None:
    member.signal(signal.SIGSTOP)
    time.sleep(scene.chance.uniform(1, 3))
    member.signal(signal.SIGCONT)


Strike = Callable[[Scene, RunningServer], None]
_REACH = {"aggregator": OPEN, "core": HIDDEN, "extensions": HIDDEN}

TABLE: dict[str, tuple[str, Strike]] = {
    **{f"rolling restart of {role}": (PLANNED, _command("restart", role)) for role in GROUPS},
    **{f"scale of {role}": (PLANNED, _scale(role)) for role in GROUPS},
    **{f"kill -9 of a worker of {role}": (_REACH[role], _signal(f"{role} worker", signal.SIGKILL)) for role in GROUPS},
    **{f"SIGSTOP of a worker of {role}": (_REACH[role], _signal(f"{role} worker", signal.SIGSTOP)) for role in GROUPS},
    **{f"kill -9 of the arbiter of {role}": (_REACH[role], _signal(role, signal.SIGKILL)) for role in GROUPS},
    **{f"SIGSTOP of the arbiter of {role}": (PLANNED, _signal(role, signal.SIGSTOP)) for role in GROUPS},
    **{f"kill -9 of all workers of {role}": (_REACH[role], _kill_all(f"{role} worker")) for role in GROUPS},
    **{f"kills in a rolling restart of {role}": (_REACH[role], _killed_while_rolling(role)) for role in GROUPS},
    "reload": (PLANNED, _command("reload")),
    "SIGSTOP of the master for a while": (PLANNED, _pause_master),
    "kill -9 of the reconciler": (PLANNED, _signal("reconciler", signal.SIGKILL)),
    "kill -9 of a whole server": (OPEN, _kill_server),
    "stop and start of a whole server": (OPEN, _stop_server),
}
WITH_ETCD: dict[str, tuple[str, Strike]] = {
    "kill -9 of an etcd member": (OPEN, _member(_kill_member)),
    "kill -9 of most etcd members": (OPEN, _member(_kill_the_majority)),
    "SIGSTOP of an etcd member": (OPEN, _member(_pause_member)),
}


def strike(scene: Scene, kind: str) -> None:
    """One fault on a server of chance, until all is well again."""
    reach, act = (TABLE | WITH_ETCD)[kind]
    server = scene.chance.choice(scene.servers)
    number = EVERYWHERE if kind in WITH_ETCD else scene.servers.index(server)
    fault = Fault(kind, reach, number, time.monotonic())
    before = _pids(server)
    scene.records.faults.append(fault)
    try:
        act(scene, server)
        _notice(kind, server, before)
        wait_for(lambda: _settled(server), SETTLES_WITHIN, f"server {number} to settle after {kind}")
    except Exception as error:
        status = server.status() if server.process.poll() is None else "it has ended"
        scene.records.violate("not well again", f"{kind}: {error}: {status}\n{server.logs()}")
    time.sleep(MARGIN[reach])
    fault.end = time.monotonic()


def _pids(server: RunningServer) -> set[int]:
    return {pid for role in GROUPS for kind in ("", " worker") for pid in server.processes(f"{role}{kind}")}


def _notice(kind: str, server: RunningServer, before: set[int]) -> None:
    """A stopped process counts as well until it is found: wait for that."""
    if kind.startswith("SIGSTOP of a worker") or kind.startswith("SIGSTOP of the arbiter"):
        wait_for(lambda: not before <= _pids(server), 30, "the stopped process is found")


def _settled(server: RunningServer) -> bool:
    try:
        return bool(server.status()["settled"]) and server.request("GET", "/readyz", timeout=5)[0] == 200
    except OSError:
        return False


def kinds(*, etcd: bool, only: str, chance: random.Random) -> list[str]:
    """All kinds in an order of chance; of those only the ones that match the pattern."""
    found = [kind for kind in (*TABLE, *(WITH_ETCD if etcd else ())) if re.search(only, kind)]
    chance.shuffle(found)
    return found
