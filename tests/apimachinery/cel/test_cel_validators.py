"""Checks of literals."""

import pytest
from apiserver_workers.apimachinery.cel.compiler import check_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import EVERYTHING, environment
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.types import DYN

DECLARATIONS = Declarations({"d": DYN})
MIXED = "expected type 'int' but found 'string'"


def faults(source: str, version: int = EVERYTHING) -> list[tuple[int, str]]:
    try:
        check_expression(source, environment(version), DECLARATIONS)
    except CompileError as error:
        return [tuple(fault) for fault in error.faults]  # type: ignore[misc]
    return []


def clause(kinds: str, given: str) -> str:
    return f"error during formatting: {kinds}, was given {given}"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("duration('1x')", [(9, "invalid duration argument")]),
        ("duration('1h')", []),
        ("timestamp('2000')", [(10, "invalid timestamp argument")]),
        ("timestamp(253402300800)", [(10, "invalid timestamp argument")]),
        ("timestamp('2000-01-01T00:00:00Z')", []),
        ("'a'.matches('(')", [(12, "invalid matches argument")]),
        ("'a'.matches('a+')", []),
        ("matches('(', 'a')", [(8, "invalid matches argument")]),
        ("[1, 'a', 2.0]", [(4, MIXED)]),
        ("[1, d]", [(4, "expected type 'int' but found 'dyn'")]),
        ("{1: 2, 'a': 3}", [(7, MIXED)]),
        ("{1: 2, 3: 'a', 'b': 'c'}", [(10, MIXED), (15, MIXED), (20, MIXED)]),
        ("[1, 2] + [1]", []),
        ("'%s %s'.format([1, 'a'])", []),
        ("'%d'.format(['a'])", [(13, clause("decimal clause can only be used on integers", "string"))]),
        ("'%f'.format([1])", [(13, clause("fixed-point clause can only be used on doubles", "int"))]),
        ("'%e'.format([1])", [(13, clause("scientific clause can only be used on doubles", "int"))]),
        ("'%b'.format([1.0])", [(13, clause("only integers and bools can be formatted as binary", "double"))]),
        (
            "'%x'.format([1.0])",
            [(13, clause("only integers, byte buffers, and strings can be formatted as hex", "double"))],
        ),
        ("'%o'.format([null])", [(13, clause("octal clause can only be used on integers", "null_type"))]),
        ("'%d'.format([d])", []),
        ("'%.2f%%'.format([1.0])", []),
        ("'%s %s'.format([1])", [(14, "index 1 out of range")]),
        ("'%s'.format([1, 2])", [(11, "too many arguments supplied to string.format (expected 1, got 2)")]),
        ("'%z'.format([1])", [(11, 'could not parse formatting clause: unrecognized formatting clause "z"')]),
        ("'a%'.format([1])", [(11, "unexpected end of string")]),
    ],
)
def test_faults(source: str, expected: list[tuple[int, str]]) -> None:
    assert faults(source) == expected


def test_what_a_string_clause_cannot_print() -> None:
    [(position, message)] = faults("'%s'.format([optional.of(1)])")
    assert position == 24
    assert message.endswith("durations, and timestamps, was given optional_type")


def test_before_1_29_only_mixed_lists_are_checked() -> None:
    assert faults("duration('1x')", 28) == []
    assert faults("'a'.matches('(')", 28) == []
    assert faults("[1, 'a']", 28) == [(4, MIXED)]


def test_literals_are_checked_only_if_the_types_are_right() -> None:
    assert faults("duration('1x') + nope") == [(17, "undeclared reference to 'nope' (in container '')")]
