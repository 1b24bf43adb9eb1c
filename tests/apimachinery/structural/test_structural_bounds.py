"""Bounds of structural schemas, and comparisons of enum that convert as Go does."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.structural.compiled import CompiledSchema
from apiserver_workers.apimachinery.structural.model import StructuralError

WRAPPERS = {
    "allOf": lambda inner: {"allOf": [inner]},
    "anyOf": lambda inner: {"anyOf": [inner]},
    "oneOf": lambda inner: {"oneOf": [inner]},
    "not": lambda inner: {"not": inner},
    "properties": lambda inner: {"properties": {"a": inner}},
    "items": lambda inner: {"items": inner},
    "additionalProperties": lambda inner: {"additionalProperties": inner},
}


def nested(keyword: str, levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"minLength": 1}
    for _ in range(levels):
        schema = WRAPPERS[keyword](schema)
    return schema


@pytest.mark.parametrize("keyword", WRAPPERS)
def test_a_schema_that_nests_too_deep_is_refused(keyword: str) -> None:
    with pytest.raises(StructuralError, match="must not be nested deeper than 250 levels"):
        CompiledSchema(nested(keyword, 10_000))


@pytest.mark.parametrize("keyword", WRAPPERS)
def test_a_schema_of_allowed_depth_is_prepared(keyword: str) -> None:
    CompiledSchema(nested(keyword, 200)).prepare()


@pytest.mark.parametrize(
    ("value", "fits"),
    [(97, True), (98, False), (-1, False), (0xD800, False), (0x110000, False), ("a", True), ("b", False)],
)
def test_integers_match_the_text_of_their_code_point(value: Any, fits: bool) -> None:
    schema = CompiledSchema({"x-kubernetes-int-or-string": True, "enum": ["a"]})
    assert (schema.value_faults(value) == []) is fits
