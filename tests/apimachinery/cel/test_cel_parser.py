"""Sources to trees: precedence, positions, literals, limits."""

import pytest
from apiserver_workers.apimachinery.cel import ast
from apiserver_workers.apimachinery.cel.compiler import parse_expression
from apiserver_workers.apimachinery.cel.env import EVERYTHING, environment
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.parser import Syntax
from apiserver_workers.apimachinery.cel.types import BOOL, BYTES, DOUBLE, INT, NULL, STRING, UINT

SYNTAX = environment(EVERYTHING).syntax


def show(node: ast.Expr) -> str:
    """A tree as nested calls, to compare it in one line."""
    match node:
        case ast.Literal():
            return repr(node.value)
        case ast.Ident():
            return node.name
        case ast.Select():
            return f"{'has ' if node.test_only else ''}{show(node.operand)}.{node.field}"
        case ast.Call():
            target = "" if node.target is None else f"{show(node.target)}:"
            return f"{target}{node.function}({', '.join(map(show, node.args))})"
        case ast.List():
            return f"[{', '.join(map(show, node.elements))}]{node.optional_indices or ''}"
        case ast.Map():
            return f"{{{', '.join(f'{show(e.key)}: {show(e.value)}' for e in node.entries)}}}"
        case ast.Struct():
            return f"{node.type_name}{{{', '.join(f'{f.name}: {show(f.value)}' for f in node.fields)}}}"
        case _:
            return f"{node.macro}({show(node.range)}, {', '.join(map(show, node.arguments))})"


def fault(source: str, syntax: Syntax = SYNTAX) -> list[tuple[int, str]]:
    with pytest.raises(CompileError) as error:
        parse_expression(source, syntax)
    return [tuple(f) for f in error.value.faults]


@pytest.mark.parametrize(
    ("source", "tree"),
    [
        ("a + b * c", "_+_(a, _*_(b, c))"),
        ("a * b + c", "_+_(_*_(a, b), c)"),
        ("a - b - c", "_-_(_-_(a, b), c)"),
        ("a < b == c", "_==_(_<_(a, b), c)"),
        ("a in b && c", "_&&_(@in(a, b), c)"),
        ("a || b && c", "_||_(a, _&&_(b, c))"),
        ("a && b && c && d", "_&&_(_&&_(a, b), _&&_(c, d))"),
        ("a || b || c", "_||_(_||_(a, b), c)"),
        ("a ? b : c ? d : e", "_?_:_(a, b, _?_:_(c, d, e))"),
        ("!a", "!_(a)"),
        ("!!a", "a"),
        ("---a", "-_(a)"),
        ("-a.b", "-_(a.b)"),
        ("-1", "-1"),
        ("--1", "1"),
        ("- 1.5", "-1.5"),
        ("a - 1", "_-_(a, 1)"),
        ("a.b.c", "a.b.c"),
        ("a.b(c)", "a:b(c)"),
        ("a[0]", "_[_](a, 0)"),
        ("a[?0]", "_[?_](a, 0)"),
        ("a.?b", "_?._(a, 'b')"),
        ("f()", "f()"),
        (".f(a, b)", ".f(a, b)"),
        (".a", ".a"),
        ("[a, ?b,]", "[a, b](1,)"),
        ("[,]", "[]"),
        ("{a: b, 'c': d}", "{a: b, 'c': d}"),
        ("{,}", "{}"),
        ("a.B{c: 1, d: 2,}", "a.B{c: 1, d: 2}"),
        (".a.B{}", ".a.B{}"),
        ("(a)", "a"),
        ("a // b\n+ c", "_+_(a, c)"),
        ("has(a.b)", "has a.b"),
    ],
)
def test_trees(source: str, tree: str) -> None:
    assert show(parse_expression(source, SYNTAX)) == tree


