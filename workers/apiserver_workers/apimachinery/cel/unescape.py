"""The value of a string or bytes literal: quotes off, escape sequences replaced.

The lexer has accepted the literal, so an escape sequence is well formed. What may be wrong: a code point that does not
exist, and in bytes a code point at all.

Upstream: cel-go parser/unescape.go.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:([xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CODE_POINTS = 0x110000


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
