"""What a schema drops from objects, and what it adds."""

from __future__ import annotations

import copy

import pytest
from apiserver_workers.apimachinery.structural.defaulting import default, has_defaults, prune_non_nullable_nulls
from apiserver_workers.apimachinery.structural.model import structural_of
from apiserver_workers.apimachinery.structural.pruning import prune

PRESERVE = {"x-kubernetes-preserve-unknown-fields": True}
META = {"apiVersion": "v1", "kind": "K", "metadata": {"name": "x", "odd": 1}}

PRUNED = [
    ({}, {"a": 1}, {}, ["a"]),
    ({"properties": {"a": {}}}, {"a": 1, "b": 2}, {"a": 1}, ["b"]),
    ({"properties": {"a": {"properties": {"b": {}}}}}, {"a": {"b": 1, "c": {"d": 1}}}, {"a": {"b": 1}}, ["a.c"]),
    ({"additionalProperties": {"properties": {"b": {}}}}, {"x": {"b": 1, "c": 2}}, {"x": {"b": 1}}, ["x.c"]),
    ({"additionalProperties": True}, {"x": {"b": 1}}, {"x": {}}, ["x.b"]),
    (
        {"properties": {"l": {"items": {"properties": {"a": {}}}}}},
        {"l": [{"a": 1, "b": 2}]},
        {"l": [{"a": 1}]},
        ["l[0].b"],
    ),
    ({"properties": {"l": {}}}, {"l": [{"b": 2}]}, {"l": [{}]}, ["l[0].b"]),
    (PRESERVE, {"a": {"b": 1}}, {"a": {"b": 1}}, []),
    (
        {**PRESERVE, "properties": {"a": {"properties": {"b": {}}}}},
        {"a": {"b": 1, "c": 2}, "x": 1},
        {"a": {"b": 1}, "x": 1},
        ["a.c"],
    ),
    ({"properties": {"e": {"x-kubernetes-embedded-resource": True}}}, {"e": {**META, "z": 1}}, {"e": META}, ["e.z"]),
]


@pytest.mark.parametrize(("schema", "obj", "expected", "unknown"), PRUNED)
def test_what_the_schema_does_not_know_is_dropped(schema, obj, expected, unknown):
    root = structural_of({"type": "object", **schema})
    pruned, told = copy.deepcopy(obj), copy.deepcopy(obj)
    assert prune(pruned, root, is_resource_root=True) == []
    assert prune(told, root, is_resource_root=True, collect=True) == unknown
    assert pruned == told == expected


def test_the_head_of_a_resource_stays_and_that_of_others_goes():
    obj = copy.deepcopy(META)
    assert prune(obj, None, is_resource_root=True, collect=True) == []
    assert obj == META
    assert prune(obj, structural_of({}), is_resource_root=False, collect=True) == []
    assert obj == {}


DEFAULTED = [
    ({"properties": {"a": {"default": 1}}}, {}, {"a": 1}),
    ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": 1}),
    ({"properties": {"a": {"default": 1, "nullable": True}}}, {"a": None}, {"a": None}),
    ({"properties": {"a": {"default": {}, "properties": {"b": {"default": 2}}}}}, {}, {"a": {"b": 2}}),
    ({"properties": {"a": {"properties": {"b": {"default": 2}}}}}, {}, {}),
    ({"properties": {"a": {"properties": {"b": {"default": 2}}}}}, {"a": {}}, {"a": {"b": 2}}),
    ({"additionalProperties": {"default": 3}}, {"x": None}, {"x": 3}),
    ({"properties": {"l": {"items": {"default": 4}}}}, {"l": [None, 1]}, {"l": [4, 1]}),
    ({"properties": {"l": {"items": {"properties": {"b": {"default": 5}}}}}}, {"l": [{}]}, {"l": [{"b": 5}]}),
    ({"properties": {"a": {"default": False}}}, {}, {"a": False}),
]


@pytest.mark.parametrize(("schema", "obj", "expected"), DEFAULTED)
def test_what_is_missing_is_set(schema, obj, expected):
    root = structural_of(schema)
    assert has_defaults(root)
    default(obj, root)
    assert obj == expected


def test_defaults_are_copied():
    root = structural_of({"properties": {"a": {"default": {"b": []}}}})
    one: dict = {}
    default(one, root)
    one["a"]["b"].append(1)
    other: dict = {}
    default(other, root)
    assert other == {"a": {"b": []}}


@pytest.mark.parametrize(
    ("schema", "obj", "expected"),
    [
        ({"properties": {"a": {}}}, {"a": None}, {}),
        ({"properties": {"a": {"nullable": True}}}, {"a": None}, {"a": None}),
        ({"properties": {"a": {"default": 1}}}, {"a": None}, {"a": None}),
        ({}, {"unknown": None}, {"unknown": None}),
        ({"additionalProperties": {}}, {"x": None}, {}),
        ({"properties": {"l": {"items": {"properties": {"a": {}}}}}}, {"l": [{"a": None}, None]}, {"l": [{}, None]}),
    ],
)
def test_nulls_go_where_there_may_be_none(schema, obj, expected):
    prune_non_nullable_nulls(obj, structural_of(schema))
    assert obj == expected
