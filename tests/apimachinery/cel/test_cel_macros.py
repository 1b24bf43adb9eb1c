"""Macros: what they become, and what is wrong with their arguments."""

import pytest
from apiserver_workers.apimachinery.cel import ast
from apiserver_workers.apimachinery.cel.compiler import parse_expression
from apiserver_workers.apimachinery.cel.env import BIND, EVERYTHING, environment
from apiserver_workers.apimachinery.cel.faults import CompileError

from tests.apimachinery.cel.test_cel_parser import fault, show

SYNTAX = environment(EVERYTHING, BIND).syntax


def parts(source: str) -> tuple[str, ...]:
    """The parts of a loop."""
    loop = parse_expression(source, SYNTAX)
    assert isinstance(loop, ast.Comprehension)
    return tuple(map(show, (loop.init, loop.condition, loop.step, loop.result)))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("l.all(x, p)", ("True", "@not_strictly_false(@result)", "_&&_(@result, p)", "@result")),
        ("l.all(x, y, p)", ("True", "@not_strictly_false(@result)", "_&&_(@result, p)", "@result")),
        ("l.exists(x, p)", ("False", "@not_strictly_false(!_(@result))", "_||_(@result, p)", "@result")),
        ("l.exists_one(x, p)", ("0", "True", "_?_:_(p, _+_(@result, 1), @result)", "_==_(@result, 1)")),
        ("l.existsOne(x, y, p)", ("0", "True", "_?_:_(p, _+_(@result, 1), @result)", "_==_(@result, 1)")),
        ("l.map(x, t)", ("[]", "True", "_+_(@result, [t])", "@result")),
        ("l.map(x, p, t)", ("[]", "True", "_?_:_(p, _+_(@result, [t]), @result)", "@result")),
        ("l.filter(x, p)", ("[]", "True", "_?_:_(p, _+_(@result, [x]), @result)", "@result")),
        ("l.transformList(i, x, t)", ("[]", "True", "_+_(@result, [t])", "@result")),
        ("l.transformList(i, x, p, t)", ("[]", "True", "_?_:_(p, _+_(@result, [t]), @result)", "@result")),
        ("l.transformMap(k, x, t)", ("{}", "True", "cel.@mapInsert(@result, k, t)", "@result")),
        (
            "l.transformMap(k, x, p, t)",
            ("{}", "True", "_?_:_(p, cel.@mapInsert(@result, k, t), @result)", "@result"),
        ),
        ("l.transformMapEntry(k, x, t)", ("{}", "True", "cel.@mapInsert(@result, t)", "@result")),
        ("cel.bind(v, a, b)", ("a", "False", "v", "b")),
        (
            "l.sortBy(x, t)",
            ("l", "False", "@__sortBy_input__", "@__sortBy_input__:@sortByAssociatedKeys(map(@__sortBy_input__, t))"),
        ),
    ],
)
def test_loops(source: str, expected: tuple[str, ...]) -> None:
    assert parts(source) == expected


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        (
            "a.b.optMap(x, t)",
            "_?_:_(a.b:hasValue(), optional.of(bind([], a.b:value(), t)), optional.none())",
        ),
        ("a.optFlatMap(x, t)", "_?_:_(a:hasValue(), bind([], a:value(), t), optional.none())"),
        ("x.bind(a, b, c)", "x:bind(a, b, c)"),
        ("l.all(x)", "l:all(x)"),
        ("all(l, x)", "all(l, x)"),
        ("l.existsOne(x, p)", "l:existsOne(x, p)"),
    ],
)
def test_expansions_without_a_loop_and_calls_that_are_no_macros(source: str, tree: str) -> None:
    assert show(parse_expression(source, SYNTAX)) == tree


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("has(a)", [(4, "invalid argument to has() macro")]),
        ("l.all(x.y, p)", [(7, "argument must be a simple name")]),
        ("l.exists(1, p)", [(9, "argument must be a simple name")]),
        ("l.map(x.y, p)", [(7, "argument is not an identifier")]),
        ("l.filter('x', p)", [(9, "argument is not an identifier")]),
        ("l.all(__result__, p)", [(6, "iteration variable overwrites accumulator variable")]),
        ("l.all(x, x, p)", [(9, "duplicate variable name: x")]),
        ("l.all(x, y.z, p)", [(10, "argument must be a simple name")]),
        ("l.all(x, __result__, p)", [(9, "iteration variable overwrites accumulator variable")]),
        ("a.optMap(x.y, x)", [(10, "optMap() variable name must be a simple identifier")]),
        ("a.optFlatMap(1, x)", [(13, "optFlatMap() variable name must be a simple identifier")]),
        ("cel.bind(1, a, b)", [(9, "cel.bind() variable names must be simple identifiers")]),
        (
            "'1'.sortBy(x, x)",
            [(0, "sortBy can only be applied to a list, identifier, comprehension, call or select expression")],
        ),
        ("has(a) && has(b)", [(4, "invalid argument to has() macro"), (14, "invalid argument to has() macro")]),
    ],
)
def test_faults(source: str, faults: list[tuple[int, str]]) -> None:
    assert fault(source, SYNTAX) == faults


def test_what_a_macro_makes_stands_at_the_call() -> None:
    loop = parse_expression("l.all(x, p)", SYNTAX)
    assert isinstance(loop, ast.Comprehension)
    assert [node.position for node in (loop, loop.init, loop.condition, loop.step)] == [5, 5, 5, 5]


def test_a_copied_loop_keeps_its_arguments() -> None:
    tree = parse_expression("l.filter(x, p).optMap(y, y)", SYNTAX)
    copied = tree.args[1].args[0].init.target  # type: ignore[union-attr]
    assert isinstance(copied, ast.Comprehension)
    assert any(node is copied.arguments[0] for node in ast.walk(copied.step))


def test_copies_of_copies_are_bounded() -> None:
    parse_expression("a" + ".optMap(x, x)" * 5, SYNTAX)
    with pytest.raises(CompileError, match="recursion limit"):
        parse_expression("a" + ".optMap(x, x)" * 40, SYNTAX)
