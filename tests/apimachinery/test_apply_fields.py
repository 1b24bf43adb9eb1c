"""Field sets: their algebra, checked against plain sets of paths, and comparing objects."""

from __future__ import annotations

import copy
from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery.apply.compare import compare, to_field_set
from apiserver_workers.apimachinery.apply.fields import (
    canonical,
    difference,
    field_set,
    has,
    in_text_order,
    insert,
    intersection,
    is_member,
    paths,
    union,
)
from apiserver_workers.apimachinery.apply.plan import KeyMissing, owned_plan, plan, zero
from apiserver_workers.apimachinery.apply.typed import TypedError, check, merge, remove
from apiserver_workers.apimachinery.types import model
from hypothesis import given
from hypothesis import strategies as st

Path = tuple[str, ...]
PATHS = st.sets(st.lists(st.sampled_from(["f:a", "f:b", "f:c"]), min_size=1, max_size=3).map(tuple), max_size=6)


def made_of(members: set[Path]) -> Any:
    fields: dict[str, Any] = {}
    for path in sorted(members):
        insert(fields, path)
    return fields or None


def members_of(fields: Any, prefix: Path = ()) -> set[Path]:
    found: set[Path] = set()
    for name, below in (fields or {}).items():
        if name != ".":
            if is_member(below):
                found.add((*prefix, name))
            found |= members_of(below, (*prefix, name))
    return found


@given(PATHS, PATHS)
def test_the_algebra_is_that_of_sets_of_paths(left: set[Path], right: set[Path]) -> None:
    mine, other = made_of(left), made_of(right)
    before = copy.deepcopy((mine, other))
    assert members_of(mine) == left
    assert union(mine, other) == made_of(left | right)
    assert intersection(mine, other) == made_of(left & right)
    assert difference(mine, other) == made_of(left - right)
    below = {path for path in left if any(path[: len(root)] == root for root in right)}
    assert difference(mine, other, recursive=True) == made_of(left - below)
    assert all(has(mine, path) == (path in left) for path in left | right)
    assert (mine, other) == before


@given(PATHS)
def test_what_is_not_different_is_the_same_object(members: set[Path]) -> None:
    fields = made_of(members)
    assert difference(fields, {"f:z": {}}) is fields
    assert union(fields, None) is fields


def test_paths_are_printed_as_upstream_prints_them() -> None:
    fields = {
        "f:spec": {
            "f:replicas": {},
            "f:ports": {".": {}, 'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}}},
            "f:list": {"i:1": {}, 'v:"x"': {}},
        }
    }
    assert list(paths(fields)) == [
        ".spec.ports",
        ".spec.replicas",
        ".spec.list[1]",
        '.spec.list[="x"]',
        '.spec.ports[port=80,protocol="TCP"]',
        '.spec.ports[port=80,protocol="TCP"].name',
    ]


def test_sets_of_clients_are_checked_and_brought_into_our_form() -> None:
    assert canonical({'k:{"b": 1, "a": "x"}': {".": {}}, "f:a b": {}}) == {'k:{"a":"x","b":1}': {".": {}}, "f:a b": {}}
    for bad in ([], {"x:y": {}}, {"i:one": {}}, {"k:[1]": {}}, {"k:{": {}}, {"f:a": 1}):
        with pytest.raises(ValueError):
            canonical(bad)


DEPLOYMENT = model().kind("apps", "v1", "Deployment")
CONFIG_MAP = model().kind("", "v1", "ConfigMap")
POD = model().kind("", "v1", "Pod")


def test_created_objects_own_what_they_set_but_not_the_structs_that_go_always_writes() -> None:
    pod = {
        "metadata": {"name": "p", "labels": {"a": "b"}},
        "spec": {
            "containers": [
                {"name": "c", "image": "i", "resources": {}, "ports": [{"containerPort": 80, "protocol": "TCP"}]}
            ],
            "securityContext": {},
        },
        "status": {},
    }
    changed, removed = compare(owned_plan(POD), zero(POD), pod)
    assert removed is None
    assert changed == {
        "f:metadata": {"f:labels": {".": {}, "f:a": {}}},
        "f:spec": {
            "f:containers": {
                'k:{"name":"c"}': {
                    ".": {},
                    "f:name": {},
                    "f:image": {},
                    "f:resources": {},
                    "f:ports": {
                        ".": {},
                        'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}, "f:protocol": {}},
                    },
                }
            },
            "f:securityContext": {},
        },
    }


def test_comparing_tells_changed_from_removed() -> None:
    old = {"data": {"a": "1", "b": "2"}, "metadata": {"finalizers": ["x", "y"], "resourceVersion": "1"}}
    new = {"data": {"a": "2", "c": "3"}, "metadata": {"finalizers": ["y", "z"], "resourceVersion": "2"}}
    assert compare(owned_plan(CONFIG_MAP), old, new) == (
        {"f:data": {"f:a": {}, "f:c": {}}, "f:metadata": {"f:finalizers": {'v:"z"': {}}}},
        {"f:data": {"f:b": {}}, "f:metadata": {"f:finalizers": {'v:"x"': {}}}},
    )


def test_atomic_parts_are_compared_as_one_value() -> None:
    old = {"spec": {"selector": {"matchLabels": {"a": "b"}}}}
    new = {"spec": {"selector": {"matchLabels": {"a": "c"}}}}
    assert compare(owned_plan(DEPLOYMENT), old, new) == ({"f:spec": {"f:selector": {}}}, None)


def test_repeated_items_are_compared_as_one_value() -> None:
    def pod(*values: str) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": value} for value in values]}]}}

    def differs(old: dict[str, Any], new: dict[str, Any]) -> Any:
        changed, removed = compare(owned_plan(POD), old, new)
        place = ["f:spec", "f:containers", 'k:{"name":"c"}', "f:env", 'k:{"name":"A"}']
        for name in place:
            changed, removed = changed and changed.get(name), removed and removed.get(name)
        return changed, removed

    assert differs(pod("1", "2"), pod("1", "3")) == ({}, None)
    assert differs(pod("1"), pod("1", "3")) == ({}, {".": {}, "f:name": {}, "f:value": {}})
    assert differs(pod("1", "2"), pod("1")) == ({".": {}, "f:name": {}, "f:value": {}}, {})


def test_an_applied_configuration_owns_leaves_and_items_but_not_the_structs_between() -> None:
    patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "env": []}], "nodeSelector": {"a": "b"}}}}}
    assert to_field_set(plan(DEPLOYMENT), patch) == {
        "f:spec": {
            "f:template": {
                "f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}}}, "f:nodeSelector": {}}
            }
        }
    }


