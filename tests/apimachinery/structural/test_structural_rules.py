"""Rules of schemas on values and on their changes."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.cel.failures import TooLong
from apiserver_workers.apimachinery.structural.compiled import compiled_schema
from apiserver_workers.apimachinery.structural.field_paths import FieldPathError, field_path
from apiserver_workers.apimachinery.structural.model import structural_of
from apiserver_workers.apimachinery.structural.rules import rule_tree

INTEGER, STRING = {"type": "integer"}, {"type": "string"}


def findings(schema, new, old=None, *, ratchet=True):
    compiled = compiled_schema({"type": "object", "properties": {"x": schema}})
    new, before = {"x": new}, None if old is None else {"x": old}
    correlated = compiled.correlate(new, before) if before and ratchet else None
    found = compiled.rule_findings([], new, before, correlated=correlated)
    return list(map(str, found.faults)), found.warnings


def with_rule(schema, rule, **more):
    return {**schema, "x-kubernetes-validations": [{"rule": rule, **more}]}


ROWS = [
    (with_rule(INTEGER, "self > 1"), 2, []),
    (with_rule(INTEGER, "self > 1"), 1, ["x: Invalid value: 1: failed rule: self > 1"]),
    (with_rule(INTEGER, "self > 1", message=" too small "), 1, ["x: Invalid value: 1: too small"]),
    (with_rule(INTEGER, "self > 1", messageExpression="'got ' + string(self)"), 1, ["x: Invalid value: 1: got 1"]),
    (with_rule(INTEGER, "self > 1", message="m", messageExpression="''"), 1, ["x: Invalid value: 1: m"]),
    (with_rule(INTEGER, "self > 1", message="m", messageExpression="'a\\nb'"), 1, ["x: Invalid value: 1: m"]),
    (with_rule(INTEGER, "self > 1", message="m", reason="FieldValueForbidden"), 1, ["x: Forbidden: m"]),
    (with_rule(INTEGER, "self > 1", message="m", reason="FieldValueRequired"), 1, ["x: Required value: m"]),
    (with_rule(INTEGER, "self > 1", message="m", reason="FieldValueDuplicate"), 1, ["x: Duplicate value: 1"]),
    (with_rule(INTEGER, "1 / self > 0"), 0, ['x: Invalid value: "integer": division by zero evaluating rule: 1 / self > 0']),
    (with_rule(INTEGER, "self.odd"), 1, [
        'x: Invalid value: "integer": rule compile error: compilation failed: ERROR: <input>:1:5: type \'int\' does not'
        " support field selection\n | self.odd\n | ....^",
    ]),
    (with_rule({"type": "object", "properties": {"a": INTEGER}}, "self.a > 1"), {"a": 1}, ["x: Invalid value: failed rule: self.a > 1"]),
    (
        with_rule({"type": "object", "properties": {"a": INTEGER}}, "self.a > 1", message="m", fieldPath=".a"),
        {"a": 1},
        ["x.a: Invalid value: m"],
    ),
    ({"type": "array", "items": with_rule(INTEGER, "self > 1", message="m")}, [2, 1], ["x[1]: Invalid value: 1: m"]),
    (
        {"type": "object", "additionalProperties": with_rule(INTEGER, "self > 1", message="m")},
        {"k": 1},
        ["x[k]: Invalid value: 1: m"],
    ),
    (with_rule(INTEGER, "oldSelf == self"), 1, []),
    (with_rule(INTEGER, "oldSelf.hasValue()", optionalOldSelf=True, message="m"), 1, ["x: Invalid value: 1: m"]),
    (with_rule(INTEGER, " "), 1, []),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected"), ROWS)
def test_a_rule_finds_this(schema, value, expected):
    assert findings(schema, value)[0] == expected


def test_a_rule_about_a_change_needs_an_old_value():
    schema = with_rule(STRING, "self == oldSelf", message="immutable")
    assert findings(schema, "a")[0] == []
    assert findings(schema, "b", "a")[0] == ['x: Invalid value: "b": immutable']
    optional = with_rule(STRING, "!oldSelf.hasValue() || self == oldSelf.value()", optionalOldSelf=True, message="m")
    assert findings(optional, "b", "a")[0] == ['x: Invalid value: "b": m']
    assert findings(optional, "a", "a")[0] == []


def test_items_of_a_list_map_have_old_values_by_their_keys():
    item = with_rule(
        {"type": "object", "properties": {"k": STRING, "v": INTEGER}}, "self.v >= oldSelf.v", message="grows"
    )
    schema = {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]}
    old = [{"k": "a", "v": 5}, {"k": "b", "v": 5}]
    assert findings(schema, [{"k": "b", "v": 6}, {"k": "a", "v": 4}], old)[0] == ["x[1]: Invalid value: grows"]


def test_what_did_not_change_is_only_warned_of():
    schema = {"type": "object", "properties": {"a": with_rule(INTEGER, "self > 1", message="m"), "b": INTEGER}}
    assert findings(schema, {"a": 1, "b": 2}, {"a": 1, "b": 1}) == ([], ["x.a: Invalid value: 1: m"])
    assert findings(schema, {"a": 0, "b": 2}, {"a": 1, "b": 1}) == (["x.a: Invalid value: 0: m"], [])


def test_blocking_faults_keep_rules_from_running():
    compiled = compiled_schema({"type": "object", "properties": {"x": with_rule(INTEGER, "self > 1")}})
    faults = compiled.value_faults({"x": "a"})
    (fault,) = compiled.rule_findings(faults, {"x": "a"}).faults
    assert str(fault).startswith("<nil>: Invalid value: null: some validation rules were not checked")


def test_rules_see_the_head_of_a_resource():
    compiled = compiled_schema(with_rule({"type": "object"}, "self.metadata.name == 'a'", message="m"))
    assert compiled.rule_findings([], {"metadata": {"name": "a"}}).faults == []
    assert [str(one) for one in compiled.rule_findings([], {"metadata": {"name": "b"}}).faults] == [
        "<nil>: Invalid value: m"
    ]


def test_long_rules_are_given_up_for_another_thread():
    rule = "self.all(a, self.all(b, a == b || a != b))"
    schema = with_rule({"type": "array", "maxItems": 1000, "items": INTEGER}, rule)
    compiled = compiled_schema({"type": "object", "properties": {"x": schema}})
    value = {"x": list(range(100))}
    with pytest.raises(TooLong):
        compiled.rule_findings([], value, soft=100)
    assert compiled.rule_findings([], value).faults == []


def test_a_rule_that_costs_too_much_ends_them_all():
    rule = "self.all(a, self.all(b, self.all(c, a + b + c >= 0)))"
    schema = {"type": "array", "items": INTEGER}
    schema["x-kubernetes-validations"] = [{"rule": rule}, {"rule": "false"}]
    found = findings(schema, list(range(200)))[0]
    assert len(found) == 1 and "no further validation rules will be run due to call cost exceeds limit" in found[0]


def test_names_that_no_expression_can_say_have_rules_of_their_own():
    schema = {"type": "object", "properties": {"ü": with_rule(INTEGER, "self > 1", message="m")}}
    assert findings(schema, {"ü": 1})[0] == ["x.ü: Invalid value: 1: m"]


def test_rules_in_all_of_run_if_there_are_others():
    schema = with_rule({**INTEGER, "allOf": [with_rule({}, "self > 5", message="five")]}, "self > 1", message="one")
    assert findings(schema, 3)[0] == ["x: Invalid value: 3: five"]
    assert rule_tree(structural_of({"type": "object"})) is None


PATHS = structural_of(
    {"properties": {"a": {"properties": {"b.c": {}}}, "m": {"additionalProperties": {"properties": {"d": {}}}}}}
)


@pytest.mark.parametrize(
    ("text", "shown"), [(".a", "a"), (".a['b.c']", "a.b.c"), (".m['k'].d", "m[k].d"), (".m.k", "m[k]")]
)
def test_a_field_path_leads_to_a_field(text, shown):
    assert field_path(text, PATHS)[0] == shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (".b", "does not refer to a valid field"),
        ("a", "expected [ or . but got: a"),
        (".a[", "unexpected end of JSON path"),
        (".a[0]", "expected single quoted string but got 0"),
        (".a['b.c'", "unexpected end of JSON path"),
        (".a['\\q']", "invalid string literal: invalid escape char \\q"),
        (".", "unexpected end of JSON path"),
    ],
)
def test_a_field_path_that_leads_nowhere(text, said):
    with pytest.raises(FieldPathError) as caught:
        field_path(text, PATHS)
    assert str(caught.value) == said
