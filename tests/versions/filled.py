"""Objects of any type in which every field says something."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.types import Field, Type, model

SCALARS: dict[str, Any] = {
    "string": "text",
    "integer": 7,
    "number": 7.5,
    "boolean": True,
    "bytes": "dGV4dA==",
    "quantity": "7",
    "time": "2026-01-01T00:00:00Z",
    "microtime": "2026-01-01T00:00:00.000001Z",
    "duration": "7s",
    "intstr": 7,
}
DEPTH = 12


def filled(minor: str, group: str, version: str, kind: str) -> dict[str, Any]:
    """An object of that kind with all the fields that its type has."""
    obj = _object(model(minor).kind(group, version, kind), DEPTH)
    obj.update(kind=kind, apiVersion=f"{group}/{version}" if group else version)
    obj["metadata"] = {"name": "name", "labels": {"key": "text"}, "annotations": {"key": "text"}}
    return obj


def _object(type: Type, depth: int) -> dict[str, Any]:
    return {name: _value(field, depth - 1) for name, field in type.fields.items() if depth or not field.omitempty}


def _value(field: Field, depth: int) -> Any:
    if field.form == "list":
        assert field.element is not None
        return [_value(field.element, depth)]
    if field.form == "map":
        assert field.element is not None
        return {"key": _value(field.element, depth)}
    if field.form == "object":
        assert field.type is not None
        return _object(field.type, depth)
    return {"raw": "text"} if field.form == "raw" else SCALARS[field.form]
