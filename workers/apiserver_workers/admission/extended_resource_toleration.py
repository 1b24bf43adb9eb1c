"""ExtendedResourceToleration: a pod that asks for a device tolerates the taint of the nodes that have it."""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Object, Plugin, own_spec
from apiserver_workers.apimachinery.validation.resource_lists import is_extended
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

MATCHED = ("key", "operator", "effect", "value")


class ExtendedResourceToleration(Plugin):
    """Sees pods."""

    name = "ExtendedResourceToleration"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        resources = sorted(_requested(attributes.obj["spec"]))
        if not resources:
            return
        tolerations = list(attributes.obj["spec"].get("tolerations") or ())
        for resource in resources:
            _tolerate(tolerations, {"key": resource, "operator": "Exists", "effect": "NoSchedule"})
        own_spec(attributes.obj)["tolerations"] = tolerations


def _requested(spec: Object) -> set[str]:
    """The extended resources that containers request."""
    return {
        resource
        for field in ("containers", "initContainers")
        for container in spec.get(field) or ()
        for resource in (container.get("resources") or {}).get("requests") or ()
        if is_extended(resource)
    }


def _tolerate(tolerations: list[Object], wanted: Object) -> None:
    """Put a toleration in the place of those for the same, or at the end."""
    same = [
        index for index, held in enumerate(tolerations) if all(held.get(f, "") == wanted.get(f, "") for f in MATCHED)
    ]
    for index in same:
        tolerations[index] = wanted
    if not same:
        tolerations.append(wanted)
