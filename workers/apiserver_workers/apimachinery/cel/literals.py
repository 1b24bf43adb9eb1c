"""The values of literals: numbers, strings and bytes.

The lexer has accepted a literal, so it is well formed. A number may still be too large. In a string, a code point may not
exist; bytes have no code points at all.

Upstream: cel-go parser/parser.go (VisitInt and the like), parser/unescape.go.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from . import lexer
from .lexer import Token
from .types import BOOL, BYTES, DOUBLE, INT, NULL, STRING, UINT, Type

# Literals that may have a sign.
SIGNED = frozenset({lexer.INT, lexer.FLOAT})
_LARGEST_INT = 2**63 - 1
_LARGEST_UINT = 2**64 - 1
_MOST_DIGITS = 400
_ESCAPE = re.compile(r"\\(?:([xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CODE_POINTS = 0x110000


def read_literal(token: Token, sign: str = "") -> tuple[Any, Type]:
    """The value and the type of a literal's token. Raises ValueError with upstream's message."""
    return READERS[token.type](token.text, sign)


def _int(text: str, sign: str) -> tuple[int, Type]:
    value = _parse_int(text)
    if sign:
        value = -value
    if not -_LARGEST_INT - 1 <= value <= _LARGEST_INT:
        raise ValueError("invalid int literal")
    return value, INT


def _uint(text: str, sign: str) -> tuple[int, Type]:
    value = _parse_int(text[:-1])
    if value > _LARGEST_UINT:
        raise ValueError("invalid uint literal")
    return value, UINT


def _parse_int(text: str) -> int:
    """The number; of a number with very many digits only that it is too large."""
    if text.startswith("0x"):
        return int(text, 16)
    digits = text.lstrip("0") or "0"
    return int(digits[:_MOST_DIGITS])


def _double(text: str, sign: str) -> tuple[float, Type]:
    value = float(sign + text)
    if math.isinf(value):
        raise ValueError("invalid double literal")
    return value, DOUBLE


def _string(text: str, sign: str) -> tuple[str, Type]:
    return unescape_string(text), STRING


def _bytes(text: str, sign: str) -> tuple[bytes, Type]:
    return unescape_bytes(text), BYTES


def _constant(text: str, sign: str) -> tuple[bool | None, Type]:
    if text == "null":
        return None, NULL
    return text == "true", BOOL


READERS: dict[str, Callable[[str, str], tuple[Any, Type]]] = {
    lexer.INT: _int,
    lexer.FLOAT: _double,
    lexer.UINT: _uint,
    lexer.STRING: _string,
    lexer.BYTES: _bytes,
    "true": _constant,
    "false": _constant,
    "null": _constant,
}


def unescape_string(literal: str) -> str:
    """The value of a string literal. Raises ValueError with upstream's message."""
    body, raw = _body(literal)
    if raw or "\\" not in body:
        return body
    return _ESCAPE.sub(_replace, body)


def unescape_bytes(literal: str) -> bytes:
    """The value of a bytes literal, with its prefix `b`. Raises ValueError with upstream's message."""
    body, raw = _body(literal[1:])
    if raw or "\\" not in body:
        return body.encode("utf-8", "surrogatepass")
    parts: list[bytes] = []
    done = 0
    for escape in _ESCAPE.finditer(body):
        parts.append(body[done : escape.start()].encode("utf-8", "surrogatepass"))
        parts.append(_replace_in_bytes(escape))
        done = escape.end()
    parts.append(body[done:].encode("utf-8", "surrogatepass"))
    return b"".join(parts)


def _body(literal: str) -> tuple[str, bool]:
    raw = literal[0] in "rR"
    quoted = literal[1:] if raw else literal
    if "\r" in quoted:
        quoted = quoted.replace("\r\n", "\n").replace("\r", "\n")
    width = 3 if len(quoted) >= 6 and quoted.startswith(("'''", '"""')) else 1
    return quoted[width:-width], raw


def _replace(escape: re.Match[str]) -> str:
    code, octal, simple = escape.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple)
    number = int(code[1:], 16) if code is not None else int(octal, 8)
    if number >= _CODE_POINTS or 0xD800 <= number <= 0xDFFF:
        raise ValueError("invalid unicode code point")
    return chr(number)


def _replace_in_bytes(escape: re.Match[str]) -> bytes:
    code, octal, simple = escape.groups()
    if simple is not None:
        return _SIMPLE.get(simple, simple).encode()
    if code is None:
        return bytes([int(octal, 8)])
    if code[0] in "uU":
        raise ValueError("unable to unescape string")
    return bytes([int(code[1:], 16)])
