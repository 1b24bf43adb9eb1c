"""The query of a request, parsed once for all that reads it: the values of each parameter, in their order."""

from __future__ import annotations

from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.server.http.escapes import unescaped

MAX_FIELDS = 10_000  # net/url's own limit


def has_too_many_fields(raw_query: str) -> bool:
    """Whether to refuse the query unread."""
    return raw_query.count("&") >= MAX_FIELDS


@memoized
def parse_query(raw_query: str) -> dict[str, list[str]]:
    """All values by name, empty ones too. Requests alike share the answer; never change it."""
    values: dict[str, list[str]] = {}
    for field in raw_query.split("&"):
        if field:
            name, _, value = field.partition("=")
            values.setdefault(_decoded(name), []).append(_decoded(value))
    return values


def _decoded(text: str) -> str:
    if text.isascii() and "%" not in text:
        return text.replace("+", " ")
    return unescaped(text.replace("+", " ").encode("latin-1", "replace")).decode("utf-8", "replace")


def first(raw_query: str, name: str) -> str:
    """The first value of a parameter, "" if it is not there."""
    values = parse_query(raw_query).get(name)
    return values[0] if values else ""
