"""Plain JSON under its schema: what rules of custom resources see of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.apimachinery.cel.evaluating import rule

TEXT = {"type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "text": TEXT,
        "whole": {"type": "integer"},
        "number": {"type": "number"},
        "either": {"x-kubernetes-int-or-string": True},
        "span": {"type": "string", "format": "duration"},
        "moment": {"type": "string", "format": "date-time"},
        "day": {"type": "string", "format": "date"},
        "blob": {"type": "string", "format": "byte"},
        "numbers": {"type": "array", "items": {"type": "number"}},
        "set": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
        "numberSet": {"type": "array", "items": {"type": "number"}, "x-kubernetes-list-type": "set"},
        "list": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {"type": "object", "properties": {"name": TEXT, "size": {"type": "integer"}}},
        },
        "spans": {"type": "object", "additionalProperties": {"type": "string", "format": "duration"}},
        "labels": {"type": "object", "additionalProperties": TEXT},
        "inner": {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            "properties": {"a": {"type": "integer"}, "in": TEXT, "with-dash": TEXT, "with.dot": TEXT},
        },
    },
}

TRUE = [
    ("self.number == 1.0", {"number": 1}),
    ("self.number + 0.5 == 1.5", {"number": 1}),
    ("type(self.number) == double", {"number": 1}),
    ("type(self.either) == int", {"either": 1}),
    ("type(self.either) == string", {"either": "1"}),
    ("self.span < duration('2h')", {"span": "1h"}),
    ("self.span == duration('72h')", {"span": "3 days"}),
    ("self.moment.getFullYear() == 2024", {"moment": "2024-05-06T07:08:09Z"}),
    ("self.moment == timestamp('2024-05-06T07:08:09Z')", {"moment": "2024-05-06T07:08:09.000"}),
    ("self.day.getMonth() == 4", {"day": "2024-05-06"}),
    ("self.blob == b'hi'", {"blob": "aGk="}),
    ("self.numbers[0] == 1.0 && type(self.numbers[0]) == double", {"numbers": [1]}),
    ("self.numbers.all(n, type(n) == double)", {"numbers": [1, 2.5]}),
    ("self.numbers.map(n, n).all(n, type(n) == double)", {"numbers": [1]}),
    ("self.numbers.filter(n, n > 0.0).all(n, type(n) == double)", {"numbers": [1]}),
    ("self.numbers.all(i, n, type(n) == double && i >= 0)", {"numbers": [1]}),
    ("self.spans['a'] == duration('1s') && self.spans.a == duration('1s')", {"spans": {"a": "1s"}}),
    ("self.spans.all(k, v, v == duration('1s'))", {"spans": {"a": "1s"}}),
    ("'a' in self.labels && !('b' in self.labels) && size(self.labels) == 1", {"labels": {"a": "x"}}),
    # a null field of an object with properties is not there
    ("!has(self.text)", {"text": None}),
    ("!has(self.inner.a)", {"inner": {"a": None}}),
    ("!self.?text.hasValue()", {"text": None}),
    ("has(self.inner.a) && self.inner.?a.orValue(0) == 1", {"inner": {"a": 1}}),
    # names that are no identifiers
    ("self.inner.__in__ == 'x' && has(self.inner.__in__)", {"inner": {"in": "x"}}),
    ("self.inner.with__dash__dash == 'x'", {"inner": {"with-dash": "x"}}),
    ("self.inner.with__dot__dot == 'x'", {"inner": {"with.dot": "x"}}),
    # sets and maps
    ("self.set == ['b', 'a']", {"set": ["a", "b"]}),
    ("self.set + ['c', 'a'] == ['a', 'b', 'c']", {"set": ["a", "b"]}),
    ("['a', 'b'] != self.set", {"set": ["b", "a"]}),
    ("self.list + [] == self.list", {"list": [{"name": "a"}]}),
    ("dyn(self) == dyn(self)", {"text": "a", "list": [{"name": "a", "size": 1}], "labels": {"a": "b"}}),
    ("self.inner == self.inner", {"inner": {"a": 1, "other": [1]}}),
    # upstream compares a set's elements before and after their conversion
    ("self.numberSet != self.numberSet", {"numberSet": [1]}),
    ("self.numberSet == self.numberSet", {"numberSet": [1.5]}),
    ("dyn(self).all(k, k in ['text', 'whole'])", {"text": "a", "whole": 1, "hidden": 1}),
    ("type(self) == map && type(self.set) == list", {"set": []}),
]


@pytest.mark.parametrize(("expression", "self"), TRUE)
def test_rule_holds(expression: str, self: dict[str, Any]) -> None:
    outcome = rule(expression, SCHEMA, self=self)
    assert outcome.failure is None, outcome.failure
    assert outcome.value is True


FAILED = [
    ("self.text == 'a'", {}, "no such key: text"),
    ("self.text == 'a'", {"text": None}, "no such key: text"),
    ("self.inner.a == 1", {"inner": {}}, "no such key: a"),
    ("self.labels['x'] == 'a'", {"labels": {}}, "no such key: x"),
    ("self.numbers[1] > 0.0", {"numbers": [1]}, "index out of bounds: 1"),
    ("self.span == duration('1s')", {"span": "soon"}, "Invalid duration soon: unable to parse soon as duration"),
    ("dyn(self.set) == dyn('a')", {"set": []}, "no such overload"),
    ("dyn(self.labels) == dyn('a')", {"labels": {}}, "no such overload"),
    ("dyn(self) == dyn(1)", {}, "no such overload"),
]


@pytest.mark.parametrize(("expression", "self", "expected"), FAILED)
def test_rule_fails(expression: str, self: dict[str, Any], expected: str) -> None:
    assert str(rule(expression, SCHEMA, self=self).failure) == expected


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ({"set": ["a", "b"]}, {"set": ["b", "a"]}, True),
        ({"set": ["a", "b"]}, {"set": ["b", "c"]}, False),
        (
            {"list": [{"name": "a", "size": 1}, {"name": "b"}]},
            {"list": [{"name": "b"}, {"name": "a", "size": 1}]},
            True,
        ),
        ({"list": [{"name": "a", "size": 1}]}, {"list": [{"name": "a", "size": 2}]}, False),
        ({"numbers": [1]}, {"numbers": [1.0]}, True),
        ({"numbers": [1, 2]}, {"numbers": [2, 1]}, False),
        ({"moment": "2024-01-01T00:00:00Z"}, {"moment": "2024-01-01T01:00:00+01:00"}, True),
        ({"inner": {"a": 1}}, {"inner": {"a": 1, "b": 1}}, False),
        ({"inner": {"a": 1, "b": 1}}, {"inner": {"a": 1, "b": True}}, False),
        # of what is not declared, only what both have is compared
        ({"inner": {"b": 1, "c": 1}}, {"inner": {"b": 1, "d": 1}}, True),
        ({"text": None}, {"whole": None}, True),
    ],
)
def test_objects_compare_by_their_schema(old: dict[str, Any], new: dict[str, Any], same: bool) -> None:
    assert rule("self == oldSelf", SCHEMA, self=new, oldSelf=old).value is same
    assert rule("self != oldSelf", SCHEMA, self=new, oldSelf=old).value is not same


def test_adding_to_a_list_of_type_map_replaces_in_place() -> None:
    outcome = rule(
        "(self.list + oldSelf.list).map(e, e.size)",
        SCHEMA,
        self={"list": [{"name": "a", "size": 1}, {"name": "b", "size": 2}]},
        oldSelf={"list": [{"name": "a", "size": 9}, {"name": "c", "size": 3}]},
    )
    assert outcome.value == [9, 2, 3]


def test_the_json_is_not_changed() -> None:
    document = {"set": ["a"], "list": [{"name": "a"}], "numbers": [1]}
    for expression in ("self.set + ['b'] == []", "self.list + self.list == []", "self.numbers + [2.0] == []"):
        rule(expression, SCHEMA, self=document)
    assert document == {"set": ["a"], "list": [{"name": "a"}], "numbers": [1]}
