"""The words of syntax errors."""

import pytest
from apiserver_workers.apimachinery.cel.syntax_grammar import describe

from tests.apimachinery.cel.test_cel_parser import fault

START = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
FIELD = "{'}', ',', '?', IDENTIFIER, ESC_IDENTIFIER}"


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("1 +", [(3, f"mismatched input '<EOF>' expecting {START}")]),
        ("", [(0, f"mismatched input '<EOF>' expecting {START}")]),
        (")", [(0, f"mismatched input ')' expecting {START}")]),
        ("(1", [(2, "missing ')' at '<EOF>'")]),
        ("1 ? 2", [(5, "mismatched input '<EOF>' expecting ':'")]),
        ("[1,,2]", [(3, "mismatched input ',' expecting ']'")]),
        ("f(1 2)", [(4, "extraneous input '2' expecting ')'")]),
        ("{'a' 1}", [(5, "missing ':' at '1'")]),
        ("x{", [(2, f"mismatched input '<EOF>' expecting {FIELD}")]),
        ("x{a}", [(3, "mismatched input '}' expecting ':'")]),
        ("1 + + 2", [(4, f"extraneous input '+' expecting {START}")]),
        ("1 2 3", [(2, "mismatched input '2' expecting <EOF>")]),
        ("a b", [(2, "extraneous input 'b' expecting <EOF>")]),
        ("!", [(1, f"extraneous input '<EOF>' expecting {START}")]),
        ("a.0", [(1, "extraneous input '.0' expecting <EOF>")]),
        ("a.b..c", [(4, "no viable alternative at input '..'")]),
        ("a.true", [(2, "mismatched input 'true' expecting IDENTIFIER")]),
        ("a.in", [(2, "no viable alternative at input '.in'"), (4, f"mismatched input '<EOF>' expecting {START}")]),
        ("--", [(2, "no viable alternative at input '-'"), (2, f"mismatched input '<EOF>' expecting {START}")]),
        ("-1.in", [(3, "no viable alternative at input '-1.in'"), (3, "no viable alternative at input '.in'")]),
        ("a[]", [(2, "mismatched input ']' expecting " + START.replace("'!', ", "'!', '?', "))]),
        ("1\n+ 2 3", [(6, "extraneous input '3' expecting <EOF>")]),
    ],
)
def test_parser_errors(source: str, faults: list[tuple[int, str]]) -> None:
    assert fault(source)[: len(faults)] == [(position, f"Syntax error: {text}") for position, text in faults]


@pytest.mark.parametrize(
    ("source", "text", "position"),
    [
        ("$", "$", 0),
        ("a = b", "= ", 2),
        ("a & b", "& ", 2),
        ("a | b", "| ", 2),
        ("'abc", "'abc", 0),
        ("'a\nb", "'a\\n", 0),
        (r'"\xFh"', r'"\xFh', 0),
        (r"'\u00g'", r"'\u00g", 0),
        (r"'\9'", r"'\9", 0),
        ("a.`$b", "`$", 2),
        ("r'", "'", 1),
        ("ü", "ü", 0),
    ],
)
def test_what_is_no_token(source: str, text: str, position: int) -> None:
    assert (position, f"Syntax error: token recognition error at: '{text}'") in fault(source)


def test_what_is_no_token_is_left_out() -> None:
    assert fault("a#b")[1:] == [(2, "Syntax error: extraneous input 'b' expecting <EOF>")]
    assert fault("1 $ + 2") == [(2, "Syntax error: token recognition error at: '$'")]


def test_other_faults_are_reported_as_well() -> None:
    assert fault("if x") == [(3, "Syntax error: extraneous input 'x' expecting <EOF>"), (0, "reserved identifier: if")]
    assert fault("a.?")[-1] == (3, "unsupported ident kind")
    assert (2, "unsupported syntax: '`'") in fault("a.`b.c`()")


def test_only_so_many_errors() -> None:
    faults = fault("$" * 200)
    assert len(faults) == 101
    assert faults[-1][1] == "Syntax error: More than 100 syntax errors"


def test_only_so_many_recoveries() -> None:
    assert fault("[" + "(*)," * 60 + "]")[-1][1] == "Syntax error: error recovery attempt limit exceeded: 30"


def test_only_so_many_tokens_are_skipped() -> None:
    assert (-1, "error recovery token lookahead limit exceeded: 256") in fault("(,(" + ",1" * 400)


def test_depth_is_limited_in_wrong_sources_too() -> None:
    assert fault("(" * 1000) == [(-1, "expression recursion limit exceeded: 250")]


def test_sets_of_tokens_are_in_the_order_of_the_grammar() -> None:
    assert describe(frozenset({"IDENTIFIER", "["})) == "{'[', IDENTIFIER}"
    assert describe(frozenset({"<EOF>"})) == "<EOF>"
