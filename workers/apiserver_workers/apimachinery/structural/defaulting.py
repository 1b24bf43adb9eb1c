"""Defaults of a schema (apiextensions-apiserver/pkg/apiserver/schema/defaulting/algorithm.go, prunenulls.go)."""

from __future__ import annotations

import copy
from typing import Any

from apiserver_workers.apimachinery.structural.model import Structural


def default(value: Any, schema: Structural | None) -> None:
    """Set what is missing, in place; a null that may not be one counts as missing. The defaults are copied."""
    if schema is None:
        return
    if value.__class__ is dict:
        _default_map(value, schema)
    elif value.__class__ is list and schema.items is not None:
        items = schema.items
        for index, item in enumerate(value):
            if item is None and not items.nullable:
                value[index] = item = copy.deepcopy(items.default)
            default(item, items)


def _default_map(value: dict[str, Any], schema: Structural) -> None:
    properties = schema.properties
    for name, known in properties.items():
        if known.default is None:
            continue
        if name not in value or (value[name] is None and not known.nullable):
            value[name] = copy.deepcopy(known.default)
    additional = schema.additional
    for name, inside in value.items():
        found = properties.get(name)
        if found is not None:
            default(inside, found)
        elif additional is not None:
            if inside is None and not additional.nullable:
                value[name] = inside = copy.deepcopy(additional.default)
            default(inside, additional)


def prune_non_nullable_nulls(value: Any, schema: Structural | None) -> None:
    """Drop nulls, in place, where there may be none and no default takes their place."""
    if value.__class__ is dict:
        for name, inside in list(value.items()):
            known = None if schema is None else schema.child(name)
            if inside is None and known is not None and not known.nullable and known.default is None:
                del value[name]
            elif inside.__class__ is dict or inside.__class__ is list:
                prune_non_nullable_nulls(inside, known)
    elif value.__class__ is list:
        items = None if schema is None else schema.items
        for item in value:
            prune_non_nullable_nulls(item, items)


def has_defaults(schema: Structural | None) -> bool:
    """Whether defaulting can change any value of the schema."""
    if schema is None:
        return False
    children = (*schema.properties.values(), schema.items, schema.additional)
    return any(child is not None and (child.default is not None or has_defaults(child)) for child in children)
