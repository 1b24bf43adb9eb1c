"""Strategic merge patch: directives, merge keys, order, errors."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.patch import without_nulls
from apiserver_workers.apimachinery.strategic import strategic_merge
from apiserver_workers.apimachinery.types import model
from hypothesis import given
from hypothesis import strategies as st

POD = model().kind("", "v1", "Pod")
DEPLOYMENT = model().kind("apps", "v1", "Deployment")


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "labels": {"x": "1", "y": "2"}}, "spec": spec}


def containers(*names: str) -> list[dict[str, Any]]:
    return [{"name": name, "image": "i"} for name in names]


def names(obj: dict[str, Any], field: str = "containers") -> list[str]:
    return [item["name"] for item in obj["spec"][field]]


def patched(doc: dict[str, Any], **spec: Any) -> dict[str, Any]:
    before = copy.deepcopy((doc, spec))
    result = strategic_merge(POD, doc, {"spec": spec})
    assert (doc, spec) == before
    return result


def test_lists_are_merged_by_their_key_and_new_items_come_first() -> None:
    doc = pod(containers=containers("a", "b"))
    result = patched(doc, containers=[{"name": "b", "image": "j"}, {"name": "c", "image": "k"}])
    assert result["spec"]["containers"] == [
        {"name": "a", "image": "i"},
        {"name": "b", "image": "j"},
        {"name": "c", "image": "k"},
    ]
    assert names(patched(doc, containers=containers("c"))) == ["c", "a", "b"]


def test_untouched_parts_are_shared() -> None:
    doc = pod(containers=containers("a", "b"), volumes=[{"name": "v"}])
    result = patched(doc, containers=[{"name": "b", "image": "j"}])
    assert result["metadata"] is doc["metadata"]
    assert result["spec"]["volumes"] is doc["spec"]["volumes"]
    assert result["spec"]["containers"][0] is doc["spec"]["containers"][0]


def test_an_item_is_deleted_by_directive() -> None:
    doc = pod(containers=containers("a", "b", "c"))
    assert names(patched(doc, containers=[{"name": "b", "$patch": "delete"}])) == ["a", "c"]


def test_a_list_is_replaced_by_directive() -> None:
    doc = pod(containers=containers("a", "b"))
    assert names(patched(doc, containers=[{"$patch": "replace"}, {"name": "z"}])) == ["z"]


def test_an_object_is_replaced_or_emptied_by_directive() -> None:
    doc = pod()
    labels = strategic_merge(POD, doc, {"metadata": {"labels": {"$patch": "replace", "z": "3"}}})["metadata"]["labels"]
    assert labels == {"z": "3"}
    assert strategic_merge(POD, doc, {"metadata": {"labels": {"$patch": "delete"}}})["metadata"]["labels"] == {}


def test_null_removes_and_other_lists_are_replaced() -> None:
    doc = pod(containers=[{"name": "a", "args": ["1", "2"]}], nodeName="n")
    result = patched(doc, containers=[{"name": "a", "args": ["3"]}], nodeName=None)
    assert result["spec"] == {"containers": [{"name": "a", "args": ["3"]}]}


def test_lists_of_scalars_are_merged_as_sets_and_deleted_from() -> None:
    doc = {"metadata": {"name": "p", "finalizers": ["a", "b"]}}
    merged = strategic_merge(POD, doc, {"metadata": {"finalizers": ["b", "c"]}})
    assert merged["metadata"]["finalizers"] == ["a", "b", "c"]
    left = strategic_merge(POD, doc, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
    assert left["metadata"]["finalizers"] == ["b"]


def test_the_order_of_a_list_can_be_set() -> None:
    doc = pod(containers=containers("a", "b", "c"))
    spec = {"$setElementOrder/containers": [{"name": "c"}, {"name": "a"}], "containers": [{"name": "a", "image": "j"}]}
    assert names(patched(doc, **spec)) == ["b", "c", "a"]
    assert names(patched(doc, **{"$setElementOrder/containers": [{"name": "c"}, {"name": "b"}, {"name": "a"}]})) == [
        "c",
        "b",
        "a",
    ]


def test_retained_keys_clear_the_others() -> None:
    doc = pod(volumes=[{"name": "v", "emptyDir": {}}])
    volume = {"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/x"}}
    assert patched(doc, volumes=[volume])["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/x"}}]
    strategy = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    assert strategic_merge(DEPLOYMENT, {"spec": strategy}, patch)["spec"]["strategy"] == {"type": "Recreate"}


def test_directives_in_what_is_new_do_not_stay() -> None:
    result = patched(pod(), containers=[{"name": "a", "$patch": "delete"}, {"name": "b", "env": None}])
    assert result["spec"]["containers"] == [{"name": "b"}]


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        (
            {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "b", "image": "m"}]},
            500,
            "The order in patch list:\n[map[image:m name:b]]\n doesn't match $setElementOrder list:\n[map[name:a]]\n",
        ),
        (
            {"volumes": [{"name": "v", "$retainKeys": ["name"], "hostPath": {}}]},
            400,
            "invalid patch format of retainKeys",
        ),
        ({"$deleteFromPrimitiveList": ["x"]}, 400, "invalid patch format of primitive list"),
        ({"$setElementOrder": []}, 400, "invalid patch format of setElementOrder list"),
        ({"containers": [{"image": "x"}]}, 500, "map: map[image:x] does not contain declared merge key: name"),
        ({"containers": [{"name": "a", "$patch": "x"}]}, 500, "unknown patch type: x in map: map[$patch:x name:a]"),
        ({"containers": [{"$patch": "merge"}]}, 500, "merging lists cannot yet be specified in the patch"),
        ({"containers": ["x"]}, 500, "list element types are not identical: [[map[image:i name:a]] [x]]"),
        ({"$patch": "x"}, 500, "unknown patch type: x in map: map[$patch:x]"),
    ],
)
def test_errors(spec: Any, code: int, message: str) -> None:
    doc = pod(containers=containers("a"), volumes=[{"name": "v"}])
    with pytest.raises(ApiError) as caught:
        strategic_merge(POD, doc, {"spec": spec})
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_patch_is_an_object() -> None:
    with pytest.raises(ApiError) as caught:
        strategic_merge(POD, pod(), [])
    assert caught.value.message == "json: cannot unmarshal array into Go value of type map[string]interface {}"
    assert strategic_merge(POD, pod(), None) == pod()


ITEM = st.fixed_dictionaries(
    {"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xy"), "args": st.just(["1"])}
)
ITEMS = st.lists(ITEM, max_size=4, unique_by=lambda item: item["name"])


@given(ITEMS, ITEMS)
def test_a_patch_with_the_wanted_items_leads_to_them(live: Any, wanted: Any) -> None:
    """The patch that a client computes: order, every wanted item, and a deletion for each item that has to go."""
    gone = [item["name"] for item in live if item["name"] not in {want["name"] for want in wanted}]
    changes = [{"image": None, "args": None, **item} for item in wanted]
    patch = {
        "$setElementOrder/containers": [{"name": item["name"]} for item in wanted],
        "containers": changes + [{"name": name, "$patch": "delete"} for name in gone],
    }
    if not live and not wanted:
        return
    assert without_nulls(patched(pod(containers=live), **patch)["spec"]["containers"]) == wanted


@given(ITEMS, ITEMS)
def test_merging_twice_is_merging_once(live: Any, change: Any) -> None:
    once = patched(pod(containers=live), containers=change)
    again = patched(once, containers=change)
    assert again == once


@pytest.mark.parametrize(
    ("doc", "patch", "left"),
    [
        (
            {"containers": [{"name": "a", "args": ["x", "y", "z", "y"]}]},
            {"containers": [{"name": "a", "$deleteFromPrimitiveList/args": ["y"]}]},
            {"containers": [{"name": "a", "args": ["x", "z"]}]},
        ),
        (
            {"containers": [{"name": "a", "command": ["x"]}]},
            {"containers": [{"name": "a", "$deleteFromPrimitiveList/command": ["y"]}]},
            {"containers": [{"name": "a", "command": ["x"]}]},
        ),
        (
            {"dnsConfig": {"nameservers": ["1.1.1.1", "8.8.8.8"], "searches": ["a"]}},
            {
                "dnsConfig": {
                    "$deleteFromPrimitiveList/nameservers": ["1.1.1.1"],
                    "$deleteFromPrimitiveList/searches": [],
                }
            },
            {"dnsConfig": {"nameservers": ["8.8.8.8"], "searches": ["a"]}},
        ),
        (
            {"securityContext": {"supplementalGroups": [1, 2, 3]}},
            {"securityContext": {"$deleteFromPrimitiveList/supplementalGroups": [1, 3]}},
            {"securityContext": {"supplementalGroups": [2]}},
        ),
        (
            {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["a", "b"]}]},
            {"hostAliases": [{"ip": "1.1.1.1", "$deleteFromPrimitiveList/hostnames": ["a"]}]},
            {"hostAliases": [{"ip": "1.1.1.1", "hostnames": ["b"]}]},
        ),
        ({}, {"dnsConfig": {"nameservers": ["x"]}}, {"dnsConfig": {"nameservers": ["x"]}}),
    ],
)
def test_items_are_deleted_from_lists_of_scalars_whatever_their_strategy(doc: Any, patch: Any, left: Any) -> None:
    assert patched(pod(**doc), **patch)["spec"] == left


def test_items_are_not_deleted_by_value_from_a_list_of_objects_without_a_merge_key() -> None:
    doc = pod(tolerations=[{"key": "a"}])
    with pytest.raises(ApiError) as caught:
        patched(doc, **{"$deleteFromPrimitiveList/tolerations": [{"key": "a"}]})
    assert caught.value.message == "cannot merge lists without merge key for type struct"
