"""A client's query on its way through the front: its fields stay as the client wrote them.

The worker behind decides what the fields mean. The front only takes out fields by name, so that it can ask again from
another position; it never decides by a value.
"""

from __future__ import annotations

from collections.abc import Set
from urllib.parse import unquote_plus


def fields_without(raw_query: str, names: Set[str]) -> tuple[str, ...]:
    """The fields of a query in their order and spelling, without all that have one of the `names`."""
    return tuple(field for field in raw_query.split("&") if field and field_name(field) not in names)


def has_field(raw_query: str, name: str) -> bool:
    """Whether the query has a field of that name."""
    return any(field_name(field) == name for field in raw_query.split("&"))


def field_name(field: str) -> str:
    """The decoded name of a field, NAME=VALUE."""
    name = field.partition("=")[0]
    return unquote_plus(name) if "%" in name or "+" in name else name
