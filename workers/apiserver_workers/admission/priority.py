"""Priority: pods get the number that their priority class stands for; only one class is the default."""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Object, Plugin, forbidden, own_spec
from apiserver_workers.apimachinery.validation.small_groups import SYSTEM_PRIORITIES
from apiserver_workers.registry.attributes import CREATE, DELETE, UPDATE, Attributes

CLASSES = ("scheduling.k8s.io", "priorityclasses")
PREEMPT = "PreemptLowerPriority"
COMPUTED = "must not be provided in pod spec; priority admission controller computed"
FIELDS = ("priority", "preemptionPolicy")


class Priority(Plugin):
    """Sees pods and priority classes."""

    name = "Priority"
    operations = frozenset((CREATE, UPDATE, DELETE))
    resources = frozenset((PODS, CLASSES))

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        concerned = operation != DELETE or (group, resource) == CLASSES
        return concerned and super().handles(operation, group, resource, subresource)

    def admit(self, attributes: Attributes) -> None:
        if attributes.info.resource != "pods":
            return
        if attributes.operation == CREATE:
            self._prioritise(attributes)
        else:
            _keep(attributes)

    def validate(self, attributes: Attributes) -> None:
        obj = attributes.obj
        if attributes.info.resource == "pods":
            return
        if attributes.operation == DELETE and attributes.name in SYSTEM_PRIORITIES:
            raise forbidden(attributes, "this is a system priority class and cannot be deleted")
        if obj is None or not obj.get("globalDefault"):
            return
        default = self._default()
        if default is None:
            return
        name = default["metadata"]["name"]
        if attributes.operation == CREATE or name != obj["metadata"].get("name"):
            raise forbidden(
                attributes, f"PriorityClass {name} is already marked as default. Only one default can exist"
            )

    def _prioritise(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = own_spec(attributes.obj)
        name = spec.get("priorityClassName", "")
        found = self.lister("priorityclasses").get(name) if name else self._default()
        if name and found is None:
            raise forbidden(attributes, f"no PriorityClass with name {name} was found")
        priority = 0
        policy: str | None = PREEMPT
        if found is not None:
            spec["priorityClassName"] = found["metadata"]["name"]
            priority, policy = found.get("value", 0), found.get("preemptionPolicy")
        given = spec.get("priority")
        if given is not None and given != priority:
            why = f"the integer value of priority ({given}) {COMPUTED} {priority} from the given PriorityClass name"
            raise forbidden(attributes, why)
        spec["priority"] = priority
        if policy is None:
            return
        given = spec.get("preemptionPolicy")
        if given is not None and given != policy:
            why = (
                f"the string value of PreemptionPolicy ({given}) {COMPUTED} {policy} from the given PriorityClass name"
            )
            raise forbidden(attributes, why)
        spec["preemptionPolicy"] = policy

    def _default(self) -> Object | None:
        """The default class; of several the one with the lowest value."""
        classes = [entry.obj for entry in self.lister("priorityclasses").list() if entry.obj.get("globalDefault")]
        return min(classes, key=lambda one: one.get("value", 0), default=None)


def _keep(attributes: Attributes) -> None:
    """An update that leaves out what was computed does not take it away."""
    assert attributes.obj is not None and attributes.old_obj is not None
    old, new = attributes.old_obj.get("spec") or {}, attributes.obj.get("spec") or {}
    missing = {field: old[field] for field in FIELDS if old.get(field) is not None and new.get(field) is None}
    if missing:
        own_spec(attributes.obj).update(missing)
