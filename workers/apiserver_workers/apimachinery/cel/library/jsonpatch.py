"""jsonpatch.escapeKey, for mutating policies only. Upstream: K/cel/library/jsonpatch.go."""

from __future__ import annotations

from . import costs
from .row import Row


def escape_key(key: str) -> str:
    """A key as a part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


ROWS: tuple[Row, ...] = (
    Row(
        "string_jsonpatch_escapeKey_string",
        "jsonpatch.escapeKey",
        ("string",),
        "string",
        escape_key,
        static=costs.static_traverse(sized=True),
        runtime=costs.traverse_first,
        by_name=True,
        library="jsonpatch",
    ),
)
