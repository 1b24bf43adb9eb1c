"""Values against schemas: fault by fault, in kube-openapi's words."""

from __future__ import annotations

import time

import pytest
from apiserver_workers.apimachinery.structural.compiled import compiled_schema
from apiserver_workers.apimachinery.structural.model import Structural, StructuralError, structural_of


def of(schema):
    """A schema with one property `x`."""
    return compiled_schema({"type": "object", "properties": {"x": schema}})


def faults(schema, value):
    compiled = of(schema)
    found = [str(fault) for fault in compiled.value_faults({"x": value})]
    assert bool(found) != compiled._values.fits({"x": value}), "the quick way and the exact one agree"
    return found


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
IN_BODY = "x in body"

ROWS = [
    # types
    (STRING, "a", []),
    (STRING, 1, ['x: Invalid value: "integer": x in body must be of type string: "integer"']),
    (STRING, None, ['x: Invalid value: "null": x in body must be of type string: "null"']),
    ({**STRING, "nullable": True}, None, []),
    (INTEGER, 1.0, []),
    (INTEGER, 1.5, [
        'x: Invalid value: "number": x in body must be of type integer: "number"',
        '<nil>: Invalid value: "": Checked value must be of type integer (default format) in x',
    ]),
    ({"type": "number"}, 3, []),
    ({"type": "boolean"}, "true", ['x: Invalid value: "string": x in body must be of type boolean: "string"']),
    ({"type": "array"}, {}, ['x: Invalid value: "object": x in body must be of type array: "object"']),
    ({"x-kubernetes-int-or-string": True}, 5, []),
    ({"x-kubernetes-int-or-string": True}, "5", []),
    ({"x-kubernetes-int-or-string": True}, [], ['x: Invalid value: "array": x in body must be of type integer,string: "array"']),
    # strings: the first rule that fails is told alone
    ({**STRING, "maxLength": 1}, "ab", ["x: Too long: may not be more than 1 byte"]),
    ({**STRING, "maxLength": 2, "pattern": "^b"}, "aaa", ["x: Too long: may not be more than 2 bytes"]),
    ({**STRING, "maxLength": 1}, "é", []),
    ({**STRING, "minLength": 2}, "a", [f'x: Invalid value: "a": {IN_BODY} should be at least 2 chars long']),
    ({**STRING, "pattern": "^a+$"}, "b", [f"x: Invalid value: \"b\": {IN_BODY} should match '^a+$'"]),
    # formats
    ({**STRING, "format": "date"}, "2020-02-30", [f'x: Invalid value: "2020-02-30": {IN_BODY} must be of type date: "2020-02-30"']),
    ({**STRING, "format": "date-time"}, "2020-02-03T10:00:00Z", []),
    ({**STRING, "format": "nonsense"}, "anything", []),
    ({**STRING, "format": "date"}, [], []),  # as upstream: a format hides the type of a list
    ({**INTEGER, "format": "int32"}, 1 << 31, ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in x']),
    # enums
    ({**STRING, "enum": ["a", "b"]}, "c", ['x: Unsupported value: "c": supported values: "a", "b"']),
    ({"enum": [1, {"a": 1}], "x-kubernetes-preserve-unknown-fields": True}, {"a": 1}, []),
    ({**INTEGER, "enum": [1, 2]}, 3, ['x: Unsupported value: 3: supported values: "1", "2"']),
    ({**STRING, "enum": ["a"], "nullable": True}, None, ['x: Unsupported value: null: supported values: "a"']),
    # numbers
    ({**INTEGER, "minimum": 2}, 1, [f"x: Invalid value: 1: {IN_BODY} should be greater than or equal to 2"]),
    ({**INTEGER, "maximum": 2, "exclusiveMaximum": True}, 2, [f"x: Invalid value: 2: {IN_BODY} should be less than 2"]),
    ({"type": "number", "maximum": 1e6}, 2e6 + 0.5, [f"x: Invalid value: 2000000.5: {IN_BODY} should be less than or equal to 1e+06"]),
    ({**INTEGER, "multipleOf": 3}, 4, [f"x: Invalid value: 4: {IN_BODY} should be a multiple of 3"]),
    ({"type": "number", "multipleOf": 0.1}, 0.3, []),
    ({"type": "number", "multipleOf": 0.5}, 0.3, [f"x: Invalid value: 0.3: {IN_BODY} should be a multiple of 0.5"]),
    ({**INTEGER, "multipleOf": 0.5}, 1, [
        '<nil>: Invalid value: "": MultipleOf value must be of type integer (default format) in x',
    ]),
    # lists
    ({"type": "array", "minItems": 1}, [], [f"x: Invalid value: 0: {IN_BODY} should have at least 1 items"]),
    ({"type": "array", "maxItems": 1}, [1, 2], ["x: Too many: 2: must have at most 1 item"]),
    ({"type": "array", "uniqueItems": True}, [1, 1], [f"x: Invalid value: \"\": {IN_BODY} shouldn't contain duplicates"]),
    ({"type": "array", "uniqueItems": True}, [1, True, "1", [1], {"a": 1}], []),
    ({"type": "array", "items": INTEGER}, [1, "a"], ['x[1]: Invalid value: "string": x[1] in body must be of type integer: "string"']),
    # objects
    ({"type": "object", "required": ["a"]}, {}, ["x.a: Required value"]),
    ({"type": "object", "minProperties": 1}, {}, [f"x: Invalid value: 0: {IN_BODY} should have at least 1 properties"]),
    ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 2}, ["x: Too many: 2: must have at most 1 item"]),
    ({"type": "object", "additionalProperties": INTEGER}, {"a": "b"}, ['x.a: Invalid value: "string": x.a in body must be of type integer: "string"']),
    # combined schemas
    ({"anyOf": [{"minimum": 5}, {"maximum": 1}]}, 3, [
        '<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)',
        f"x: Invalid value: 3: {IN_BODY} should be greater than or equal to 5",
    ]),
    ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, [
        '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ]),
    ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {}, [
        '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid',
        "x.a: Required value",
    ]),
    ({"allOf": [{"minimum": 5}, {"maximum": 9}]}, 3, [
        f"x: Invalid value: 3: {IN_BODY} should be greater than or equal to 5",
        '<nil>: Invalid value: "": "x" must validate all the schemas (allOf)',
    ]),
    ({"allOf": [{"minimum": 5}]}, 3, [
        f"x: Invalid value: 3: {IN_BODY} should be greater than or equal to 5",
        '<nil>: Invalid value: "": "x" must validate all the schemas (allOf). None validated',
    ]),
    ({"not": {"enum": ["a"]}}, "a", ['<nil>: Invalid value: "": "x" must not validate the schema (not)']),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected"), ROWS)
