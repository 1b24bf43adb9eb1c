"""What the macros of two variables are made of. Upstream: cel-go ext/comprehensions.go."""

from __future__ import annotations

from typing import Any

from ..failures import Failure
from ..text import pairs, show
from ..values import MISSING, KeyedMap, find
from .row import Row


def insert(target: Any, key: Any, value: Any) -> Any:
    """A map with one more entry. Raises Failure if the key is there."""
    if find(target, key) is not MISSING:
        raise Failure(f"insert failed: key {show(key)} already exists")
    if type(key) is str and type(target) is dict:
        return {**target, key: value}
    made = KeyedMap()
    for known, item in pairs(target):
        made.set(known, item)
    made.set(key, value)
    return made


def insert_all(target: Any, entries: Any) -> Any:
    """A map with the entries of another. Raises Failure if a key is there."""
    for key, value in pairs(entries):
        target = insert(target, key, value)
    return target


_MAP = "map(K, V)"

ROWS: tuple[Row, ...] = (
    Row(
        "@mapInsert_map_key_value",
        "cel.@mapInsert",
        (_MAP, "K", "V"),
        _MAP,
        insert,
        since=32,
        library="comprehensions",
        hidden=True,
    ),
    Row(
        "@mapInsert_map_map",
        "cel.@mapInsert",
        (_MAP, _MAP),
        _MAP,
        insert_all,
        since=32,
        library="comprehensions",
        hidden=True,
    ),
)
