"""The Scale of a custom resource (apiextensions-apiserver/pkg/registry/customresource/etcd.go)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.custom.definition import subresource, versions
from apiserver_workers.apimachinery.errors import ApiError, bad_request, internal_error
from apiserver_workers.apimachinery.goformat import plain, type_name
from apiserver_workers.apimachinery.scale_paths import ScalePaths

Object = dict[str, Any]
Path = tuple[str, ...]

NOT_SET = -(1 << 31)  # the replicas of a Scale whose object has none


class AccessorError(ValueError):
    """A value on the way, or at the end, is of another type."""


def split(path: str) -> Path:
    """A path of a definition as the names on it."""
    return tuple(path.removeprefix(".").split("."))


def nested(obj: Object, path: Path, kind: type, wanted: str) -> Any:
    """The value at a path, None if there is none. Raises AccessorError in the words of unstructured.NestedFieldNoCopy."""
    value: Any = obj
    for depth, name in enumerate(path):
        if value is None:
            return None
        if not isinstance(value, dict):
            at = "." + ".".join(path[: depth + 1])
            text = f"{plain(value)} is of the type {type_name(value)}, expected map[string]interface{{}}"
            raise AccessorError(f"{at} accessor error: {text}")
        if name not in value:
            return None
        value = value[name]
    if value.__class__ is not kind:
        text = f"{plain(value)} is of the type {type_name(value)}, expected {wanted}"
        raise AccessorError(f".{'.'.join(path)} accessor error: {text}")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomScale(ScalePaths):
    """Where a custom resource has what its Scale shows; `shown` is the path of the replicas as the definition has it."""

    shown: str = ".spec.replicas"
    by_version: Mapping[str, Path | None] = field(default_factory=dict)
    checked: bool = False  # by the validation of the object itself

    @property
    def mappings(self) -> Mapping[str, Path | None]:
        return self.by_version

    def read(self, obj: Object) -> Object:
        """Raises ApiError 500 when the object has no replicas."""
        scale = self.of(obj)
        if scale["spec"]["replicas"] == NOT_SET:
            raise internal_error(f'the spec replicas field "{self.shown}" does not exist')
        return scale

    def of(self, obj: Object) -> Object:
        """The Scale, with replicas NOT_SET if there are none. Raises ApiError 500."""
        try:
            replicas = nested(obj, self.replicas, int, "int64")
            present = nested(obj, self.status_replicas, int, "int64")
            selector = nested(obj, self.selector, str, "string") if self.selector else None
        except AccessorError as error:
            raise ApiError(500, "", str(error)) from None
        scale = ScalePaths.read(self, {"metadata": obj["metadata"]})
        spec = {"replicas": NOT_SET if replicas is None else _int32(replicas)}
        return {**scale, "spec": spec, "status": {"replicas": _int32(present or 0), "selector": selector or ""}}

    def write(self, obj: Object, replicas: int) -> Object:
        """Raises ApiError 400 for no replicas."""
        if replicas == NOT_SET:
            raise bad_request(f'the spec replicas field "{self.shown}" cannot be empty')
        return ScalePaths.write(self, obj, replicas)


def _int32(number: int) -> int:
    """The number as int32 of Go holds it."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def custom_scale(definition: Object, version: Object) -> CustomScale | None:
    """The scale subresource of a version, None if it has none."""
    found = subresource(version, "scale")
    if found is None:
        return None
    group = definition["spec"]["group"]
    by_version: dict[str, Path | None] = {}
    for other in versions(definition):
        scale = subresource(other, "scale")
        owned = None if scale is None else tuple(f"f:{name}" for name in split(scale["specReplicasPath"]))
        by_version[f"{group}/{other['name']}"] = owned
    selector = found.get("labelSelectorPath")
    return CustomScale(
        replicas=split(found["specReplicasPath"]),
        status_replicas=split(found["statusReplicasPath"]),
        selector=split(selector) if selector else (),
        shown=found["specReplicasPath"],
        by_version=by_version,
    )