def test_an_item_without_its_key_cannot_be_told_apart() -> None:
    changed, _ = compare(owned_plan(POD), zero(POD), {"spec": {"containers": [{"image": "x"}]}})
    assert changed == {"f:spec": {"f:containers": {'k:{"name":""}': {".": {}, "f:image": {}}}}}
    with pytest.raises(KeyMissing):
        compare(owned_plan(POD), zero(POD), {"spec": {"containers": [None]}})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"golden": 1}, ".spec.golden: field not declared in schema"),
        ({"replicas": "three"}, ".spec.replicas: expected numeric (int or float), got string"),
        ({"paused": "x"}, ".spec.paused: expected boolean, got &{x}"),
        ({"template": [1]}, ".spec.template: expected map, got &{[1]}"),
        (
            {"template": {"spec": {"containers": {"a": 1}}}},
            ".spec.template.spec.containers: expected list, got &{map[a:1]}",
        ),
        (
            {
                "template": {
                    "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 1}]}]}
                }
            },
            '.spec.template.spec.containers[name="c"].ports: duplicate entries for key [containerPort=1,protocol="TCP"]',
        ),
        (
            {"replicas": "x", "paused": 1},
            "errors:\n  .spec.replicas: expected numeric (int or float), got string\n"
            "  .spec.paused: expected boolean, got &{1}",
        ),
    ],
)
def test_configurations_that_do_not_fit_the_type(spec: Any, message: str) -> None:
    with pytest.raises(TypedError) as caught:
        check(plan(DEPLOYMENT), {"spec": spec})
    assert str(caught.value) == message


def ports(*numbers: int) -> list[dict[str, Any]]:
    return [{"containerPort": number, "protocol": "TCP"} for number in numbers]


@pytest.mark.parametrize(
    ("live", "applied", "expected"),
    [
        ([1, 2, 3], [4], [1, 2, 3, 4]),
        ([1, 2, 3], [3, 1], [2, 3, 1]),
        ([1, 2, 3], [2, 4], [1, 2, 4, 3]),
        ([1, 2, 3], [4, 3], [1, 2, 4, 3]),
        ([1], [3, 1, 2], [3, 1, 2]),
        ([], [2, 1], [2, 1]),
        ([1, 2, 3, 4], [4, 9, 2], [1, 3, 4, 9, 2]),
    ],
)
def test_merged_lists_keep_both_orders(live: list[int], applied: list[int], expected: list[int]) -> None:
    def numbered(numbers: list[int]) -> dict[str, Any]:
        return {"spec": {"containers": [{"name": "c", "ports": ports(*numbers)}]}}

    merged = merge(plan(POD), numbered(live), numbered(applied))
    assert [port["containerPort"] for port in merged["spec"]["containers"][0]["ports"]] == expected


def test_removing_fields_shares_the_rest_and_empties_to_null() -> None:
    obj = {"metadata": {"labels": {"a": "1"}, "annotations": {"x": "y"}}, "data": {"k": "v", "l": "w"}}
    left = remove(plan(CONFIG_MAP), obj, field_set(("metadata", "labels", "a"), ("data", "k")))
    assert left == {"metadata": {"labels": None, "annotations": {"x": "y"}}, "data": {"l": "w"}}
    assert left["metadata"]["annotations"] is obj["metadata"]["annotations"]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"f:name": {}, "f:image": {}, ".": {}}, '{".":{},"f:image":{},"f:name":{}}'),
        ({"f:b": {"f:d": {}, "f:c": {}}, "f:a": {}}, '{"f:a":{},"f:b":{"f:c":{},"f:d":{}}}'),
        (
            {'k:{"containerPort":443}': {}, 'k:{"containerPort":80}': {}, ".": {}},
            '{".":{},"k:{\\"containerPort\\":80}":{},"k:{\\"containerPort\\":443}":{}}',
        ),
        (
            {'k:{"port":80,"protocol":"UDP"}': {}, 'k:{"port":80,"protocol":"TCP"}': {}},
            '{"k:{\\"port\\":80,\\"protocol\\":\\"TCP\\"}":{},"k:{\\"port\\":80,\\"protocol\\":\\"UDP\\"}":{}}',
        ),
        ({'v:"b"': {}, 'v:"a"': {}, ".": {}}, '{".":{},"v:\\"a\\"":{},"v:\\"b\\"":{}}'),
        ({"v:10": {}, "v:9": {}, "v:true": {}, 'v:"x"': {}}, '{"v:9":{},"v:10":{},"v:\\"x\\"":{},"v:true":{}}'),
        ({"i:10": {}, "i:9": {}, "f:z": {}}, '{"f:z":{},"i:9":{},"i:10":{}}'),
        ({}, "{}"),
    ],
)
def test_the_order_of_the_text(fields: Any, text: str) -> None:
    assert orjson.dumps(in_text_order(fields)).decode() == text
    assert in_text_order(fields) == fields
