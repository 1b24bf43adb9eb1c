"""Lists of type set and map hold no item twice (apiextensions-apiserver/pkg/apiserver/schema/listtype/validation.go)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.structural.model import Structural
from apiserver_workers.apimachinery.structural.result import ordered
from apiserver_workers.apimachinery.validation.field import duplicate, invalid, join, key


def list_type_faults(value: Any, schema: Structural, path: str = "") -> list[FieldError]:
    """What is repeated anywhere in an object."""
    faults: list[FieldError] = []
    _look(value, schema, path, faults)
    return faults


def has_list_types(schema: Structural | None) -> bool:
    """Whether any list of the schema is a set or a map."""
    if schema is None:
        return False
    if schema.list_type in ("set", "map"):
        return True
    return any(map(has_list_types, (*schema.properties.values(), schema.items, schema.additional)))


def _look(value: Any, schema: Structural, path: str, faults: list[FieldError]) -> None:
    if value.__class__ is dict:
        if schema.additional is not None:
            for name in sorted(value):
                _look(value[name], schema.additional, key(path, name), faults)
        for name, known in schema.properties.items():
            if name in value:
                _look(value[name], known, join(path, name), faults)
    elif value.__class__ is list:
        _look_at_list(value, schema, path, faults)


def _look_at_list(items: list[Any], schema: Structural, path: str, faults: list[FieldError]) -> None:
    if schema.list_type == "set":
        faults += [duplicate(f"{path}[{index}]", ordered(items[index])) for index in _second_times(items)]
    elif schema.list_type == "map":
        faults += _map_faults(items, schema.list_keys, path)
    if schema.items is not None:
        for index, item in enumerate(items):
            _look(item, schema.items, f"{path}[{index}]", faults)


def _map_faults(items: list[Any], names: Sequence[str], path: str) -> list[FieldError]:
    for index, item in enumerate(items):
        if item is not None and item.__class__ is not dict:
            return [invalid(f"{path}[{index}]", item, "must be an object for an array of list-type map")]
    keys = [{name: item[name] for name in names if name in item} if item else {} for item in items]
    return [duplicate(f"{path}[{index}]", ordered(keys[index])) for index in _second_times(keys)]


def _second_times(values: Sequence[Any]) -> list[int]:
    """The indexes at which a value appears for the second time."""
    times: dict[Any, int] = {}
    found = []
    for index, value in enumerate(values):
        same = (value.__class__, _hashable(value))
        times[same] = times.get(same, 0) + 1
        if times[same] == 2:
            found.append(index)
    return found


def _hashable(value: Any) -> Any:
    if value.__class__ in (dict, list):
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return value