@pytest.mark.parametrize(
    ("source", "value", "expected_type"),
    [
        ("1", 1, INT),
        ("0x1F", 31, INT),
        ("-0x8000000000000000", -(2**63), INT),
        ("1u", 1, UINT),
        ("0xFFU", 255, UINT),
        ("1.5e3", 1500.0, DOUBLE),
        (".5", 0.5, DOUBLE),
        ("1e1", 10.0, DOUBLE),
        ("true", True, BOOL),
        ("null", None, NULL),
        ("'a\"b'", 'a"b', STRING),
        (r"'\a\b\f\n\r\t\v\\\?\`'", "\a\b\f\n\r\t\v\\?`", STRING),
        (r"'\x41\101\u0041\U0001F600'", "AAA😀", STRING),
        (r"r'\n'", "\\n", STRING),
        ("'''a\nb'''", "a\nb", STRING),
        ("'''a\r\nb'''", "a\nb", STRING),
        ('"""a"b"""', 'a"b', STRING),
        ("b'abc'", b"abc", BYTES),
        (r"b'\xff\377é'", b"\xff\xff\xc3\xa9", BYTES),
        (r"br'\x'", b"\\x", BYTES),
    ],
)
def test_literals(source: str, value: object, expected_type: object) -> None:
    literal = parse_expression(source, SYNTAX)
    assert isinstance(literal, ast.Literal)
    assert (literal.value, literal.type) == (value, expected_type)
    assert type(literal.value) is type(value)


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("9223372036854775808", [(0, "invalid int literal")]),
        ("1 + 0x8000000000000000", [(4, "invalid int literal")]),
        ("18446744073709551616u", [(0, "invalid uint literal")]),
        ("1" * 5000, [(0, "invalid int literal")]),
        ("1e999", [(0, "invalid double literal")]),
        (r"'\ud800'", [(0, "invalid unicode code point")]),
        (r"'\U00110000'", [(0, "invalid unicode code point")]),
        (r"b'\u0041'", [(0, "unable to unescape string")]),
        ("a + var", [(4, "reserved identifier: var")]),
        ("if(has(1))", [(0, "reserved identifier: if")]),
        ("a.`b-c`", [(2, "unsupported syntax: '`'")]),
    ],
)
def test_faults_that_the_grammar_does_not_know(source: str, faults: list[tuple[int, str]]) -> None:
    assert fault(source) == faults


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("a.?b", "unsupported syntax '.?'"),
        ("a[?b]", "unsupported syntax '[?'"),
        ("[?a]", "unsupported syntax '?'"),
        ("{?a: b}", "unsupported syntax '?'"),
        ("A{?a: b}", "unsupported syntax '?'"),
    ],
)
def test_optional_syntax_is_refused_where_a_version_lacks_it(source: str, message: str) -> None:
    assert [text for _, text in fault(source, Syntax(optional=False))] == [message]


def test_escaped_names_where_they_are_on() -> None:
    assert show(parse_expression("a.`b-c`", Syntax(escaped_names=True))) == "a.b-c"


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("a + b", 2),
        ("a && b", 2),
        ("a ? b : c", 2),
        ("a.b", 1),
        ("a.b(c)", 3),
        ("f(a)", 1),
        ("a[0]", 1),
        ("[a]", 0),
        ("{a: b}", 0),
        ("A.B{}", 3),
        (" -1", 1),
        ("!a", 0),
    ],
)
def test_positions_are_those_of_the_operators(source: str, position: int) -> None:
    assert parse_expression(source, SYNTAX).position == position


TOO_DEEP = [(-1, "expression recursion limit exceeded: 250")]


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "(" * n + "1" + ")" * n,
        lambda n: "[" * n + "]" * n,
        lambda n: "+".join(["1"] * (n + 1)),
        lambda n: "<".join(["1"] * (n + 1)),
        lambda n: "a" + ".b" * n,
        lambda n: "a" + "[0]" * n,
        lambda n: "a?b:" * n + "c",
    ],
)
def test_nesting_is_limited(make: object) -> None:
    parse_expression(make(240), SYNTAX)  # type: ignore[operator]
    assert fault(make(260)) == TOO_DEEP  # type: ignore[operator]


def test_nodes_of_several_rules_count_together() -> None:
    source = "a" + ".b" * 200 + "+1" * 200
    assert fault(source) == [(-1, "max recursion depth exceeded")]


def test_the_source_is_limited() -> None:
    parse_expression(f"'{'a' * 99_998}'", SYNTAX)
    message = "expression code point size exceeds limit: size: 100001, limit 100000"
    assert fault(f"'{'a' * 99_999}'") == [(-1, message)]


def test_long_chains_of_logic_are_not_deep() -> None:
    parse_expression(" && ".join(["a"] * 5000), SYNTAX)


def test_ids_are_unique() -> None:
    tree = parse_expression("[1].map(x, x + 1).optMap(y, y).exists(a, b, a == b) && {1: [2]}.size() > 0", SYNTAX)
    ids = [node.id for node in ast.walk(tree)]
    assert len(ids) == len(set(ids))
