"""The tokens of a source that is not right: what is no token is reported and left out.

Upstream: antlr4 lexer_atn_simulator.go, lexer.go (Recover).
"""

from __future__ import annotations

import re

from .faults import Fault
from .lexer import EOF, KEYWORDS, Token, match_token

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
# As much of a token as there is, where the rest is missing. What follows it is the character that does not fit.
_UNFINISHED = re.compile(
    rf"""
      "(?:{_ESCAPE}|[^\\"\n\r])*(?P<double>\\)?
    | '(?:{_ESCAPE}|[^\\'\n\r])*(?P<single>\\)?
    | `[A-Za-z0-9_.\-/\ ]*
    | && | & | \|
    | =
    """,
    re.VERBOSE,
)
_PART_OF_ESCAPE = re.compile(r"\\(?:[0-3][0-7]?|[xX][0-9a-fA-F]?|u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7})?")


class Stream:
    """Tokens with a position among them. Spaces are kept: error texts quote them."""

    def __init__(self, tokens: list[Token], everything: list[Token]) -> None:
        self.tokens = tokens
        self._everything = everything
        self.index = 0

    @property
    def current(self) -> Token:
        return self.tokens[self.index]

    @property
    def at_end(self) -> bool:
        return self.current.type == EOF

    def peek(self, distance: int) -> Token:
        """The token at a distance; 1 is the current one. After the end there is only the end."""
        return self.tokens[min(self.index + distance - 1, len(self.tokens) - 1)]

    def la(self, distance: int = 1) -> str:
        """The type of the token at a distance."""
        return self.peek(distance).type

    def consume(self) -> None:
        """Goes to the next token."""
        if not self.at_end:
            self.index += 1

    def text(self, first: Token, last: Token) -> str:
        """The source from one token to another, without what was left out."""
        if first.type == EOF:
            return EOF
        return "".join(
            token.text
            for token in self._everything
            if first.position <= token.position <= last.position and token.type != EOF
        )


def read(source: str) -> tuple[Stream, list[Fault]]:
    """The tokens of a source, and what is no token."""
    tokens: list[Token] = []
    everything: list[Token] = []
    faults: list[Fault] = []
    position = 0
    while position < len(source):
        found = match_token(source, position)
        if found is None:
            end = _skip(source, position)
            faults.append(Fault(position, f"token recognition error at: {_quote(source[position:end])}"))
            position = end
            continue
        group, end = found
        text = source[position:end]
        token = Token(text if group == "OP" or text in KEYWORDS else group, text, position)
        everything.append(token)
        if group != "SPACE":
            tokens.append(token)
        position = end
    end_token = Token(EOF, EOF, len(source))
    return Stream([*tokens, end_token], [*everything, end_token]), faults


def _skip(source: str, position: int) -> int:
    """The end of what is no token: after the first character that fits to no token."""
    found = _UNFINISHED.match(source, position)
    if found is None:
        return position + 1
    end = found.end()
    if found["double"] or found["single"]:
        escape = _PART_OF_ESCAPE.match(source, end - 1)
        if escape is not None:
            end = escape.end()
    return min(end + 1, len(source))


def _quote(text: str) -> str:
    text = text.replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{text}'"
