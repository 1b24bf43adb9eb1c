"""RuntimeClass: pods take over the overhead and the scheduling constraints of their runtime class."""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Object, Plugin, forbidden, own_spec
from apiserver_workers.apimachinery import quantity
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.validation.field import shown
from apiserver_workers.apimachinery.validation.names import is_path_segment
from apiserver_workers.registry.attributes import CREATE, Attributes

OTHER_OVERHEAD = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
NO_OVERHEAD = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClass(Plugin):
    """Sees new pods."""

    name = "RuntimeClass"
    operations = frozenset((CREATE,))
    resources = frozenset((PODS,))

    def admit(self, attributes: Attributes) -> None:
        found = self._class_of(attributes)
        if found is None:
            return
        assert attributes.obj is not None
        spec = own_spec(attributes.obj)
        if "overhead" in found:
            fixed = found["overhead"].get("podFixed") or {}
            if spec.get("overhead") is not None and not _equal(spec["overhead"], fixed):
                raise forbidden(attributes, OTHER_OVERHEAD)
            spec["overhead"] = dict(fixed)
        if "scheduling" in found:
            self._schedule(attributes, spec, found["scheduling"])

    def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        found = self._class_of(attributes)
        overhead = (attributes.obj.get("spec") or {}).get("overhead")
        if found is not None and "overhead" in found:
            if overhead is None or not _equal(overhead, found["overhead"].get("podFixed") or {}):
                raise forbidden(attributes, OTHER_OVERHEAD)
        elif overhead is not None:
            raise forbidden(attributes, NO_OVERHEAD)

    def _class_of(self, attributes: Attributes) -> Object | None:
        assert attributes.obj is not None
        name = (attributes.obj.get("spec") or {}).get("runtimeClassName")
        if name is None:
            return None
        found = self.lister("runtimeclasses").get(name)
        if found is None and (faults := is_path_segment(name)):
            # A request for the class cannot be made.
            raise ApiError(500, "", f"invalid resource name {shown(name)}: [{' '.join(faults)}]")
        if found is None:
            raise forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return found

    def _schedule(self, attributes: Attributes, spec: Object, scheduling: Object) -> None:
        selector = dict(spec.get("nodeSelector") or {})
        for label, value in sorted((scheduling.get("nodeSelector") or {}).items()):
            if selector.setdefault(label, value) != value:
                why = (
                    f"conflict: runtimeClass.scheduling.nodeSelector[{label}] = {value}; "
                    f"pod.spec.nodeSelector[{label}] = {selector[label]}"
                )
                raise forbidden(attributes, why)
        if selector:
            spec["nodeSelector"] = selector
        if tolerations := merge_tolerations(spec.get("tolerations") or [], scheduling.get("tolerations") or []):
            spec["tolerations"] = tolerations


def _equal(amounts: Object, others: Object) -> bool:
    if amounts.keys() != others.keys():
        return False
    return all(quantity.parse(amount).nano == quantity.parse(others[name]).nano for name, amount in amounts.items())


def merge_tolerations(first: list[Object], second: list[Object]) -> list[Object]:
    """Both lists without tolerations that another one covers; of equal ones the first stays."""
    every = [*first, *second]
    merged: list[Object] = []
    for index, toleration in enumerate(every):
        if any(_covers(other, toleration) for other in merged):
            continue
        if any(other != toleration and _covers(other, toleration) for other in every[index + 1 :]):
            continue
        merged.append(toleration)
    return merged


def _covers(wide: Object, narrow: Object) -> bool:
    """Whether `wide` tolerates everything that `narrow` does."""
    if wide == narrow:
        return True
    if wide.get("key", "") != narrow.get("key", "") and (wide.get("key") or wide.get("operator") != "Exists"):
        return False
    if wide.get("effect", "") not in ("", narrow.get("effect", "")):
        return False
    limit = wide.get("tolerationSeconds")
    if wide.get("effect") == "NoExecute" and limit is not None:
        seconds = narrow.get("tolerationSeconds")
        if seconds is None or seconds > limit:
            return False
    if wide.get("operator", "") in ("", "Equal"):
        return narrow.get("operator") == "Equal" and narrow.get("value", "") == wide.get("value", "")
    return wide.get("operator") == "Exists"
