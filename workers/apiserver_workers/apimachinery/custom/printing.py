"""Tables of custom resources: the name, and a column for each additionalPrinterColumn (registry/customresource/tableconvertor)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from apiserver_workers.apimachinery.custom.jsonpath import JSONPath, PathError, as_text
from apiserver_workers.apimachinery.tables.durations import UNKNOWN, age
from apiserver_workers.apimachinery.times import TimeError, canonical_time

Object = dict[str, Any]
Cell = Callable[[Object, float], Any]

NAME = {
    "name": "Name",
    "type": "string",
    "format": "name",
    "description": (
        "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a"
        " client to request the generation of an appropriate name automatically. Name is primarily intended for creation"
        " idempotence and configuration definition. Cannot be updated. More info:"
        " https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
    ),
    "priority": 0,
}
CREATED = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be"
    " set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339"
    " form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info:"
    " https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)
AGE = {"name": "Age", "type": "date", "description": CREATED, "jsonPath": ".metadata.creationTimestamp"}
INVALID = "<invalid>"


class Printer:
    """What `kubectl get` shows of a version's objects. A column whose path is none ends the columns, as upstream."""

    __slots__ = ("_cells", "columns")

    def __init__(self, columns: Sequence[Object]) -> None:
        self.columns: list[Object] = [NAME]
        self._cells: list[Cell] = []
        for column in columns or (AGE,):
            try:
                path = JSONPath(column["jsonPath"])
            except ValueError:
                break
            self.columns.append(_column(column))
            self._cells.append(_cell(path, column["type"]))

    def rows(self, objects: Iterable[Object], now: float) -> list[Object]:
        """served_kind.ServedKind.rows."""
        return [self._row(obj, now) for obj in objects]

    def _row(self, obj: Object, now: float) -> Object:
        return {"cells": [obj["metadata"].get("name", ""), *[cell(obj, now) for cell in self._cells]], "object": obj}


def _column(column: Object) -> Object:
    described = column.get("description")
    return {
        "name": column["name"],
        "type": column["type"],
        "format": column.get("format", ""),
        "description": described or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}",
        "priority": column.get("priority", 0),
    }


def _cell(path: JSONPath, type: str) -> Cell:
    def cell(obj: Object, now: float) -> Any:
        try:
            found = path.find(obj)
        except PathError:
            return None
        if not found:
            return None
        value = found[0]
        if type == "string":
            return as_text(value)
        return None if value is None else _shown(value, type, now)

    return cell


def _shown(value: Any, type: str, now: float) -> Any:
    """A value that is not null, as a cell of a type; None where it does not fit."""
    if type == "date":
        return _date(value, now) if isinstance(value, str) else None
    if type == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if type == "integer":
        return int(value)
    return float(value) if type == "number" else None


def _date(text: str, now: float) -> str:
    if text in ("", "null"):
        return UNKNOWN
    try:
        return age(canonical_time(text), now)
    except TimeError:
        return INVALID
