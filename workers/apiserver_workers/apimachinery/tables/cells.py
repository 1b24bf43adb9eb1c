"""The cells that tables are made of: each is a function of an object and the time, most are made by a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apiserver_workers.apimachinery.tables.durations import UNKNOWN, age

Object = dict[str, Any]
Cell = Callable[[Object, float], Any]

NONE = "<none>"
UNSET = "<unset>"


def get(obj: Any, path: str) -> Any:
    """The value at a dotted path, or None."""
    for name in path.split("."):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(name)
    return obj


def items(obj: Any, path: str) -> list[Any]:
    """The list at a dotted path, empty when there is none."""
    return get(obj, path) or []


def name(obj: Object, now: float) -> str:
    return (obj.get("metadata") or {}).get("name") or ""


def created(obj: Object, now: float) -> str:
    """The age of the object."""
    return age(get(obj, "metadata.creationTimestamp"), now)


def created_at(obj: Object, now: float) -> Any:
    """The time of creation as it is: for kinds that have no table of their own."""
    return get(obj, "metadata.creationTimestamp")


def value(path: str, missing: Any = "") -> Cell:
    """The value at a path, or `missing` when it is not there."""

    def cell(obj: Object, now: float) -> Any:
        found = get(obj, path)
        return missing if found is None else found

    return cell


def filled(path: str, empty: str) -> Cell:
    """The string at a path, or `empty` when it is not there or empty."""
    return lambda obj, now: get(obj, path) or empty


def number(path: str) -> Cell:
    return value(path, 0)


def flag(path: str, missing: bool = False) -> Cell:
    return value(path, missing)


def count(path: str) -> Cell:
    """How many elements a list or map has."""
    return lambda obj, now: len(get(obj, path) or ())


def joined(path: str, empty: str = "") -> Cell:
    return lambda obj, now: ",".join(get(obj, path) or ()) or empty


def since(path: str, missing: str = UNKNOWN) -> Cell:
    """How long ago the time at a path was."""

    def cell(obj: Object, now: float) -> str:
        found = get(obj, path)
        return age(found, now) if found else missing

    return cell


def labels(path: str) -> Cell:
    """A map of labels: a=b,c=d."""
    return lambda obj, now: format_labels(get(obj, path))


def selector(path: str) -> Cell:
    """A LabelSelector: a=b,c in (d,e)."""
    return lambda obj, now: format_selector(get(obj, path)) or NONE


def containers(path: str) -> tuple[Cell, Cell]:
    """Two cells: the names and the images of a list of containers."""
    return _attributes(path, "name"), _attributes(path, "image")


def _attributes(path: str, attribute: str) -> Cell:
    return lambda obj, now: ",".join(container.get(attribute) or "" for container in get(obj, path) or ())


def format_labels(found: Mapping[str, str] | None) -> str:
    return ",".join(f"{key}={found[key]}" for key in sorted(found)) if found else NONE


_EXPRESSIONS = {
    "In": "{key} in ({values})",
    "NotIn": "{key} notin ({values})",
    "Exists": "{key}",
    "DoesNotExist": "!{key}",
}


def format_selector(found: Mapping[str, Any] | None) -> str:
    """A LabelSelector as a selector's text, requirements in the order of their keys."""
    if not found:
        return ""
    requirements = [(key, f"{key}={wanted}") for key, wanted in (found.get("matchLabels") or {}).items()]
    for expression in found.get("matchExpressions") or ():
        values = ",".join(sorted(expression.get("values") or ()))
        form = _EXPRESSIONS.get(expression.get("operator", ""), "{key}")
        requirements.append((expression["key"], form.format(key=expression["key"], values=values)))
    return ",".join(text for _, text in sorted(requirements, key=lambda requirement: requirement[0]))


def condition(obj: Object, kind: str) -> Object | None:
    """The condition of that type in the object's status."""
    for found in items(obj, "status.conditions"):
        if found.get("type") == kind:
            return found
    return None


def shortened(texts: Iterable[str], total: int, limit: int = 3) -> str:
    """The first few of a list: `a,b,c + 2 more...`."""
    shown = list(texts)[:limit]
    text = ",".join(shown)
    return f"{text} + {total - limit} more..." if total > limit else text
