"""The query of a request, parsed once for all that reads it: the values of each parameter, in their order.

As net/url does it, a field with a semicolon or with a % that no two digits follow is left out.
"""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery.memo import LONGEST, Memo
from apiserver_workers.server.http.escapes import characters

MAX_FIELDS = 10_000  # net/url's own limit
AMPERSAND = "\u0126"  # what separators are while escapes are undone: characters that no byte can be
EQUALS = "\u013d"
SEPARATORS = {b"&": AMPERSAND, b"=": EQUALS}

_SPECIAL = re.compile(r"[%+;\x80-\U0010ffff]")
_WRONG_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def has_too_many_fields(raw_query: str) -> bool:
    """Whether to refuse the query unread."""
    return raw_query.count("&") >= MAX_FIELDS


def parse_query(raw_query: str) -> dict[str, list[str]]:
    """All values by name, empty ones too. Requests alike share the answer; never change it.

    Short queries are remembered, and the last one that is long: whoever handles a request does not parse it again.
    """
    if len(raw_query) <= LONGEST:
        return _short[raw_query]
    if _last_long[0] != raw_query:
        _last_long[:] = raw_query, parsed(raw_query)
    return _last_long[1]


def parsed(raw_query: str) -> dict[str, list[str]]:
    """What `parse_query` remembers."""
    if _SPECIAL.search(raw_query):
        return _parse_escaped(raw_query)
    values: dict[str, list[str]] = {}
    for field in raw_query.split("&"):
        if field:
            name, _, value = field.partition("=")
            values.setdefault(name, []).append(value)
    return values


_short = Memo(parsed)
_last_long: list[Any] = ["", {}]


def _parse_escaped(raw_query: str) -> dict[str, list[str]]:
    if ";" in raw_query:
        raw_query = "&".join(field for field in raw_query.split("&") if ";" not in field)
    values: dict[str, list[str]] = {}
    for field in _decoded_fields(raw_query):
        if field:
            name, _, value = field.partition(EQUALS)
            values.setdefault(_text(name), []).append(_text(value.replace(EQUALS, "=")))
    return values


def _decoded_fields(raw_query: str) -> list[str]:
    """The fields, their bytes as characters below 256, and each = that was not escaped as EQUALS.

    The escapes of all fields are undone at once: one by one they take ten times as long.
    """
    try:
        return _decoded(raw_query).split(AMPERSAND)
    except ValueError:
        return _decoded("&".join(filter(_is_right, raw_query.split("&")))).split(AMPERSAND)


def _decoded(raw_query: str) -> str:
    return characters(raw_query.replace("+", " ").encode("latin-1", "replace"), SEPARATORS)


def _is_right(field: str) -> bool:
    return not _WRONG_ESCAPE.search(field)


def _text(decoded: str) -> str:
    return decoded if decoded.isascii() else decoded.encode("latin-1").decode("utf-8", "replace")
