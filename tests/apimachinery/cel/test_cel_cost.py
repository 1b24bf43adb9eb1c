"""Static costs: each rule of the estimate."""

import pytest
from apiserver_workers.apimachinery.cel.compiler import check_expression, estimate_cost
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import EVERYTHING, environment
from apiserver_workers.apimachinery.cel.estimates import LARGEST
from apiserver_workers.apimachinery.cel.schema import declare
from apiserver_workers.apimachinery.cel.types import DYN, INT, STRING, list_of, map_of

ENVIRONMENT = environment(EVERYTHING)
PLAIN = Declarations(
    {"d": DYN, "n": INT, "s": STRING, "l": list_of(STRING), "m": map_of(STRING, INT), "mm": map_of(STRING, DYN)}
)
ROOT = declare(
    {
        "type": "object",
        "properties": {
            "s": {"type": "string", "maxLength": 10},
            "n": {"type": "integer"},
            "l": {"type": "array", "maxItems": 5, "items": {"type": "string", "maxLength": 4}},
            "m": {"type": "object", "maxProperties": 3, "additionalProperties": {"type": "string", "maxLength": 2}},
            "o": {
                "type": "array",
                "maxItems": 2,
                "items": {"type": "object", "properties": {"n": {"type": "integer"}}},
            },
        },
    }
)
assert ROOT is not None
SCHEMA = Declarations({"self": ROOT.type}, structs=ROOT.structs, schemas={"self": ROOT}, root=ROOT)


def cost(source: str, declarations: Declarations = PLAIN) -> tuple[int, int]:
    checked = check_expression(source, ENVIRONMENT, declarations)
    return tuple(estimate_cost(checked, ENVIRONMENT, declarations))  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("source", "least", "most"),
    [
        ("1", 0, 0),
        ("n", 1, 1),
        ("m.a", 2, 2),
        ("d.a", 1, 1),
        ("m['a']", 2, 2),
        ("has(m.a)", 1, 1),
        ("[1, n]", 11, 11),
        ("{'a': n}", 31, 31),
        ("google.protobuf.Duration{seconds: 1}", 40, 40),
        ("dyn(n)", 2, 2),
        ("n + 1", 2, 2),
        ("n == 1", 2, 2),
        ("n == 1 && n == 2", 2, 4),
        ("n == 1 || n == 2", 2, 4),
        ("n == 1 ? n : 2", 2, 3),
        ("size('abc')", 1, 1),
        ("'abc' == 'abcdefghijk'", 1, 1),
        ("'a' + 'b'", 1, 1),
        ("s.startsWith('abcdefghijk')", 3, 3),
        ("'abcdefghijk'.contains('abc')", 2, 2),
        # (the string's unknown size + 1) / 10, times a quarter of the pattern's size
        ("s.matches('a')", 2, 1844674407370955265),
        ("1 in [1, 2, 3]", 13, 13),
        # range 10, result 1, two times the condition 2 and the step (the accumulator 1, or with the predicate 3)
        ("[1, 2].all(x, x > 0)", 17, 21),
        ("[1, 2].exists(x, x > 0)", 19, 23),
        ("[1, 2].exists_one(x, x > 0)", 18, 20),
        # range and initial list 10 each, result 1, two times the step 13
        ("[1, 2].map(x, x)", 47, 47),
        ("optional.of(n).orValue(1)", 3, 3),
        ("m.?a", 2, 2),
    ],
)
def test_expressions(source: str, least: int, most: int) -> None:
    assert cost(source) == (least, most)


@pytest.mark.parametrize(
    ("source", "most"),
    [
        ("self.s == 'x'", 3),
        ("self.s == self.s", 8),
        ("self.s + self.s == 'x'", 13),
        ("self.n == 1", 2),
        ("self.l.size() == 5", 4),
        ("'x' in self.l", 7),
        ("self.l[0] == 'abcdefghijklmnopqrstuvwxyz'", 5),
    ],
)
def test_sizes_come_from_the_schema(source: str, most: int) -> None:
    assert cost(source, SCHEMA)[1] == most


def test_a_loop_costs_its_range_times_its_body() -> None:
    one = cost("self.l.all(x, x == 'abc')", SCHEMA)[1]
    assert one == 2 + 1 + 5 * (2 + 1 + 2)


def test_nested_loops_multiply() -> None:
    inner = cost("self.l.all(x, x == 'abc')", SCHEMA)[1]
    assert cost("self.l.all(y, self.l.all(x, x == 'abc'))", SCHEMA)[1] == 2 + 1 + 5 * (2 + 1 + inner)


def test_nothing_is_known_of_dyn() -> None:
    assert cost("d.all(x, true)")[1] == LARGEST


def test_a_filter_keeps_the_range_as_bound() -> None:
    # the filter: 2 + 10 + 1 and five times the step 12 at most (with the predicate 0); the loop: 1 and five times 3
    assert cost("self.l.filter(x, true).all(x, true)", SCHEMA)[1] == 13 + 5 * 13 + 1 + 5 * 3


def test_costs_saturate() -> None:
    assert cost("d.all(x, x.all(y, y.all(z, true)))")[1] == LARGEST
