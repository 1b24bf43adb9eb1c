"""Query parameters as Go decodes them into option structs (k8s.io/apimachinery/pkg/conversion/queryparams)."""

from __future__ import annotations

import functools
from urllib.parse import parse_qs

from apiserver_workers.apimachinery.errors import bad_request

INT64 = 1 << 63


@functools.lru_cache(maxsize=2048)
def parse_query(raw_query: str) -> dict[str, list[str]]:
    """All values by name. Requests alike share the answer; never change it."""
    return parse_qs(raw_query, keep_blank_values=True) if raw_query else {}


def text(query: dict[str, list[str]], name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def flag(query: dict[str, list[str]], name: str) -> bool | None:
    """None when absent; everything but "false" and "0" is true, the empty value too."""
    values = query.get(name)
    return None if not values else values[0].lower() not in ("false", "0")


def integer(query: dict[str, list[str]], name: str) -> int | None:
    """None when absent. Raises ApiError 400 as strconv.ParseInt."""
    values = query.get(name)
    if not values:
        return None
    value = values[0]
    digits = value[1:] if value[:1] in ("+", "-") else value
    if not (digits.isascii() and digits.isdigit()):
        raise bad_request(f'strconv.ParseInt: parsing "{value}": invalid syntax')
    number = int(value)
    if not -INT64 <= number < INT64:
        raise bad_request(f'strconv.ParseInt: parsing "{value}": value out of range')
    return number
