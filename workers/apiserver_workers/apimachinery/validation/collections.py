"""Lists and maps with limits (validateSlice, validateSet and validateMap of pkg/apis/resource/validation)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from apiserver_workers.apimachinery.validation.field import Errors, duplicate, each, key, too_many

Check = Callable[[Any, str], Errors]


def validate_slice(items: list[Any] | None, limit: int, check: Check, path: str) -> Errors:
    """Every item is valid and there are at most `limit` (negative: any number); of too many none is looked at."""
    found = items or []
    if 0 <= limit < len(found):
        return [too_many(path, len(found), limit)]
    return [error for at, item in each(path, found) for error in check(item, at)]


def validate_set(
    items: list[Any] | None, limit: int, check: Check, path: str, *, by: Callable[[Any], Hashable], shown: Any = None
) -> Errors:
    """As `validate_slice`, and no two items have the same key; `shown` makes of a key what its error shows."""
    found = items or []
    errors = validate_slice(found, limit, check, path)
    if 0 <= limit < len(found):
        return errors
    seen: set[Hashable] = set()
    for at, item in each(path, found):
        name = by(item)
        if name in seen:
            errors.append(duplicate(at, shown(name) if shown else name))
        seen.add(name)
    return errors


def validate_map(
    entries: Mapping[str, Any] | None, limit: int, name: Check, check: Check, path: str, *, longest_name: int
) -> Errors:
    """Names and values of a map; names are blamed on the map, values on their entry, whose path has a short name."""
    found = entries or {}
    if 0 <= limit < len(found):
        return [too_many(path, len(found), limit)]
    errors: Errors = []
    for entry, value in sorted(found.items()):
        errors += name(entry, path) + check(value, key(path, shortened(entry, longest_name)))
    return errors


def one_name(item: dict[str, Any]) -> str:
    """The key of items that are told apart by their name."""
    return str(item.get("name", ""))


def itself(item: str) -> str:
    """The key of plain strings."""
    return item


def shortened(name: str, longest: int) -> str:
    """truncateIfTooLong: the ends of a long name."""
    if len(name) <= longest:
        return name
    rest = longest - len("...")
    return f"{name[: (rest + 1) // 2]}...{name[len(name) - rest // 2 :]}"
