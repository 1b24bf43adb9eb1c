"""The pod's row: its status column sums up init containers, containers, restarts and deletion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery.tables.cells import NONE, Object, condition, created, get, items, name
from apiserver_workers.apimachinery.tables.durations import age

TERMINAL = ("Succeeded", "Failed")


@dataclass(slots=True)
class _Summary:
    """What the containers add up to; `restarted` is the time of the latest restart."""

    reason: str
    restarts: int = 0
    restarted: str = ""
    ready: int = 0

    def count_restart(self, status: Object) -> None:
        self.restarts += status.get("restartCount") or 0
        finished = get(status, "lastState.terminated.finishedAt") or ""
        # RFC 3339 times in UTC with seconds compare as text
        self.restarted = max(self.restarted, finished)


def cells(pod: Object, now: float) -> list[Any]:
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {
        container["name"]
        for container in spec.get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    summary = _summarise(pod, spec, status, sidecars)
    restarts = str(summary.restarts)
    if summary.restarts and summary.restarted:
        restarts += f" ({age(summary.restarted, now)} ago)"
    total = len(spec.get("containers") or ()) + len(sidecars)
    addresses = status.get("podIPs")
    return [
        name(pod, now),
        f"{summary.ready}/{total}",
        _deletion(pod, status) or summary.reason,
        restarts,
        created(pod, now),
        (addresses and addresses[0].get("ip")) or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        _readiness_gates(pod, spec),
    ]


def conditions(pod: Object) -> list[dict[str, str]] | None:
    """The row's conditions: a pod that has ended is a completed row."""
    phase = get(pod, "status.phase")
    if phase not in TERMINAL:
        return None
    message = "The pod has completed successfully." if phase == "Succeeded" else "The pod failed."
    return [{"type": "Completed", "status": "True", "reason": phase, "message": message}]


def _summarise(pod: Object, spec: Object, status: Object, sidecars: set[str]) -> _Summary:
    reason = status.get("reason") or status.get("phase") or ""
    if any(
        c.get("type") == "PodScheduled" and c.get("reason") == "SchedulingGated"
        for c in items(pod, "status.conditions")
    ):
        reason = "SchedulingGated"
    summary = _Summary(reason)
    of_sidecars = _Summary("")
    initializing = _init_containers(summary, of_sidecars, spec, status, sidecars)
    if not initializing or (condition(pod, "Initialized") or {}).get("status") == "True":
        # once init containers are done only those that go on running count
        summary.restarts, summary.restarted = of_sidecars.restarts, of_sidecars.restarted
        _main_containers(summary, pod, status)
    return summary


def _init_containers(
    summary: _Summary, of_sidecars: _Summary, spec: Object, status: Object, sidecars: set[str]
) -> bool:
    """Go through the init containers up to the first that has not done its part; returns whether there is one."""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        summary.count_restart(container)
        sidecar = container.get("name") in sidecars
        if sidecar:
            of_sidecars.count_restart(container)
        state = container.get("state") or {}
        terminated = state.get("terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            summary.ready += bool(container.get("ready"))
            continue
        waiting = (state.get("waiting") or {}).get("reason")
        if terminated is not None:
            summary.reason = "Init:" + _termination(terminated)
        elif waiting and waiting != "PodInitializing":
            summary.reason = "Init:" + waiting
        else:
            summary.reason = f"Init:{index}/{len(spec.get('initContainers') or ())}"
        return True
    return False


def _main_containers(summary: _Summary, pod: Object, status: Object) -> None:
    running = False
    for container in reversed(status.get("containerStatuses") or ()):
        summary.count_restart(container)
        state = container.get("state") or {}
        waiting = (state.get("waiting") or {}).get("reason")
        if waiting:
            summary.reason = waiting
        elif state.get("terminated") is not None:
            summary.reason = _termination(state["terminated"])
        elif container.get("ready") and state.get("running") is not None:
            running = True
            summary.ready += 1
    if summary.reason == "Completed" and running:
        ready = (condition(pod, "Ready") or {}).get("status") == "True"
        summary.reason = "Running" if ready else "NotReady"


def _termination(terminated: Object) -> str:
    if terminated.get("reason"):
        return terminated["reason"]
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode') or 0}"


def _deletion(pod: Object, status: Object) -> str:
    if not get(pod, "metadata.deletionTimestamp"):
        return ""
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return "" if status.get("phase") in TERMINAL else "Terminating"


def _readiness_gates(pod: Object, spec: Object) -> str:
    gates = spec.get("readinessGates")
    if not gates:
        return NONE
    true = sum((condition(pod, gate.get("conditionType", "")) or {}).get("status") == "True" for gate in gates)
    return f"{true}/{len(gates)}"
