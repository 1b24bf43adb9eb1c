"""What expressions of mutating policies make of an object: values as JSON, merges, refusals."""

from __future__ import annotations

import pytest
from apiserver_workers.admission.policies.patches import PatchFailed, apply_configuration, patched
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.validation.expressions import APPLY_CONFIGURATION, JSON_PATCH, Expressions

DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d", "labels": {"a": "1"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"a": "1"}},
        "template": {
            "metadata": {"labels": {"a": "1"}},
            "spec": {"containers": [{"name": "c", "image": "i", "args": ["x"]}]},
        },
    },
}


def value(use, source, **variables):
    program = Expressions(params=True, composed=True).program(use, source)
    outcome = program.run({"object": DEPLOYMENT, "params": None, **variables}, 1_000_000)
    assert outcome.failure is None, outcome.failure
    return outcome.value


def applied(source):
    kind = types.model().kind("apps", "v1", "Deployment")
    return apply_configuration(kind, DEPLOYMENT, value(APPLY_CONFIGURATION, source))


def spec_of(obj):
    return obj["spec"]["template"]["spec"]


def test_labels_are_merged():
    obj = applied("Object{metadata: Object.metadata{labels: {'b': '2'}}}")
    assert obj["metadata"]["labels"] == {"a": "1", "b": "2"}
    assert DEPLOYMENT["metadata"]["labels"] == {"a": "1"}


def test_items_of_a_list_are_merged_by_their_keys():
    sidecar = "Object.spec.template.spec.containers{name: 'side', image: 's'}"
    own = "Object.spec.template.spec.containers{name: 'c', imagePullPolicy: 'Always'}"
    template = f"Object.spec.template{{spec: Object.spec.template.spec{{containers: [{sidecar}, {own}]}}}}"
    containers = spec_of(applied(f"Object{{spec: Object.spec{{template: {template}}}}}"))["containers"]
    assert containers == [
        {"name": "side", "image": "s"},
        {"name": "c", "image": "i", "args": ["x"], "imagePullPolicy": "Always"},
    ]


def test_an_optional_field_that_has_no_value_is_left_out():
    obj = applied("Object{spec: Object.spec{?replicas: object.spec.?none, paused: true}}")
    assert obj["spec"]["replicas"] == 1
    assert obj["spec"]["paused"] is True


def test_an_object_of_the_request_can_be_part_of_the_configuration():
    obj = applied("Object{metadata: Object.metadata{annotations: object.metadata.labels}}")
    assert obj["metadata"]["annotations"] == {"a": "1"}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "Object{spec: Object.spec{selector: Object.spec.wrong{}}}",
            'type mismatch: unexpected type name "Object.spec.wrong", expected "Object.spec.selector", '
            "which matches field name path from root Object type",
        ),
        (
            "Object{spec: Object.spec{none: 1}}",
            "error applying patch: failed to convert patch object to typed object: .spec.none: "
            "field not declared in schema",
        ),
        (
            "Object{spec: Object.spec{replicas: 'x'}}",
            "error applying patch: failed to convert patch object to typed object: .spec.replicas: "
            "expected numeric (int or float), got string",
        ),
        (
            "Object{spec: Object.spec{selector: Object.spec.selector{matchLabels: {'b': '2'}}}}",
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.selector",
        ),
        (
            "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: ["
            "Object.spec.template.spec.containers{name: 'c', args: ['y']}]}}}}",
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: "
            ".spec.template.spec.containers[0].args",
        ),
        ("Object{metadata: Object.metadata{labels: {1: 'x'}}}", "invalid return type: *dynamic.ObjectVal"),
        (
            "Object{metadata: Object.metadata{labels: {'a': null}}}",
            "error applying patch: failed to convert patch object to typed object: .metadata.labels.a: "
            "unexpected value, got NULL_VALUE",
        ),
        (
            "Object{spec: Object.spec{replicas: duration('1s')}}",
            "error applying patch: failed to convert patch object to typed object: .spec.replicas: "
            "unexpected value, got 1s",
        ),
    ],
)
def test_a_configuration_that_cannot_be_applied(source, why):
    with pytest.raises(PatchFailed) as caught:
        applied(source)
    assert str(caught.value) == why


def patch(source):
    return patched(DEPLOYMENT, value(JSON_PATCH, source))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ("'x'", "x"),
        ("1", 1),
        ("1u", 1),
        ("1.5", 1.5),
        ("2.0", 2),
        ("true", True),
        ("null", None),
        ("9007199254740993", "9007199254740993"),
        ("b'abc'", "YWJj"),
        ("duration('90m')", "5400s"),
        ("duration('1500ms')", "1.5s"),
        ("timestamp('2024-01-02T03:04:05Z')", "2024-01-02T03:04:05Z"),
        ("[1, 2]", [1, 2]),
        ("{'a': 'b'}", {"a": "b"}),
        ("{1: 'b'}", {"1": "b"}),
        ("object.metadata.labels", {"a": "1"}),
        ("Object.metadata.annotations{a: 'b', c: [1]}", {"a": "b", "c": [1]}),
    ],
)
def test_values_of_patches_as_json(made, expected):
    obj = patch(f"[JSONPatch{{op: 'add', path: '/x', value: {made}}}]")
    assert obj["x"] == expected
    assert type(obj["x"]) is type(expected)


def test_operations_run_in_order_and_the_object_stays_as_it_is():
    obj = patch(
        "[JSONPatch{op: 'test', path: '/spec/replicas', value: 1}, JSONPatch{op: 'replace', path: '/spec/replicas', "
        "value: 3}, JSONPatch{op: 'copy', from: '/spec/replicas', path: '/spec/minReadySeconds'}, JSONPatch{op: 'remove', "
        "path: '/metadata/labels/' + jsonpatch.escapeKey('a')}]"
    )
    assert (obj["spec"]["replicas"], obj["spec"]["minReadySeconds"], obj["metadata"]["labels"]) == (3, 3, {})
    assert DEPLOYMENT["spec"]["replicas"] == 1


def test_a_test_that_fails_leaves_the_object_as_it_is():
    assert patch("[JSONPatch{op: 'test', path: '/spec/replicas', value: 2}]") is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (
            "[JSONPatch{op: 'remove', path: '/spec/none'}]",
            "JSON Patch: error in remove for path: '/spec/none': Unable to remove nonexistent key: none: missing value",
        ),
        (
            "[JSONPatch{op: 'add', path: '/none/none', value: 1}]",
            'JSON Patch: add operation does not apply: doc is missing path: "/none/none": missing value',
        ),
        ("[JSONPatch{op: 'nope', path: '/spec'}]", "JSON Patch: Unexpected kind: nope"),
        (
            "[JSONPatch{op: dyn(1), path: '/spec'}]",
            "unexpected type int64 for JSONPatchType 'op' field",
        ),
        (
            "[JSONPatch{op: 'add', path: '/spec', value: Object.spec{template: Object.spec{}}}]",
            'type mismatch: unexpected type name "Object.spec", expected "Object.spec.template", '
            "which matches field name path from root Object type",
        ),
    ],
)
def test_a_patch_that_cannot_be_applied(source, why):
    with pytest.raises(PatchFailed) as caught:
        patch(source)
    assert str(caught.value) == why
