"""PodResizeValidator: a pod is resized only on Linux, and only to what its node can give at all."""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Object, Plugin, forbidden
from apiserver_workers.admission.pod_resources import Amounts, amounts, pod_amounts
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.quantity import Quantity, parse
from apiserver_workers.registry.attributes import UPDATE, Attributes

OS_LABEL = "kubernetes.io/os"
NO_CAPACITY, NO_PLATFORM = "NodeCapacity", "UnsupportedPlatform"
ZERO = parse("0")
MILLI = 10**6  # in nano units


class PodResizeValidator(Plugin):
    """Sees resizes of pods."""

    name = "PodResizeValidator"
    operations = frozenset((UPDATE,))
    resources = frozenset((PODS,))
    subresources = frozenset(("resize",))

    def validate(self, attributes: Attributes) -> None:
        pod, old = attributes.obj, attributes.old_obj
        assert pod is not None and old is not None
        node_name = pod["spec"].get("nodeName")
        unchanged = pod["metadata"].get("generation") == old["metadata"].get("generation")
        if not node_name or unchanged or not feature_gates.enabled("InPlacePodVerticalScaling"):
            return
        node = self.lister("minions").get(node_name)
        if node is None:
            raise forbidden(attributes, f'node "{node_name}" not found')
        system = (node["metadata"].get("labels") or {}).get(OS_LABEL, "linux")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{node_name}" is "{system}"'
            raise _refusal(attributes, why, NO_PLATFORM)
        if why := lacking(pod, node):
            raise _refusal(attributes, why, NO_CAPACITY)


def lacking(pod: Object, node: Object) -> str:
    """What the pod requests above all that its node can allocate; "" if nothing."""
    wanted = pod_amounts(pod["spec"], "requests", overhead=True)
    given = amounts((node.get("status") or {}).get("allocatable"))
    found = []
    if _exceeds("cpu", wanted, given):
        found.append(_shown("cpu", _milli(wanted["cpu"]), _milli(given.get("cpu", ZERO))))
    if _exceeds("memory", wanted, given):
        found.append(_shown("memory", wanted["memory"].whole, given.get("memory", ZERO).whole))
    return f"node didn't have enough allocatable resources: {'; '.join(found)}" if found else ""


def _exceeds(name: str, wanted: Amounts, given: Amounts) -> bool:
    return wanted.get(name, ZERO).nano > given.get(name, ZERO).nano


def _milli(amount: Quantity) -> int:
    return -(-amount.nano // MILLI)


def _shown(name: str, wanted: int, given: int) -> str:
    return f"{name}, requested: {wanted}, allocatable: {given}"


def _refusal(attributes: Attributes, why: str, cause: str) -> ApiError:
    error = forbidden(attributes, why)
    error.details = {**(error.details or {}), "causes": [{"reason": cause}]}
    return error
