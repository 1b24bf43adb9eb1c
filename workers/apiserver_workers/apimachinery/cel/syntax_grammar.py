"""The grammar of CEL as data, and which tokens may come next at every point of it.

Only errors need this: parser.py parses what is right. The rules have the shape of the language definition of CEL, because
the words of a syntax error name the tokens that would have been right at the point where a parser of that shape stands.

Upstream: cel-spec doc/langdef.md, cel-go parser/gen/CEL.g4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .lexer import BYTES, EOF, ESCAPED_IDENT, FLOAT, IDENT, INT, STRING, UINT

# In a set of next tokens: the rule may end here.
END = "<end>"
Tokens = frozenset[str]
_NONE: Tokens = frozenset()

# The order in which sets of tokens are printed.
_ORDER = {
    token: index
    for index, token in enumerate(
        [EOF, "==", "!=", "in", "<", "<=", ">=", ">", "&&", "||", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?"]
        + [":", "+", "*", "/", "%", "true", "false", "null", FLOAT, INT, UINT, STRING, BYTES, IDENT, ESCAPED_IDENT]
    )
}
_UNQUOTED = frozenset({EOF, FLOAT, INT, UINT, STRING, BYTES, IDENT, ESCAPED_IDENT})


def describe(tokens: Tokens) -> str:
    """A set of tokens as error messages print it."""
    names = [token if token in _UNQUOTED else f"'{token}'" for token in sorted(tokens, key=_ORDER.__getitem__)]
    return names[0] if len(names) == 1 else f"{{{', '.join(names)}}}"


@dataclass(eq=False, slots=True)
class State:
    """A point in a rule: the tokens that may come next, up to the rule's end."""

    next: Tokens = _NONE


@dataclass(eq=False, slots=True)
class Tok:
    """One of some tokens (mostly of one)."""

    types: Tokens
    state: State = field(default_factory=State)
    after: Tokens = _NONE

    def first(self) -> Tokens:
        return self.types

    def resolve(self, after: Tokens) -> None:
        self.state.next = self.types
        self.after = after


@dataclass(eq=False, slots=True)
class Ref:
    """Another rule, with the least precedence of its operators."""

    rule: str
    precedence: int = 0
    state: State = field(default_factory=State)
    after: Tokens = _NONE

    def first(self) -> Tokens:
        return RULES[self.rule].first()

    def resolve(self, after: Tokens) -> None:
        self.state.next = self.first()
        self.after = after


@dataclass(eq=False, slots=True)
class Seq:
    """Parts one after another."""

    parts: Sequence[Part]
    starts: Tokens = _NONE

    def first(self) -> Tokens:
        found: Tokens = _NONE
        for part in self.parts:
            found |= part.first()
            if not isinstance(part, (Opt, Star)):
                return found
        return found | {END}

    def resolve(self, after: Tokens) -> None:
        self.starts = self.first()
        for part in reversed(self.parts):
            part.resolve(after)
            after = part.first() | (after if isinstance(part, (Opt, Star)) else _NONE)


@dataclass(eq=False, slots=True)
class Opt:
    """A part that may be missing. `starts` are the tokens that it may start with."""

    body: Seq
    state: State = field(default_factory=State)
    starts: Tokens = _NONE

    def first(self) -> Tokens:
        return self.body.first()

    def resolve(self, after: Tokens) -> None:
        self.starts = self.first()
        self.state.next = self.starts | after
        self.body.resolve(after)


@dataclass(eq=False, slots=True)
class Star:
    """A part any number of times. `decide` names a decision that one token cannot make."""

    body: Part
    decide: str = ""
    state: State = field(default_factory=State)
    back: State = field(default_factory=State)
    starts: Tokens = _NONE

    def first(self) -> Tokens:
        return self.body.first()

    def resolve(self, after: Tokens) -> None:
        self.starts = self.first()
        self.state.next = self.starts | after
        self.back.next = self.state.next
        self.body.resolve(self.state.next)


@dataclass(eq=False, slots=True)
class Plus:
    """A part at least once."""

    body: Part
    decide: str = ""
    state: State = field(default_factory=State)
    back: State = field(default_factory=State)
    starts: Tokens = _NONE

    def first(self) -> Tokens:
        return self.body.first()

    def resolve(self, after: Tokens) -> None:
        self.starts = self.first()
        self.state.next = self.starts
        self.back.next = self.starts | after
        self.body.resolve(self.back.next)


@dataclass(eq=False, slots=True)
class Block:
    """One of several alternatives."""

    alternatives: Sequence[Seq]
    decide: str = ""
    state: State = field(default_factory=State)
    starts: Tokens = _NONE

    def first(self) -> Tokens:
        found: Tokens = _NONE
        for alternative in self.alternatives:
            found |= alternative.first()
        return found

    def resolve(self, after: Tokens) -> None:
        self.starts = self.first()
        self.state.next = self.starts
        for alternative in self.alternatives:
            alternative.resolve(after)


