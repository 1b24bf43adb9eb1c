"""Source text to tokens.

One regular expression finds the longest token, as the generated lexer of upstream does. A character that starts no token
raises Unlexable; the words for that error are found in syntax.py, because only an error needs them.

Upstream: cel-go parser/gen/CEL.g4.
"""

from __future__ import annotations

import re
from typing import NamedTuple

IDENT = "IDENTIFIER"
ESCAPED_IDENT = "ESC_IDENTIFIER"
INT = "NUM_INT"
UINT = "NUM_UINT"
FLOAT = "NUM_FLOAT"
STRING = "STRING"
BYTES = "BYTES"
EOF = "<EOF>"
KEYWORDS = frozenset({"in", "true", "false", "null"})

_ESCAPE = r"\\(?:[abfnrtv\"'\\?`]|[0-3][0-7][0-7]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})"
_QUOTED = "|".join(
    (
        rf'"""(?:{_ESCAPE}|[^\\"]++|"(?!""))*+"""',
        rf"'''(?:{_ESCAPE}|[^\\']++|'(?!''))*+'''",
        rf'"(?:{_ESCAPE}|[^\\"\n\r]++)*+"',
        rf"'(?:{_ESCAPE}|[^\\'\n\r]++)*+'",
        r'[rR]"""(?:.|\n)*?"""',
        r"[rR]'''(?:.|\n)*?'''",
        r'[rR]"[^"\n\r]*"',
        r"[rR]'[^'\n\r]*'",
    )
)
_TOKEN = re.compile(
    rf"""
      (?P<SPACE>[\t\ \r\n\f]+|//[^\n]*)
    | (?P<STRING>{_QUOTED})
    | (?P<BYTES>[bB](?:{_QUOTED}))
    | (?P<IDENTIFIER>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<NUM_FLOAT>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)
    | (?P<NUM_UINT>0x[0-9a-fA-F]+[uU]|[0-9]+[uU])
    | (?P<NUM_INT>0x[0-9a-fA-F]+|[0-9]+)
    | (?P<ESC_IDENTIFIER>`[A-Za-z0-9_.\-/\ ]+`)
    | (?P<OP>==|!=|<=|>=|&&|\|\||[<>\[\]{{}}().,\-!?:+*/%])
    """,
    re.VERBOSE,
)


class Token(NamedTuple):
    """A token: `type` is the name of its class, or the text of an operator or a keyword."""

    type: str
    text: str
    position: int


class Unlexable(Exception):
    """No token starts at this position."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def tokenize(source: str) -> list[Token]:
    """The tokens of a source, the last one being the end. Raises Unlexable."""
    tokens: list[Token] = []
    match = _TOKEN.match
    position = 0
    length = len(source)
    while position < length:
        found = match(source, position)
        if found is None:
            raise Unlexable(position)
        group = found.lastgroup
        end = found.end()
        if group != "SPACE":
            text = source[position:end]
            tokens.append(Token(_token_type(group, text), text, position))
        position = end
    tokens.append(Token(EOF, EOF, length))
    return tokens


def _token_type(group: str | None, text: str) -> str:
    if group == "OP" or text in KEYWORDS:
        return text
    return str(group)


def match_token(source: str, position: int) -> tuple[str, int] | None:
    """The class and the end of the token that starts here; None if no token does."""
    found = _TOKEN.match(source, position)
    if found is None:
        return None
    return str(found.lastgroup), found.end()