def test_a_value_has_these_faults(schema, value, expected):
    assert faults(schema, value) == expected


def test_a_stray_property_and_a_missing_one_at_the_root():
    compiled = compiled_schema({"type": "object", "additionalProperties": False, "required": ["a"]})
    assert list(map(str, compiled.value_faults({"b": 1}))) == [
        '<nil>: Invalid value: "b": .b in body is a forbidden property',
        "a: Required value",
    ]


def test_the_status_alone_is_named_by_its_place():
    compiled = compiled_schema(
        {"type": "object", "properties": {"status": {"type": "object", "properties": {"n": INTEGER}}}}
    )
    (fault,) = compiled.status_faults({"n": "a"})
    assert str(fault) == 'status.n: Invalid value: "string": n in body must be of type integer: "string"'


@pytest.mark.parametrize(
    ("new", "old", "forgiven"),
    [
        ({"x": "bad"}, {"x": "bad"}, True),
        ({"x": "bad"}, {"x": "other"}, False),
        ({"x": "bad"}, {}, False),
    ],
)
def test_what_did_not_change_is_forgiven(new, old, forgiven):
    compiled = of({**STRING, "pattern": "^good$"})
    assert (compiled.value_faults(new, compiled.correlate(new, old)) == []) is forgiven


def test_items_of_a_list_map_are_compared_by_their_keys():
    item = {"type": "object", "properties": {"k": STRING, "v": {**STRING, "maxLength": 1}}}
    compiled = of(
        {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": item}
    )
    old = {"x": [{"k": "a", "v": "long"}, {"k": "b", "v": "l"}]}
    new = {"x": [{"k": "b", "v": "longer"}, {"k": "a", "v": "long"}]}
    assert [fault.field for fault in compiled.value_faults(new, compiled.correlate(new, old))] == ["x[0].v"]


def test_items_of_a_plain_list_are_not_compared():
    compiled = of({"type": "array", "items": {**STRING, "maxLength": 1}})
    new, old = {"x": ["long", "b"]}, {"x": ["long"]}
    assert len(compiled.value_faults(new, compiled.correlate(new, old))) == 1


def test_one_schema_is_made_once_for_each_content_and_goes_with_its_users():
    one = of(STRING)
    assert of({"type": "string"}) is one
    assert of(INTEGER) is not one


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "#/x"}, "'$ref' is not supported"),
        ({"items": [{}]}, "must be a schema, but is an array"),
        ({"x-kubernetes-preserve-unknown-fields": False}, "must be true or undefined"),
        ({"definitions": {"a": {}}}, "'definitions' is not supported"),
    ],
)
def test_schemas_that_are_not_structural(schema, said):
    with pytest.raises(StructuralError, match=said.replace("$", r"\$")):
        structural_of({"properties": {"x": schema}})


def test_a_schema_of_any_depth_is_bounded():
    schema: dict = {}
    for _ in range(600):
        schema = {"properties": {"x": schema}}
    with pytest.raises(StructuralError, match="deeper than"):
        structural_of(schema)


def test_many_unique_items_and_an_evil_pattern_take_linear_time():
    compiled = of({"type": "array", "uniqueItems": True, "items": {**STRING, "pattern": "^(a+)+$"}})
    values = ["a" * 200 + str(number) for number in range(2000)]
    began = time.process_time()
    assert len(compiled.value_faults({"x": values})) == 2000
    assert time.process_time() - began < 2


def test_a_node_knows_the_schema_of_a_property():
    node = structural_of({"properties": {"a": STRING}, "additionalProperties": INTEGER})
    assert isinstance(node, Structural)
    assert node.child("a") is node.properties["a"] and node.child("b") is node.additional
