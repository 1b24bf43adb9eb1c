"""LimitRanger: what a namespace's limit ranges give to containers that ask for nothing, and hold the others to."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from apiserver_workers.admission.plugin import CLAIMS, PODS, Object, Plugin, aggregate, forbidden
from apiserver_workers.admission.pod_resources import Amounts, amounts, pod_amounts
from apiserver_workers.apimachinery.quantity import Quantity, parse
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

ANNOTATION = "kubernetes.io/limit-ranger"
CONTAINERS = (("containers", "container"), ("initContainers", "init container"))
MISSING = parse("0")

# What one kind of write is checked as. Pods change their resources only through `resize`.
HANDLED = frozenset(
    ((CREATE, PODS, ""), (UPDATE, PODS, "resize"), (CREATE, CLAIMS, ""), (UPDATE, CLAIMS, "")),
)


class LimitRanger(Plugin):
    """Sees new and resized pods, and claims."""

    name = "LimitRanger"

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        return (operation, (group, resource), subresource) in HANDLED

    def admit(self, attributes: Attributes) -> None:
        if attributes.operation == CREATE and attributes.info.resource == "pods":
            assert attributes.obj is not None
            for entry in self.lister("limitranges").list(attributes.namespace):
                set_defaults(attributes.obj, entry.obj)

    def validate(self, attributes: Attributes) -> None:
        ranges = self.lister("limitranges").list(attributes.namespace)
        obj = attributes.obj
        assert obj is not None
        if not ranges or "deletionTimestamp" in obj["metadata"]:
            return
        check = check_pod if attributes.info.resource == "pods" else check_claim
        for entry in ranges:
            faults = [fault for limit in _limits(entry.obj) for fault in check(obj, limit)]
            if faults:
                raise forbidden(attributes, aggregate(faults))


def _limits(limit_range: Object) -> list[Object]:
    return (limit_range.get("spec") or {}).get("limits") or []


def set_defaults(pod: Object, limit_range: Object) -> None:
    """Give containers the defaults that they lack, and note on the pod which those were. The pod is changed in place."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for limit in _limits(limit_range):
        if limit.get("type") == "Container":
            requests.update(limit.get("defaultRequest") or {})
            limits.update(limit.get("default") or {})
    if not requests and not limits:
        return
    notes: list[str] = []
    for field, what in CONTAINERS:
        for container in pod["spec"].get(field) or ():
            resources = container["resources"] = dict(container.get("resources") or {})
            for side, defaults in (("requests", requests), ("limits", limits)):
                if missing := sorted(defaults.keys() - (resources.get(side) or {}).keys()):
                    resources[side] = {**(resources.get(side) or {}), **{name: defaults[name] for name in missing}}
                    notes.append(f"{', '.join(missing)} {side[:-1]} for {what} {container['name']}")
    if notes:
        metadata = pod["metadata"]
        note = f"LimitRanger plugin set: {'; '.join(notes)}"
        metadata["annotations"] = {**(metadata.get("annotations") or {}), ANNOTATION: note}


def check_pod(pod: Object, limit: Object) -> Iterator[str]:
    """What is wrong with the pod by one limit, for its containers or for the pod as a whole."""
    spec, kind = pod["spec"], limit.get("type")
    if kind == "Container":
        for field, _ in CONTAINERS:
            for container in spec.get(field) or ():
                resources = container.get("resources") or {}
                yield from _check(limit, amounts(resources.get("requests")), amounts(resources.get("limits")))
    elif kind == "Pod":
        requests, limits = (pod_amounts(spec, field, overhead=False) for field in ("requests", "limits"))
        yield from _check(limit, requests, limits)


def check_claim(claim: Object, limit: Object) -> Iterator[str]:
    """What is wrong with the claim by one limit: only what it requests counts."""
    if limit.get("type") != "PersistentVolumeClaim":
        return
    requests = amounts(((claim.get("spec") or {}).get("resources") or {}).get("requests"))
    for field, rule in (("min", minimum), ("max", maximum_request)):
        for name, bound in sorted((limit.get(field) or {}).items()):
            if fault := rule(name, "PersistentVolumeClaim", parse(bound), requests, {}):
                yield fault


def _check(limit: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for field, rule in RULES:
        for name, bound in sorted((limit.get(field) or {}).items()):
            if fault := rule(name, limit["type"], parse(bound), requests, limits):
                yield fault


def minimum(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    rule = f"minimum {name} usage per {kind} is {bound.text}"
    if name not in requests:
        return f"{rule}.  No request is specified"
    if requests[name].nano < bound.nano:
        return f"{rule}, but request is {requests[name].text}"
    if name in limits and limits[name].nano < bound.nano:
        return f"{rule}, but limit is {limits[name].text}"
    return ""


def maximum(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    rule = f"maximum {name} usage per {kind} is {bound.text}"
    if name not in limits:
        return f"{rule}.  No limit is specified"
    if limits[name].nano > bound.nano:
        return f"{rule}, but limit is {limits[name].text}"
    if name in requests and requests[name].nano > bound.nano:
        return f"{rule}, but request is {requests[name].text}"
    return ""


def maximum_request(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    rule = f"maximum {name} usage per {kind} is {bound.text}"
    if name not in requests:
        return f"{rule}.  No request is specified"
    return f"{rule}, but request is {requests[name].text}" if requests[name].nano > bound.nano else ""


def ratio(name: str, kind: str, bound: Quantity, requests: Amounts, limits: Amounts) -> str:
    rule = f"{name} max limit to request ratio per {kind} is {bound.text}"
    request, limit = requests.get(name, MISSING).nano, limits.get(name, MISSING).nano
    if not request:
        return f"{rule}, but no request is specified or request is 0"
    if not limit:
        return f"{rule}, but no limit is specified or limit is 0"
    found = limit / request
    return f"{rule}, but provided ratio is {found:.6f}" if found > float(bound.value) else ""


RULES: tuple[tuple[str, Callable[[str, str, Quantity, Amounts, Amounts], str]], ...] = (
    ("min", minimum),
    ("max", maximum),
    ("maxLimitRequestRatio", ratio),
)
