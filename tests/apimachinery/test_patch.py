"""JSON patch and JSON merge patch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.patch import PatchError, json_patch, merge_patch, unknown_operation_members
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DOC: dict[str, Any] = {"a": {"b": [1, 2, 3], "c/d": "x", "e~f": "y"}, "n": None, "s": "text"}


@pytest.mark.parametrize(
    ("ops", "expected"),
    [
        ([{"op": "add", "path": "/k", "value": 1}], {**DOC, "k": 1}),
        ([{"op": "add", "path": "/a/b/-", "value": 4}], {**DOC, "a": {**DOC["a"], "b": [1, 2, 3, 4]}}),
        ([{"op": "add", "path": "/a/b/0", "value": 0}], {**DOC, "a": {**DOC["a"], "b": [0, 1, 2, 3]}}),
        ([{"op": "add", "path": "/a/b/-1", "value": 4}], {**DOC, "a": {**DOC["a"], "b": [1, 2, 3, 4]}}),
        ([{"op": "remove", "path": "/a/b/-1"}], {**DOC, "a": {**DOC["a"], "b": [1, 2]}}),
        ([{"op": "replace", "path": "/a/b/1", "value": 9}], {**DOC, "a": {**DOC["a"], "b": [1, 9, 3]}}),
        ([{"op": "replace", "path": "/absent", "value": 9}], {**DOC, "absent": 9}),
        ([{"op": "replace", "path": "", "value": {"z": 1}}], {"z": 1}),
        ([{"op": "remove", "path": "/a/c~1d"}, {"op": "remove", "path": "/a/e~0f"}], {**DOC, "a": {"b": [1, 2, 3]}}),
        ([{"op": "move", "from": "/s", "path": "/t"}], {"a": DOC["a"], "n": None, "t": "text"}),
        ([{"op": "test", "path": "/a/b/0", "value": 1}, {"op": "remove", "path": "/a"}], {"n": None, "s": "text"}),
        ([{"op": "test", "path": "/absent", "value": None}], DOC),
        (None, DOC),
        ([], DOC),
    ],
)
def test_operations(ops: Any, expected: Any) -> None:
    assert json_patch(DOC, ops) == expected


def test_a_copy_is_independent_of_its_source() -> None:
    ops = [
        {"op": "add", "path": "/a/x", "value": {"y": 1}},
        {"op": "copy", "from": "/a/x", "path": "/z"},
        {"op": "add", "path": "/z/y", "value": 2},
        {"op": "add", "path": "/a/x/w", "value": 3},
    ]
    patched = json_patch(DOC, ops)
    assert patched["a"]["x"] == {"y": 1, "w": 3}
    assert patched["z"] == {"y": 2}


def test_values_of_the_patch_are_not_changed_by_later_operations() -> None:
    ops = [{"op": "add", "path": "/v", "value": {"l": []}}, {"op": "add", "path": "/v/l/-", "value": 1}]
    before = copy.deepcopy(ops)
    assert json_patch({}, ops) == {"v": {"l": [1]}}
    assert ops == before


@pytest.mark.parametrize(
    "op",
    [
        {"op": "frobnicate", "path": "/a"},
        {"path": "/a"},
        {"op": "remove", "path": "/absent"},
        {"op": "remove"},
        {"op": "add", "path": "a", "value": 1},
        {"op": "add", "path": "/a/b/9", "value": 1},
        {"op": "add", "path": "/a/b/x", "value": 1},
        {"op": "add", "path": "/s/t", "value": 1},
        {"op": "replace", "path": "/a/b/3", "value": 1},
        {"op": "replace", "path": "", "value": "scalar"},
        {"op": "test", "path": "/s", "value": "other"},
        {"op": "test", "path": "/a/b/0", "value": 1.0},
        {"op": "test", "path": "/a/b/0", "value": True},
        {"op": "move", "from": "/absent", "path": "/x"},
        None,
    ],
)
def test_an_operation_that_fails_is_answered_with_422_and_no_details(op: Any) -> None:
    with pytest.raises(ApiError) as caught:
        json_patch(DOC, [op])
    assert caught.value.status == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "the server rejected our request due to an error in our request",
        "reason": "Invalid",
        "details": {},
        "code": 422,
    }


@pytest.mark.parametrize(
    ("ops", "message"),
    [
        ({"op": "x"}, "json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"),
        (["x"], "json: cannot unmarshal string into Go value of type handlers.jsonPatchOp"),
        ([{"op": 1}], "json: cannot unmarshal number into Go struct field jsonPatchOp.op of type string"),
    ],
)
def test_what_is_no_patch_is_a_bad_request(ops: Any, message: str) -> None:
    with pytest.raises(ApiError, match="error decoding patch") as caught:
        json_patch(DOC, ops)
    assert (caught.value.code, caught.value.message) == (400, f"error decoding patch: {message}")


def test_too_many_operations_are_too_large() -> None:
    ops = [{"op": "test", "path": "/s", "value": "text"}] * 10_000
    assert json_patch(DOC, ops) == DOC
    with pytest.raises(ApiError) as caught:
        json_patch(DOC, [*ops, ops[0]])
    assert caught.value.code == 413
    assert caught.value.message == "The allowed maximum operations in a JSON patch is 10000, got 10001"


def test_copies_that_double_the_document_are_stopped() -> None:
    ops = [{"op": "copy", "from": "/a", "path": f"/a/{number}"} for number in range(60)]
    with pytest.raises(ApiError) as caught:
        json_patch({"a": {"x": "y" * 1000}}, ops)
    assert caught.value.code == 422


def test_many_operations_on_a_large_object_take_little_time() -> None:
    doc = {"data": {str(number): number for number in range(10_000)}}
    ops = [{"op": "remove", "path": f"/data/{number}"} for number in range(10_000)]
    assert json_patch(doc, ops) == {"data": {}}
    assert len(doc["data"]) == 10_000


def test_unknown_members_of_operations_are_named() -> None:
    ops = [{"op": "add", "path": "/a", "value": 1}, {"op": "add", "colour": 1}]
    assert unknown_operation_members(ops) == ['json patch unknown field "[1].colour"']
    assert unknown_operation_members({}) == []


# The examples of RFC 7386, appendix A, as far as the patch is an object.
@pytest.mark.parametrize(
    ("doc", "patch", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(doc: Any, patch: Any, expected: Any) -> None:
    assert merge_patch(doc, patch) == expected


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (None, "Invalid JSON Patch"),
        ([1], "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"),
        ("x", "error decoding patch: json: cannot unmarshal string into Go value of type map[string]interface {}"),
    ],
)
def test_a_merge_patch_is_an_object(patch: Any, message: str) -> None:
    with pytest.raises(ApiError) as caught:
        merge_patch(DOC, patch)
    assert (caught.value.code, caught.value.message) == (400, message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
OBJECT = st.dictionaries(st.sampled_from("abcd"), JSON, max_size=4)
POINTER = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "-", "-1"]), max_size=3).map(
    lambda names: "".join("/" + name for name in names)
)
OPERATION = st.fixed_dictionaries(
    {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": POINTER},
    optional={"from": POINTER, "value": JSON},
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(OBJECT, OBJECT)
def test_merge_patch_never_changes_its_inputs_and_settles(doc: Any, patch: Any) -> None:
    before = copy.deepcopy((doc, patch))
    # A list that replaces an object keeps the nulls inside it, one that replaces a list loses them, as upstream.
    twice = merge_patch(merge_patch(doc, patch), patch)
    assert merge_patch(twice, patch) == twice
    assert (doc, patch) == before


@given(OBJECT, st.lists(OPERATION, max_size=6))
def test_json_patch_never_changes_its_inputs(doc: Any, ops: Any) -> None:
    before = copy.deepcopy((doc, ops))
    try:
        patched = json_patch(doc, ops)
    except ApiError as error:
        assert error.code == 422
    else:
        # sharing between parts of the result must not show: the same operations on a private copy give the same
        assert json_patch(copy.deepcopy(doc), copy.deepcopy(ops)) == patched
    assert (doc, ops) == before


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        ({"op": "add", "path": "/x/y", "value": 1}, 'add operation does not apply: doc is missing path: "/x/y": missing value'),
        ({"op": "remove", "path": "/x"}, "error in remove for path: '/x': Unable to remove nonexistent key: x: missing value"),
        (
            {"op": "replace", "path": "/list/7", "value": 1},
            "replace operation does not apply: doc is missing key: /list/7: missing value",
        ),
        ({"op": "replace", "path": "/x/y"}, "replace operation does not apply: doc is missing path: /x/y: missing value"),
        (
            {"op": "add", "path": "/list/9", "value": 1},
            "error in add for path: '/list/9': Unable to access invalid index: 9: invalid index referenced",
        ),
        (
            {"op": "add", "path": "/list/x", "value": 1},
            "error in add for path: '/list/x': value was not a proper array index: 'x': strconv.Atoi: parsing \"x\": invalid syntax",
        ),
        ({"op": "test", "path": "/a", "value": 2}, "testing value /a failed: test failed"),
        ({"op": "test", "path": "/b/c", "value": 2}, "test operation does not apply: is missing path: /b/c: missing value"),
        ({"op": "move", "from": "/b/c", "path": "/d"}, "move operation does not apply: doc is missing from path: /b/c: missing value"),
        ({"op": "copy", "from": "/b/c", "path": "/d"}, "copy operation does not apply: doc is missing from path: /b/c: missing value"),
        ({"op": "swap", "path": "/a"}, "Unexpected kind: swap"),
        ({"path": "/a"}, "Unexpected kind: unknown"),
    ],
)  # fmt: skip
def test_an_operation_that_fails_says_why_as_upstreams_library_does(operation, why):
    with pytest.raises(PatchError) as caught:
        json_patch({"a": 1, "list": [1]}, [operation])
    assert caught.value.why == why
    assert caught.value.message == "the server rejected our request due to an error in our request"