Part = Tok | Ref | Seq | Opt | Star | Plus | Block


def _parts(parts: Sequence[Part | str]) -> Seq:
    """Parts, where a text is a token, or a rule if a rule has that name."""
    return Seq([_part(part) for part in parts])


def _part(part: Part | str) -> Part:
    if not isinstance(part, str):
        return part
    return Ref(part) if part in _RULE_NAMES else Tok(frozenset({part}))


def _one_of(tokens: str) -> Tok:
    return Tok(frozenset(tokens.split()))


def _opt(*parts: Part | str) -> Opt:
    return Opt(_parts(parts))


def _star(*parts: Part | str, decide: str = "") -> Star:
    return Star(_parts(parts), decide)


def _list_of(item: Sequence[Part | str], again: Sequence[Part | str], decide: str = "") -> Seq:
    return _parts([*item, _star(",", *again, decide=decide)])


_RULE_NAMES = frozenset(
    [
        "start",
        "expr",
        "conditionalOr",
        "conditionalAnd",
        "relation",
        "calc",
        "unary",
        "member",
        "primary",
        "exprList",
        "listInit",
        "fieldInitializerList",
        "optField",
        "mapInitializerList",
        "escapeIdent",
        "optExpr",
        "literal",
    ]
)
# Rules whose loops count as nesting.
RECURSIVE = frozenset({"relation", "calc", "member"})

RULES: dict[str, Part] = {
    "start": _parts(["expr", EOF]),
    "expr": _parts(["conditionalOr", _opt("?", "conditionalOr", ":", "expr")]),
    "conditionalOr": _parts(["conditionalAnd", _star("||", "conditionalAnd")]),
    "conditionalAnd": _parts(["relation", _star("&&", "relation")]),
    "relation": _parts(["calc", _star(_one_of("< <= >= > == != in"), Ref("relation", 2), decide="relation")]),
    "calc": _parts(
        [
            "unary",
            Star(
                Block(
                    [_parts([_one_of("* / %"), Ref("calc", 3)]), _parts([_one_of("+ -"), Ref("calc", 2)])],
                    decide="calc operator",
                ),
                decide="calc",
            ),
        ]
    ),
    "unary": Block(
        [
            _parts(["member"]),
            _parts([Plus(_part("!")), "member"]),
            _parts([Plus(_part("-"), decide="minus"), "member"]),
        ],
        decide="unary",
    ),
    "member": _parts(
        [
            "primary",
            Star(
                Block(
                    [
                        _parts([".", _opt("?"), "escapeIdent"]),
                        _parts([".", IDENT, "(", _opt("exprList"), ")"]),
                        _parts(["[", _opt("?"), "expr", "]"]),
                    ],
                    decide="member step",
                ),
                decide="member",
            ),
        ]
    ),
    "primary": Block(
        [
            _parts([_opt("."), IDENT]),
            _parts([_opt("."), IDENT, "(", _opt("exprList"), ")"]),
            _parts(["(", "expr", ")"]),
            _parts(["[", _opt("listInit"), _opt(","), "]"]),
            _parts(["{", _opt("mapInitializerList"), _opt(","), "}"]),
            _parts([_opt("."), IDENT, _star(".", IDENT), "{", _opt("fieldInitializerList"), _opt(","), "}"]),
            _parts(["literal"]),
        ],
        decide="primary",
    ),
    "exprList": _list_of(["expr"], ["expr"]),
    "listInit": _list_of(["optExpr"], ["optExpr"], decide="next element"),
    "fieldInitializerList": _list_of(["optField", ":", "expr"], ["optField", ":", "expr"], decide="next field"),
    "optField": _parts([_opt("?"), "escapeIdent"]),
    "mapInitializerList": _list_of(["optExpr", ":", "expr"], ["optExpr", ":", "expr"], decide="next element"),
    "escapeIdent": Block([_parts([IDENT]), _parts([ESCAPED_IDENT])]),
    "optExpr": _parts([_opt("?"), "expr"]),
    "literal": Block(
        [
            _parts([_opt("-"), INT]),
            _parts([UINT]),
            _parts([_opt("-"), FLOAT]),
            *(_parts([constant]) for constant in (STRING, BYTES, "true", "false", "null")),
        ],
        decide="literal",
    ),
}
for _rule in RULES.values():
    _rule.resolve(frozenset({END}))

OPT_EXPR_STARTS = RULES["optExpr"].first()
OPT_FIELD_STARTS = RULES["optField"].first()
MEMBER_STARTS = RULES["member"].first()
