"""Pod-level resources (spec.resources of a pod): what they default to from the containers'.

Hugepages limits follow the containers' limits; requests follow the containers' requests, and after that the limits.
"""

from __future__ import annotations

from apiserver_workers.apimachinery.defaults.rules import Object
from apiserver_workers.apimachinery.quantity import parse, write

HUGEPAGES = "hugepages-"


def set_pod_level_resources(spec: Object) -> None:
    """Fill in spec["resources"], which is there and not empty, from the resources of the pod's containers."""
    resources = spec["resources"]
    limits, requests = dict(resources.get("limits") or {}), dict(resources.get("requests") or {})
    if limits or requests:
        for name, limit in _aggregate(spec, "limits").items():
            if name.startswith(HUGEPAGES) and name not in requests:
                limits.setdefault(name, limit)
    if limits:
        for name, request in _aggregate(spec, "requests").items():
            if name in ("cpu", "memory"):
                requests.setdefault(name, request)
        for name, limit in limits.items():
            if name in ("cpu", "memory") or name.startswith(HUGEPAGES):
                requests.setdefault(name, limit)
    for field, found in (("limits", limits), ("requests", requests)):
        if found:
            resources[field] = found


def _aggregate(spec: Object, field: str) -> dict[str, str]:
    """What the containers need together: the sum of those side by side, or the most that an init container needs."""
    total: dict[str, str] = {}
    for container in spec.get("containers") or ():
        _add(total, _of(container, field))
    sidecars: dict[str, str] = {}
    most: dict[str, str] = {}
    for container in spec.get("initContainers") or ():
        resources = _of(container, field)
        if container.get("restartPolicy") == "Always":
            _add(total, resources)
            _add(sidecars, resources)
            _max(most, sidecars)
        else:
            together = dict(sidecars)
            _add(together, resources)
            _max(most, together)
    _max(total, most)
    return total


def _of(container: Object, field: str) -> dict[str, str]:
    return (container.get("resources") or {}).get(field) or {}


def _add(total: dict[str, str], more: dict[str, str]) -> None:
    for name, quantity in more.items():
        if name in total:
            first = parse(total[name])
            quantity = write(first.nano + parse(quantity).nano, first.format)
        total[name] = quantity


def _max(most: dict[str, str], other: dict[str, str]) -> None:
    for name, quantity in other.items():
        if name not in most or parse(quantity).nano > parse(most[name]).nano:
            most[name] = quantity
