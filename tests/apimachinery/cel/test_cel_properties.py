"""What holds for any schema, any value of it and any rule: no evaluation costs more than was estimated, none crashes."""

from __future__ import annotations

import re
import string
from typing import Any

from apiserver_workers.apimachinery.cel.compiler import check_expression, estimate_cost
from apiserver_workers.apimachinery.cel.conversions import to_int
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.equality import compare, equal
from apiserver_workers.apimachinery.cel.failures import Failure
from apiserver_workers.apimachinery.cel.library.patterns import compiled as pattern
from apiserver_workers.apimachinery.cel.library.patterns import fault
from apiserver_workers.apimachinery.cel.program import build
from apiserver_workers.apimachinery.cel.schema import declare
from apiserver_workers.apimachinery.cel.text import double
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.apimachinery.cel.evaluating import ENVIRONMENT, LIMIT, value

NAMES = ("a", "b", "c")
TEXTS = st.text(string.ascii_letters + "ñ€😀", max_size=12)


@st.composite
def leaves(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    """A schema of a scalar, and its values."""
    longest = draw(st.integers(0, 12))
    return draw(
        st.sampled_from(
            [
                ({"type": "integer"}, st.integers(-(2**63), 2**63 - 1)),
                ({"type": "number"}, st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000)),
                ({"type": "boolean"}, st.booleans()),
                ({"type": "string", "maxLength": longest}, TEXTS.map(lambda text: text[:longest])),
                ({"x-kubernetes-int-or-string": True}, st.integers(-9, 9) | TEXTS),
                ({"type": "string", "format": "duration"}, st.sampled_from(["1s", "2h", "3 days"])),
            ]
        )
    )


@st.composite
def schemas(draw: st.DrawFn, depth: int = 2) -> tuple[dict[str, Any], st.SearchStrategy[Any]]:
    """A schema with bounds, and its values."""
    form = draw(st.sampled_from(["leaf", "list", "map", "object"] if depth else ["leaf"]))
    if form == "leaf":
        return draw(leaves())
    most = draw(st.integers(0, 4))
    inner, values = draw(schemas(depth - 1))
    if form == "list":
        kind = draw(st.sampled_from(["atomic", "set"])) if "properties" not in inner else "atomic"
        lists = st.lists(values, max_size=most)
        return {"type": "array", "items": inner, "maxItems": most, "x-kubernetes-list-type": kind}, lists
    if form == "map":
        keys = st.text(string.ascii_lowercase, min_size=1, max_size=4)
        maps = st.dictionaries(keys, values, max_size=most)
        return {"type": "object", "additionalProperties": inner, "maxProperties": most}, maps
    fields = {name: draw(schemas(depth - 1)) for name in draw(st.sets(st.sampled_from(NAMES), min_size=1))}
    objects = st.fixed_dictionaries({}, optional={name: field[1] for name, field in fields.items()})
    return {"type": "object", "properties": {name: field[0] for name, field in fields.items()}}, objects


def rules_of(schema: dict[str, Any], path: str) -> list[str]:
    """Rules that fit a schema: each touches every part of it.

    None compares scalars or objects of the schema with `==`: upstream takes them to have the size 0, and estimates the
    comparison at nothing, but charges 1.
    """
    if "properties" in schema:
        return [
            f"!has({path}.{name}) || ({rule})"
            for name, inner in schema["properties"].items()
            for rule in rules_of(inner, f"{path}.{name}")
        ]
    if "additionalProperties" in schema:
        inner = rules_of(schema["additionalProperties"], f"{path}[k]")
        return [f"{path}.all(k, {rule})" for rule in inner] + [f"{path}.map(k, k).size() >= 0", f"{path} == {path}"]
    if "items" in schema:
        inner = rules_of(schema["items"], "e" + str(len(path)))
        variable = "e" + str(len(path))
        return [
            *(f"{path}.all({variable}, {rule})" for rule in inner),
            *(f"{path}.exists({variable}, {rule})" for rule in inner),
            *(f"{path}.filter({variable}, {rule}).size() <= {path}.size()" for rule in inner),
            f"{path} == {path} && {path} + {path} != {path}",
        ]
    return scalar_rules(schema, path)


