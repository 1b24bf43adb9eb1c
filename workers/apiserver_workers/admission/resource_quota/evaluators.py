"""How each kind is measured: what one object uses of which resource, and which scopes it falls into (pkg/quota/v1)."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable
from typing import Any

from apiserver_workers.admission.claim_resize import storage_class_of
from apiserver_workers.admission.pod_resources import Amounts, amounts, pod_amounts
from apiserver_workers.apimachinery.label_selectors import label_selector_matches
from apiserver_workers.apimachinery.quantity import Quantity, parse, write
from apiserver_workers.apimachinery.validation.pods import qos_class
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

Object = dict[str, Any]
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
DEVICE_CLASS_SUFFIX = ".deviceclass.resource.k8s.io/devices"
ZERO, ONE = parse("0"), parse("1")
# Core resources that have a name of their own besides count/<resource>.
PLAIN_NAMES = frozenset(("configmaps", "replicationcontrollers", "resourcequotas", "secrets"))
# Quotas of these oblige each container to say how much it needs.
REQUIRED = frozenset(("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
COMPUTE = ("cpu", "memory", "ephemeral-storage")
POD_NAMES = frozenset(
    ("pods", "count/pods", *COMPUTE, *(f"{side}.{name}" for side in ("requests", "limits") for name in COMPUTE))
)


def count(number: int) -> Quantity:
    """A number of things."""
    return parse(str(number))


class Evaluator:
    """Counts objects: what is measured of a kind that has nothing else to measure."""

    def __init__(self, group: str, resource: str) -> None:
        self.names = {f"count/{resource}.{group}" if group else f"count/{resource}"}
        if not group and resource in PLAIN_NAMES:
            self.names.add(resource)

    def handles(self, attributes: Attributes) -> bool:
        """Whether such a write can change what is used."""
        return attributes.operation == CREATE and not attributes.subresource

    def matching(self, names: Iterable[str]) -> list[str]:
        """Those of the names that this kind can use."""
        return [name for name in names if name in self.names]

    def usage(self, obj: Object) -> Amounts:
        """What the object uses."""
        return dict.fromkeys(self.names, ONE)

    def in_scope(self, selector: Object, obj: Object) -> bool:
        """Whether the object falls into one scope of a quota."""
        return False

    def unmet(self, names: Collection[str], obj: Object) -> str:
        """What the object fails to specify that a quota of these names wants, "" if nothing."""
        return ""


class PodEvaluator(Evaluator):
    """Pods use compute resources, and count only while they live."""

    def handles(self, attributes: Attributes) -> bool:
        if attributes.operation == CREATE:
            return not attributes.subresource
        return attributes.subresource == "resize" or (not attributes.subresource and _changes_scope(attributes))

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in POD_NAMES or _is_prefixed(name)]

    def usage(self, obj: Object) -> Amounts:
        if not _is_alive(obj):
            return {"count/pods": ONE}
        requests = pod_amounts(obj["spec"], "requests", overhead=True)
        limits = pod_amounts(obj["spec"], "limits", overhead=True)
        return {"count/pods": ONE, **_compute(requests, limits)}

    def in_scope(self, selector: Object, obj: Object) -> bool:
        match selector.get("scopeName"):
            case "Terminating":
                return _has_deadline(obj)
            case "NotTerminating":
                return not _has_deadline(obj)
            case "BestEffort":
                return qos_class(obj) == "BestEffort"
            case "NotBestEffort":
                return qos_class(obj) != "BestEffort"
            case "PriorityClass":
                name = obj["spec"].get("priorityClassName")
                return _selects(selector, [name] if name else [])
            case "CrossNamespacePodAffinity":
                return _crosses_namespaces(obj["spec"].get("affinity") or {})
        return False

    def unmet(self, names: Collection[str], obj: Object) -> str:
        spec = obj["spec"]
        if _said(spec) > {"pods"}:
            return ""  # what the pod says as a whole, its containers need not say
        missing: dict[str, set[str]] = {}
        for field in ("containers", "initContainers"):
            for container in spec.get(field) or ():
                for name in (REQUIRED & set(names)) - _said(container):
                    missing.setdefault(name, set()).add(container["name"])
        if not missing:
            return ""
        return "must specify " + "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


class ServiceEvaluator(Evaluator):
    """Services use node ports and load balancers."""

    def __init__(self, group: str, resource: str) -> None:
        super().__init__(group, resource)
        self.names |= {"services", "services.nodeports", "services.loadbalancers"}

    def handles(self, attributes: Attributes) -> bool:
        return attributes.operation in (CREATE, UPDATE) and not attributes.subresource

    def usage(self, obj: Object) -> Amounts:
        spec = obj.get("spec") or {}
        kind, ports = spec.get("type"), spec.get("ports") or ()
        balanced = kind == "LoadBalancer"
        if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
            ports = [port for port in ports if port.get("nodePort")]
        return {
            "count/services": ONE,
            "services": ONE,
            "services.loadbalancers": ONE if balanced else ZERO,
            "services.nodeports": count(len(ports)) if balanced or kind == "NodePort" else ZERO,
        }


class ClaimEvaluator(Evaluator):
    """Claims use storage, also by storage class."""

    def __init__(self, group: str, resource: str) -> None:
        super().__init__(group, resource)
        self.names |= {"persistentvolumeclaims", "requests.storage"}

    def handles(self, attributes: Attributes) -> bool:
        return attributes.operation in (CREATE, UPDATE)

    def matching(self, names: Iterable[str]) -> list[str]:
        suffixes = (f"{CLASS_SUFFIX}persistentvolumeclaims", f"{CLASS_SUFFIX}requests.storage")
        return [name for name in names if name in self.names or name.endswith(suffixes)]

    def usage(self, obj: Object) -> Amounts:
        name = storage_class_of(obj)
        used = {"count/persistentvolumeclaims": ONE, "persistentvolumeclaims": ONE}
        if name:
            used[f"{name}{CLASS_SUFFIX}persistentvolumeclaims"] = ONE
        storage = _storage(obj)
        if storage is not None:
            used["requests.storage"] = storage
            if name:
                used[f"{name}{CLASS_SUFFIX}requests.storage"] = storage
        return used

    def in_scope(self, selector: Object, obj: Object) -> bool:
        if selector.get("scopeName") != "VolumeAttributesClass":
            return False
        spec, status = obj.get("spec") or {}, obj.get("status") or {}
        names = [
            spec.get("volumeAttributesClassName"),
            status.get("currentVolumeAttributesClassName"),
            (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
        ]
        return _selects(selector, [name for name in names if name])


class ResourceClaimEvaluator(Evaluator):
    """Resource claims use devices of a class: as many as they could at most be given."""

    def handles(self, attributes: Attributes) -> bool:
        return attributes.operation in (CREATE, UPDATE) and not attributes.subresource

    def matching(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if name in self.names or name.endswith(DEVICE_CLASS_SUFFIX)]

    def usage(self, obj: Object) -> Amounts:
        devices: dict[str, int] = {}
        for request in ((obj.get("spec") or {}).get("devices") or {}).get("requests") or ():
            most: dict[str, int] = {}
            for one in [request["exactly"]] if "exactly" in request else request.get("firstAvailable") or ():
                name, wanted = (
                    one.get("deviceClassName", ""),
                    32 if one.get("allocationMode") == "All" else one.get("count", 1),
                )
                most[name] = max(most.get(name, 0), wanted)
            for name, wanted in most.items():
                devices[name] = devices.get(name, 0) + wanted
        return {**super().usage(obj), **{f"{name}{DEVICE_CLASS_SUFFIX}": count(n) for name, n in devices.items()}}


EVALUATORS: dict[tuple[str, str], type[Evaluator]] = {
    ("", "pods"): PodEvaluator,
    ("", "services"): ServiceEvaluator,
    ("", "persistentvolumeclaims"): ClaimEvaluator,
    ("resource.k8s.io", "resourceclaims"): ResourceClaimEvaluator,
}


def _compute(requests: Amounts, limits: Amounts) -> Amounts:
    """What requests and limits use, by all the names that a quota may know it."""
    used = {"pods": ONE}
    for name in COMPUTE:
        if name in requests:
            used[name] = used[f"requests.{name}"] = requests[name]
        if name in limits:
            used[f"limits.{name}"] = limits[name]
    for name, amount in requests.items():
        if name.startswith("hugepages-"):
            used[name] = used[f"requests.{name}"] = amount
        elif not _is_native(name) and not name.startswith("requests."):
            used[f"requests.{name}"] = amount
    return used


def _said(holder: Object) -> set[str]:
    """What a container's, or a pod's own, resources specify."""
    resources = holder.get("resources") or {}
    return set(_compute(amounts(resources.get("requests")), amounts(resources.get("limits"))))


def _is_native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def _is_prefixed(name: str) -> bool:
    hugepages = name.startswith(("hugepages-", "requests.hugepages-"))
    return hugepages or (name.startswith("requests.") and not _is_native(name))


def _has_deadline(pod: Object) -> bool:
    deadline = pod["spec"].get("activeDeadlineSeconds")
    return deadline is not None and deadline >= 0


def _changes_scope(attributes: Attributes) -> bool:
    """Whether an update moves the pod between the scopes Terminating and NotTerminating."""
    assert attributes.obj is not None and attributes.old_obj is not None
    return _has_deadline(attributes.obj) != _has_deadline(attributes.old_obj)


def _is_alive(pod: Object) -> bool:
    """Whether the pod has not ended and, if it is being deleted, still has time left."""
    if (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded"):
        return False
    deleted, grace = (pod["metadata"].get(f"deletion{field}") for field in ("Timestamp", "GracePeriodSeconds"))
    if deleted is None or grace is None:
        return True
    end = datetime.datetime.fromisoformat(deleted) + datetime.timedelta(seconds=grace)
    return datetime.datetime.now(datetime.UTC) <= end


def _selects(selector: Object, names: list[str]) -> bool:
    operator = selector.get("operator")
    if operator == "Exists":
        return bool(names)
    requirement = {"key": "name", "operator": operator, "values": selector.get("values") or ()}
    held = [{"name": name} for name in names] or [{}]
    return any(label_selector_matches({"matchExpressions": [requirement]}, labels) for labels in held)


def _crosses_namespaces(affinity: Object) -> bool:
    for kind in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(kind) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [weighted.get("podAffinityTerm") or {} for weighted in preferred]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False


def _storage(claim: Object) -> Quantity | None:
    """What the claim asks for, or what was set aside for it if that is more, in whole bytes."""
    requested = amounts(((claim.get("spec") or {}).get("resources") or {}).get("requests")).get("storage")
    allocated = amounts((claim.get("status") or {}).get("allocatedResources")).get("storage")
    if requested is not None and allocated is not None and allocated.nano > requested.nano:
        requested = allocated
    if requested is None or requested.nano % 10**9 == 0:
        return requested
    nano = requested.whole * 10**9
    return Quantity(nano, requested.format, write(nano, requested.format))
