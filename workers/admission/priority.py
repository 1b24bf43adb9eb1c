"""Priority: a pod's priority is what its class says."""

from __future__ import annotations

from workers.admission.plugin import Object, Plugin, forbidden, on
from workers.apimachinery.validation.small_groups import SYSTEM_PRIORITIES
from workers.registry.attributes import CREATE, DELETE, UPDATE, Attributes

GROUP = "scheduling.k8s.io"
PREEMPT = "PreemptLowerPriority"


class Priority(Plugin):
    """plugin/pkg/admission/priority."""

    operations = frozenset((CREATE, UPDATE, DELETE))
    resources = on("pods", f"priorityclasses.{GROUP}")

    async def admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        if attributes.info.resource != "pods" or pod is None:
            return
        spec = pod["spec"]
        if attributes.operation == UPDATE:
            before = (attributes.old_obj or {}).get("spec") or {}
            for field in ("priority", "preemptionPolicy"):
                if spec.get(field) is None and before.get(field) is not None:
                    spec[field] = before[field]
            return
        self._set(attributes, spec, await self._class(attributes, spec))

    async def _class(self, attributes: Attributes, spec: Object) -> Object | None:
        name = spec.get("priorityClassName")
        if name:
            entry = await self.latest(GROUP, "priorityclasses", "", name)
            if entry is None:
                raise forbidden(attributes, f"no PriorityClass with name {name} was found")
            return entry.obj
        defaults = [entry.obj for entry in self.entries(GROUP, "priorityclasses") if entry.obj.get("globalDefault")]
        # Of several defaults, which only a race can make, the lowest counts.
        return min(defaults, key=lambda one: one.get("value") or 0, default=None)

    @staticmethod
    def _set(attributes: Attributes, spec: Object, found: Object | None) -> None:
        value, policy = 0, PREEMPT
        if found is not None:
            value, policy = found.get("value") or 0, found.get("preemptionPolicy") or PREEMPT
            spec["priorityClassName"] = found["metadata"]["name"]
        computed = "must not be provided in pod spec; priority admission controller computed"
        origin = "from the given PriorityClass name"
        if spec.get("priority") not in (None, value):
            text = f"the integer value of priority ({spec['priority']}) {computed} {value} {origin}"
            raise forbidden(attributes, text)
        if spec.get("preemptionPolicy") not in (None, policy):
            text = f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) {computed} {policy} {origin}"
            raise forbidden(attributes, text)
        spec["priority"], spec["preemptionPolicy"] = value, policy

    async def validate(self, attributes: Attributes) -> None:
        if attributes.info.resource != "priorityclasses":
            return
        if attributes.operation == DELETE:
            if attributes.name in SYSTEM_PRIORITIES:
                raise forbidden(attributes, "this is a system priority class and cannot be deleted")
            return
        obj = attributes.obj
        if obj is None or not obj.get("globalDefault"):
            return
        for entry in self.entries(GROUP, "priorityclasses"):
            name = entry.obj["metadata"]["name"]
            if entry.obj.get("globalDefault") and name != obj["metadata"].get("name"):
                text = f"PriorityClass {name} is already marked as default. Only one default can exist"
                raise forbidden(attributes, text)