def scalar_rules(schema: dict[str, Any], path: str) -> list[str]:
    """Rules that fit a scalar."""
    if schema.get("format") == "duration":
        return [f"{path} < duration('1h')"]
    if schema.get("type") == "string":
        return [
            f"{path}.startsWith('a') || {path}.matches('^a+') || {path} + 'x' == 'y'",
            f"{path}.lowerAscii().contains('ab') || {path}.split('').join('-').size() > 3",
            f"{path}.replace('a', 'bb').indexOf('b') > 0 || {path} in ['a', {path}]",
        ]
    if schema.get("type") == "integer":
        return [f"{path} > 3 || {path} + 1 == 2", f"string({path}) != 'x'"]
    if schema.get("type") == "number":
        return [f"{path} > 3.0 ? true : {path} + 1.0 < 1.0"]
    if schema.get("type") == "boolean":
        return [f"{path} || !{path}"]
    return [f"{path} == 'a' || {path} == 1"]


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_no_evaluation_costs_more_than_estimated(data: st.DataObject) -> None:
    schema, values = data.draw(schemas())
    declared = declare(schema)
    assert declared is not None
    declarations = Declarations(variables={"self": declared.type}, structs=declared.structs, root=declared)
    document = data.draw(values)
    for rule in rules_of(schema, "self"):
        checked = check_expression(rule, ENVIRONMENT, declarations)
        most = estimate_cost(checked, ENVIRONMENT, declarations).max
        outcome = build(checked, ENVIRONMENT.by_name, {"self": declared}).run({"self": document}, LIMIT)
        assert outcome.cost <= most, rule


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | TEXTS | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OPERATORS = ("==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "in", "&&", "||")


@given(VALUES, VALUES, st.sampled_from(OPERATORS))
def test_no_operands_crash_an_operator(left: Any, right: Any, operator: str) -> None:
    program = _operator(operator)
    outcome = program.run({"a": left, "b": right}, LIMIT)
    assert outcome.failure is None or str(outcome.failure)


_PROGRAMS: dict[str, Any] = {}


def _operator(operator: str) -> Any:
    if operator not in _PROGRAMS:
        variables = {"a": _DYN, "b": _DYN}
        checked = check_expression(f"a {operator} b", ENVIRONMENT, Declarations(variables=variables))
        _PROGRAMS[operator] = build(checked, ENVIRONMENT.by_name)
    return _PROGRAMS[operator]


_DYN = check_expression("dyn(1)", ENVIRONMENT, Declarations()).type


@given(VALUES, VALUES)
def test_equality_goes_both_ways(left: Any, right: Any) -> None:
    assert _equal(left, right) == _equal(right, left)


def _equal(left: Any, right: Any) -> bool:
    try:
        return equal(left, right)
    except Failure:
        return False


@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1))
def test_order_of_numbers_is_that_of_their_doubles_or_exact(left: Any, right: int) -> None:
    expected = (left > right) - (left < right) if type(left) is int else None
    found = compare(left, right)
    assert found == -compare(right, left)
    if expected is not None:
        assert found == expected


@given(st.floats(allow_nan=False))
def test_doubles_are_written_so_that_they_read_the_same(number: float) -> None:
    assert float(double(number).replace("Inf", "inf")) == number


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_are_read_as_they_are_written(number: int) -> None:
    assert to_int(value("string(n)", n=number)) == number


@given(st.text("ab(|)*+?[]^$.\\{,}1", max_size=12), TEXTS)
def test_patterns_never_crash(expression: str, text: str) -> None:
    found = fault(expression)
    if found:
        assert re.match("error parsing regexp: [^`]+: `", found)
        return
    compiled = pattern(expression)
    assert compiled.matches(text) == (compiled.first(text) != "" or bool(compiled.all(text, 1)))
