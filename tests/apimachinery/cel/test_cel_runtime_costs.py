"""What evaluating costs: each rule of upstream's runtime costs, and the limits."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.cel.failures import CostExceeded, TooLong
from apiserver_workers.apimachinery.cel.library.table import ROWS

from tests.apimachinery.cel.evaluating import LIMIT, compiled, cost, evaluate

X20 = {"x": "x" * 20}
L = {"l": [1, 2, 3]}

COSTS = [
    # identifiers and selections
    ("1", {}, 0),
    ("a", {"a": 1}, 1),
    ("a.b", {"a": {"b": 1}}, 2),
    ("a.b.c", {"a": {"b": {"c": 1}}}, 3),
    ("a['b']", {"a": {"b": 1}}, 2),
    ("a[0]", {"a": [1]}, 2),
    ("a[b]", {"a": [1], "b": 0}, 2),
    ("a[b.c]", {"a": [1], "b": {"c": 0}}, 3),
    ("a[b + 0]", {"a": [1], "b": 0}, 4),
    ("{'k': a}.k", {"a": 1}, 33),
    ("[a][0]", {"a": 1}, 13),
    ("a.b", {"a": {}}, 2),
    ("a.b.c", {"a": {}}, 2),
    ("missing_", {"missing_": None}, 1),
    ("has(a.b)", {"a": {"b": 1}}, 1),
    ("has(a.b.c)", {"a": {"b": {"c": 1}}}, 2),
    ("has(a.b.c)", {"a": {}}, 1),
    ("a.?b", {"a": {"b": 1}}, 2),
    ("a.?b.c", {"a": {}}, 1),
    # a branch that is a bare identifier is free, its selections are not
    ("c ? a : b", {"c": True, "a": 1, "b": 2}, 1),
    ("c ? a.x : b", {"c": True, "a": {"x": 1}, "b": 2}, 2),
    ("(c ? a : b).x", {"c": True, "a": {"x": 1}, "b": 2}, 2),
    # literals; constant ones are free
    ("[1, 2]", {}, 0),
    ("[a]", {"a": 1}, 11),
    ("{'k': 1}", {}, 0),
    ("{'k': a}", {"a": 1}, 31),
    ("int('5')", {}, 0),
    ("int(a)", {"a": "5"}, 2),
    # logic stops early
    ("a && b", {"a": True, "b": True}, 2),
    ("a && b", {"a": False, "b": True}, 1),
    ("a || b", {"a": True, "b": True}, 1),
    ("a || b", {"a": False, "b": True}, 2),
    ("!a", {"a": True}, 2),
    # strings: a tenth for each character, rounded up
    ("x == x", X20, 4),
    ("x == 'abc'", X20, 2),
    ("x != x", X20, 4),
    ("x < x", X20, 3),
    ("x + x", X20, 3),
    ("string(x) < string(x)", X20, 6),
    ("x.startsWith('a')", X20, 3),
    ("x.endsWith('a')", X20, 3),
    ("x.contains('abcdefghijklmno')", X20, 5),
    ("x.matches('abcdefgh')", X20, 7),
    ("bytes(x)", X20, 2),
    ("size(x)", X20, 2),
    # membership
    ("1 in l", L, 2),
    ("x in [1, 2, 3]", {"x": 1}, 1),
    ("l == l", L, 3),
    # macros
    ("l.all(i, true)", L, 11),
    ("l.all(i, false)", L, 7),
    ("l.all(i, i > 0)", L, 17),
    ("l.exists(i, false)", L, 14),
    ("l.exists(i, true)", L, 9),
    ("l.exists(i, i == 3)", L, 20),
    ("l.exists_one(i, false)", L, 3),
    ("l.exists_one(i, i == 2)", L, 11),
    ("l.map(i, 1)", L, 38),
    ("l.map(i, i)", L, 41),
    ("l.map(i, false, i)", L, 2),
    ("l.filter(i, false)", L, 2),
    ("l.filter(i, true)", L, 41),
    ("l.all(i, v, v > i)", L, 20),
    ("l.transformList(i, v, v)", L, 41),
    ("l.transformList(i, v, false, v)", L, 2),
    ("{'a': l}.transformMap(k, v, v)", L, 36),
    ("l.transformMapEntry(i, v, {v: i})", L, 104),
    # an error in a step does not end the loop
    ("l.map(i, 1 / (i - 1))", L, 47),
    ("l.all(i, 1 / (i - 1) > 0)", L, 23),
    # libraries
    ("ip('::1').family()", {}, 2),
    ("cidr('::/64').containsIP('::1')", {}, 4),
    ("quantity('1') == quantity('1')", {}, 3),
    ("url('http://abcdefghijk')", {}, 2),
    ("l.sum()", L, 4),
    ("['ab', 'cdefghijklm'].min()", {}, 1),
    ("l.slice(0, 2)", L, 14),
    ("[3, 1, 2].sort()", {}, 29),
    ("sets.contains(l, l)", L, 12),
    ("sets.equivalent(l, l)", L, 21),
    ("'abcdefghijk'.find('abcde')", {}, 4),
    ("x.replace('x', 'yy')", X20, 5),
    ("x.split('')", X20, 5),
    ("x.split('').join()", X20, 9),
    ("format.named('uuid')", {}, 1),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "values", "expected"), COSTS)
def test_cost(expression: str, values: dict, expected: int) -> None:
    assert cost(expression, **values) == expected


@pytest.mark.parametrize(
    ("expression", "values", "expected"),
    [
        # both operands are evaluated and the call is charged, whichever fails
        ("a + 1", {"a": {}}, 2),
        ("m.x + n", {"m": {}, "n": 1}, 4),
        ("n + m.x", {"m": {}, "n": 1}, 4),
        ("m.x == 'abc'", {"m": {}}, 3),
        ("m.x.startsWith('a')", {"m": {}}, 3),
        # a call of more arguments stops at the first that fails, and is charged only if that was the last
        ("m.x.replace('a', 'b')", {"m": {}}, 2),
        ("'a'.replace('b', m.x)", {"m": {}}, 3),
        # a constant pattern is compiled before, and the call stops like those
        ("m.x.matches('a')", {"m": {}}, 2),
        ("m.x.matches('a' + '')", {"m": {}}, 4),
    ],
)
def test_cost_of_a_failed_evaluation(expression: str, values: dict, expected: int) -> None:
    outcome = evaluate(expression, **values)
    assert outcome.failure is not None
    assert outcome.cost == expected


def test_the_limit_is_the_most_that_may_be_spent() -> None:
    assert evaluate("l.all(i, true)", limit=11, **L).failure is None
    outcome = evaluate("l.all(i, true)", limit=10, **L)
    assert str(outcome.failure) == "operation cancelled: actual cost limit exceeded"


def test_nothing_absorbs_the_limit() -> None:
    outcome = evaluate("true || true && l.all(i, true)", limit=5, **L)
    assert outcome.failure is None
    outcome = evaluate("l.all(i, true) || true", limit=5, **L)
    assert isinstance(outcome.failure, CostExceeded)


def test_a_loop_stops_soon_after_the_limit() -> None:
    outcome = evaluate("l.all(i, true)", limit=300, l=list(range(100_000)))
    assert outcome.cost <= 303


def test_the_soft_limit_asks_for_another_run() -> None:
    program = compiled("l.all(i, i >= 0)", {"l": "list(int)"})[1]
    numbers = list(range(10_000))
    with pytest.raises(TooLong):
        program.run({"l": numbers}, LIMIT, 20_000)
    assert program.run({"l": numbers}, LIMIT).value is True
    assert program.run({"l": numbers[:10]}, LIMIT, 20_000).value is True


def test_above_both_limits_the_hard_one_counts() -> None:
    program = compiled("l.all(i, i >= 0)", {"l": "list(int)"})[1]
    outcome = program.run({"l": list(range(10_000))}, 500, 20_000)
    assert isinstance(outcome.failure, CostExceeded)


def test_calls_of_several_candidates_are_charged_by_name_alone() -> None:
    """Upstream charges a standard function by its overload, which dyn leaves open."""
    assert cost("a + b", a="x" * 100, b="x" * 100) == 3
    assert cost("a == b", a="x" * 100, b="x" * 100) == 12
    assert all(row.by_name for row in ROWS if row.library in ("ip", "cidr", "quantity") and row.name != "string")


@pytest.mark.parametrize(
    "expression",
    [
        "sets.contains(l, l)",
        "l.sort().size() > 0",
        "l.distinct().size() > 0",
        "lists.range(n).size() > 0",
        "s.replace('', s) == ''",
    ],
)
def test_work_that_no_limit_allows_is_not_begun(expression: str) -> None:
    types = {"l": "list(double)", "n": "int", "s": "string"}
    values = {"l": [float(number) for number in range(300_000)], "n": 10**12, "s": "s" * 1_000_000}
    outcome = compiled(expression, types)[1].run(values, LIMIT)
    assert isinstance(outcome.failure, CostExceeded)
