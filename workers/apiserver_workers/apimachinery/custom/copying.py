"""Copies of JSON values: orjson is the quickest way to one, and a loop for what it cannot write."""

from __future__ import annotations

from typing import Any

import orjson


def copied(value: Any) -> Any:
    """A deep copy of a JSON value."""
    try:
        return orjson.loads(orjson.dumps(value))
    except (orjson.JSONEncodeError, orjson.JSONDecodeError):
        return _copied(value)


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copied(of) for name, of in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
