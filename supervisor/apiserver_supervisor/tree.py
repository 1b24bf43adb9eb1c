"""What `status` shows: the processes of one server as a tree."""

from __future__ import annotations

from typing import Any

from apiserver_supervisor.children import Child
from apiserver_supervisor.etcd import Etcd
from apiserver_supervisor.groups import WorkerGroup
from apiserver_supervisor.processes import children, describe


def node(role: str, pid: int, restarts: int, inner: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """One process: role, pid, uptime in seconds, restarts, memory in bytes, and its children."""
    info = describe(pid) if pid else None
    return {
        "role": role,
        "pid": pid if info else None,
        "uptimeSeconds": round(info.uptime, 1) if info else 0.0,
        "restarts": restarts,
        "memoryBytes": info.memory if info else 0,
        "children": inner or [],
    }


def child_node(child: Child) -> dict[str, Any]:
    """A child of the master, with its workers if it is a group."""
    if not isinstance(child, WorkerGroup):
        return node(child.role, child.pid, child.restarts)
    pids = children(child.pid) if child.pid else []
    retired = set(child.arbiter.pids("retired"))
    workers = [node(f"{child.role} {'retired ' if pid in retired else ''}worker", pid, 0) for pid in pids]
    tree = node(child.role, child.pid, child.restarts, workers)
    tree["children"] += [_retired(child.role, arbiter.pid) for arbiter in child.retired]
    return tree | {"workers": child.workers, "ready": child.ready, "workerRestarts": child.worker_restarts}


def _retired(role: str, pid: int) -> dict[str, Any]:
    workers = [node(f"{role} retired worker", worker, 0) for worker in children(pid)]
    return node(f"{role} retired", pid, 0, workers)


def render(tree: dict[str, Any]) -> str:
    """The tree as lines of aligned columns."""
    rows = list(_rows(tree, "", ""))
    width = max(len(label) for label, _ in rows) + 2
    head = f"{'PROCESS':{width}}{'PID':>8}{'UPTIME':>9}{'RESTARTS':>10}{'MEMORY':>9}"
    return "\n".join([head, *(f"{label:{width}}{rest}".rstrip() for label, rest in rows)])


def _rows(tree: dict[str, Any], first: str, further: str) -> Any:
    restarts = tree["restarts"] + tree.get("workerRestarts", 0)
    state = "" if tree.get("ready", True) else "  not ready"
    memory = f"{tree['memoryBytes'] / 1048576:.0f} MB"
    columns = f"{tree['pid'] or '-':>8}{duration(tree['uptimeSeconds']):>9}{restarts:>10}{memory:>9}{state}"
    yield first + tree["role"], columns
    for index, child in enumerate(tree["children"]):
        last = index == len(tree["children"]) - 1
        yield from _rows(child, further + ("└─ " if last else "├─ "), further + ("   " if last else "│  "))


def duration(seconds: float) -> str:
    """Seconds as people say them: 42s, 5m, 3h, 12d."""
    for limit, size, unit in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // size)}{unit}"
    return f"{int(seconds // 86400)}d"


def etcd_label(etcd: Etcd | None) -> str:
    """How the start names the storage."""
    return f"etcd {etcd.version} ({etcd.binary}), for this machine only" if etcd else "external"
