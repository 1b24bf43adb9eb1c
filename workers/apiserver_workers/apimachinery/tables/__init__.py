"""Tables: what kubectl get shows of each kind, as the server computes it (meta.k8s.io/v1 Table).

`columns` and `rows` are the two halves of a Table; assembling one (its metadata, what `includeObject` asks for) is the
endpoints' part.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo, resource
from apiserver_workers.apimachinery.tables import pods
from apiserver_workers.apimachinery.tables.cells import since, value
from apiserver_workers.apimachinery.tables.table import DEFAULT, PRINTERS, SCALE, Printer

TIMES = ("Timestamp", "Time")

Column = dict[str, Any]
Row = dict[str, Any]


def columns(info: ResourceInfo, *, kind: str = "") -> Sequence[Column]:
    """The columnDefinitions of a resource's table; `kind` when the objects are of another, as of a subresource."""
    if kind == "Scale":
        return _scale_columns()
    return info.columns if info.columns and kind in ("", info.kind) else _default_columns()


def rows(
    info: ResourceInfo,
    objects: Iterable[dict[str, Any]],
    now: float,
    *,
    kind: str = "",
    printer: Printer | None = None,
) -> list[Row] | None:
    """A row for each object: its cells, conditions if it has any, and the object itself.

    `now` is Unix time. Rows are in the order of the objects, but for flow schemas, which are shown in the order in
    which they match. No objects make an empty list, and None (null in the answer, as upstream) in the default table.
    `printer` is `printer_of(info, kind)`, for who keeps it.
    """
    shown = kind or info.kind
    printer = printer or printer_of(info, shown)
    if shown == "FlowSchema":
        objects = sorted(objects, key=_matching_order)
    if shown == "Pod":
        return [_pod_row(obj, now) for obj in objects]
    made = [{"cells": printer(obj, now), "object": obj} for obj in objects]
    return made or (None if printer is DEFAULT else made)


def printer_of(info: ResourceInfo, kind: str) -> Printer:
    """What makes the cells of one object; `kind` is that of the objects."""
    if kind == "Scale":
        return SCALE
    if info.cells and kind == info.kind:
        return _by_paths(info)
    return PRINTERS.get((info.group, kind), DEFAULT)


def _by_paths(info: ResourceInfo) -> Printer:
    """The printer of a resource whose columns say themselves where their cells are; times are shown as ages."""
    made = [since(path) if path.endswith(TIMES) else value(path) for path in info.cells]
    return lambda obj, now: [cell(obj, now) for cell in made]


def _pod_row(pod: dict[str, Any], now: float) -> Row:
    conditions = pods.conditions(pod)
    cells = pods.cells(pod, now)
    if conditions:
        return {"cells": cells, "conditions": conditions, "object": pod}
    return {"cells": cells, "object": pod}


def _matching_order(schema: dict[str, Any]) -> tuple[int, str]:
    return (schema.get("spec") or {}).get("matchingPrecedence", 0), schema["metadata"].get("name", "")


@functools.cache
def _default_columns() -> tuple[Column, ...]:
    roles = resource("rbac.authorization.k8s.io", "v1", "roles")
    assert roles is not None
    return roles.columns


@functools.cache
def _scale_columns() -> tuple[Column, ...]:
    name, _ = _default_columns()
    deployments = resource("apps", "v1", "deployments")
    assert deployments is not None
    age = next(column for column in deployments.columns if column["name"] == "Age")
    desired, available = (
        {"name": title, "type": "integer", "format": "", "description": description, "priority": 0}
        for title, description in (
            ("Desired", "replicas is the desired number of instances for the scaled object."),
            ("Available", "replicas is the actual number of observed instances of the scaled object."),
        )
    )
    return {**name, "format": ""}, desired, available, age
