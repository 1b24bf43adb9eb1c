"""The decisions of the generated parser that need more than one token.

The generated parser looks ahead until one alternative is left. If the tokens fit none, it takes the alternative that had
already come to its end, or else reports the tokens that it looked at.

Upstream: antlr4 parser_atn_simulator.go on cel-go parser/gen/CEL.g4.
"""

from __future__ import annotations

from collections.abc import Callable

from .lexer import BYTES, ESCAPED_IDENT, FLOAT, IDENT, INT, STRING, UINT, Token
from .parser import Parser, Syntax, SyntaxFailure, TooDeep
from .syntax_grammar import END, MEMBER_STARTS, OPT_EXPR_STARTS, OPT_FIELD_STARTS, Tokens
from .syntax_tokens import Stream

_RELATIONS = frozenset({"<", "<=", ">=", ">", "==", "!=", "in"})
_PRODUCTS = frozenset({"*", "/", "%"})
_SUMS = frozenset({"+", "-"})
_SIGNED = frozenset({INT, FLOAT})
_OPENING = {"(": 2, "[": 3, "{": 4}
_LITERALS = {INT: 0, UINT: 1, FLOAT: 2, STRING: 3, BYTES: 4, "true": 5, "false": 6, "null": 7}
# After a signed number the parser looks as far as the expression goes. More tokens than this in all are not looked at.
_MOST_LOOKED_AT = 100_000


class NoAlternative(Exception):
    """No alternative fits the tokens from `start` to `offending`."""

    def __init__(self, start: Token, offending: Token) -> None:
        super().__init__()
        self.start = start
        self.offending = offending


class Decisions:
    """Decides at the stream's position. `expected_after` adds to tokens those that may follow the current rules' ends."""

    def __init__(self, stream: Stream, syntax: Syntax, expected_after: Callable[[Tokens], Tokens]) -> None:
        self._stream = stream
        self._syntax = syntax
        self._expected_after = expected_after
        self._looked_at = 0

    def continues(self, decision: str, precedence: int) -> bool:
        """Whether a loop goes on."""
        current = self._stream.la()
        if decision == "relation":
            return current in _RELATIONS and precedence <= 1
        if decision == "calc":
            return (current in _PRODUCTS and precedence <= 2) or (current in _SUMS and precedence <= 1)
        if decision == "member":
            return current in (".", "[")
        if decision == "minus":
            return self._another_minus()
        following = OPT_FIELD_STARTS if decision == "next field" else OPT_EXPR_STARTS
        return current == "," and self._stream.la(2) in following

    def choose(self, decision: str) -> int:
        """The index of an alternative. Raises NoAlternative."""
        return _CHOICES[decision](self)

    def _fail(self, distance: int) -> NoAlternative:
        return NoAlternative(self._stream.current, self._stream.peek(distance))

    def _another_minus(self) -> bool:
        if self._stream.la() != "-":
            if self._stream.la() in MEMBER_STARTS:
                return False
            raise self._fail(1)
        if self._stream.la(2) == "-" or self._stream.la(2) in MEMBER_STARTS:
            return True
        raise self._fail(2)

    def _calc_operator(self) -> int:
        return 0 if self._stream.la() in _PRODUCTS else 1

    def _member_step(self) -> int:
        if self._stream.la() == "[":
            return 2
        name = self._stream.la(2)
        if name == IDENT:
            return 1 if self._stream.la(3) == "(" else 0
        if name == "?" or name == ESCAPED_IDENT:
            return 0
        raise self._fail(2)

    def _unary(self) -> int:
        current = self._stream.la()
        if current == "!":
            return 1
        if current != "-":
            if current in MEMBER_STARTS:
                return 0
            raise self._fail(1)
        following = self._stream.la(2)
        if following in _SIGNED:
            self._look_beyond_number()
            return 0
        if following == "-" or following in MEMBER_STARTS:
            return 2
        raise self._fail(2)

    def _look_beyond_number(self) -> None:
        """A signed number may be a literal or a negation; both go on the same. They must fit as far as the member goes."""
        stream = self._stream
        parser = Parser(stream.tokens, self._syntax)
        parser.position = stream.index + 1
        if self._looked_at > _MOST_LOOKED_AT:
            return
        try:
            parser.member()
        except SyntaxFailure:
            raise NoAlternative(stream.current, stream.tokens[parser.position]) from None
        except TooDeep:
            return
        self._looked_at += parser.position - stream.index
        following = stream.tokens[parser.position]
        allowed = _RELATIONS | _PRODUCTS | _SUMS | {"&&", "||", "?"}
        if following.type not in self._expected_after(frozenset({END})) | allowed:
            raise NoAlternative(stream.current, following)

    def _primary(self) -> int:
        current = self._stream.la()
        if current in _OPENING:
            return _OPENING[current]
        if current == "-" or current in _LITERALS:
            return 6
        distance = 1
        if current == ".":
            distance = 2
        if current not in (".", IDENT) or self._stream.la(distance) != IDENT:
            raise self._fail(distance)
        if self._stream.la(distance + 1) == "(":
            return 1
        while self._stream.la(distance + 1) == "." and self._stream.la(distance + 2) == IDENT:
            distance += 2
        return 5 if self._stream.la(distance + 1) == "{" else 0

    def _literal(self) -> int:
        current = self._stream.la()
        if current in _LITERALS:
            return _LITERALS[current]
        if current != "-" or self._stream.la(2) not in _SIGNED:
            raise self._fail(2 if current == "-" else 1)
        return _LITERALS[self._stream.la(2)]


_CHOICES: dict[str, Callable[[Decisions], int]] = {
    "calc operator": Decisions._calc_operator,
    "member step": Decisions._member_step,
    "unary": Decisions._unary,
    "primary": Decisions._primary,
    "literal": Decisions._literal,
}
