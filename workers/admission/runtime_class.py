"""RuntimeClass: what a pod's runtime costs and where it is found."""

from __future__ import annotations

from workers.admission.plugin import Object, Plugin, forbidden, on
from workers.registry.attributes import CREATE, Attributes

GROUP = "node.k8s.io"


class RuntimeClass(Plugin):
    """plugin/pkg/admission/runtimeclass."""

    operations = frozenset((CREATE,))
    resources = on("pods")

    async def admit(self, attributes: Attributes) -> None:
        found = await self._class(attributes)
        if found is None:
            return
        spec = _spec(attributes)
        overhead = (found.get("overhead") or {}).get("podFixed")
        if overhead and not spec.get("overhead"):
            spec["overhead"] = dict(overhead)
        if scheduling := found.get("scheduling"):
            _schedule(attributes, spec, scheduling)

    async def validate(self, attributes: Attributes) -> None:
        found = await self._class(attributes)
        spec = _spec(attributes)
        given = spec.get("overhead") or {}
        if found is None:
            if given and not spec.get("runtimeClassName"):
                raise forbidden(
                    attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
                )
            return
        defined = (found.get("overhead") or {}).get("podFixed") or {}
        if given and not defined:
            raise forbidden(
                attributes, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
            )
        if given != defined:
            raise forbidden(attributes, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")

    async def _class(self, attributes: Attributes) -> Object | None:
        name = _spec(attributes).get("runtimeClassName")
        if not name:
            return None
        entry = await self.latest(GROUP, "runtimeclasses", "", name)
        if entry is None:
            raise forbidden(attributes, f'pod rejected: RuntimeClass "{name}" not found')
        return entry.obj


def _spec(attributes: Attributes) -> Object:
    assert attributes.obj is not None
    spec: Object = attributes.obj["spec"]
    return spec


def _schedule(attributes: Attributes, spec: Object, scheduling: Object) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in sorted((scheduling.get("nodeSelector") or {}).items()):
        if selector.get(key, value) != value:
            text = f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; pod.spec.nodeSelector[{key}] = {selector[key]}"
            raise forbidden(attributes, text)
        selector[key] = value
    if selector:
        spec["nodeSelector"] = selector
    tolerations = list(spec.get("tolerations") or ())
    tolerations += [one for one in scheduling.get("tolerations") or () if one not in tolerations]
    if tolerations:
        spec["tolerations"] = tolerations
