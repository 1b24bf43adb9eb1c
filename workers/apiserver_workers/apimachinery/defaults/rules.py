"""Defaults as data: a rule names a path to structs and the fields that get a value when they have none.

Two kinds of absence exist, as in the Go types: a pointer is defaulted when it is nil (the key is missing, or null
where Go writes null), a plain value when it is zero (the key is missing, or present with "" or 0). A rule never makes the struct it applies to: an
optional struct that is not there has no defaults, and required ones are there in a normalised object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Object = dict[str, Any]
Defaulter = Callable[[Object], None]


def structs(node: Any, steps: tuple[str, ...]) -> Iterator[Object]:
    """Every struct at the path below node; a step `name[]` goes into each element of a list, `name{}` of a map."""
    if not isinstance(node, dict):
        return
    if not steps:
        yield node
        return
    step, rest = steps[0], steps[1:]
    child = node.get(step.rstrip("[]{}"))
    if step.endswith("[]"):
        for element in child or ():
            yield from structs(element, rest)
    elif step.endswith("{}"):
        for element in (child or {}).values():
            yield from structs(element, rest)
    else:
        yield from structs(child, rest)


def split(path: str) -> tuple[str, ...]:
    return tuple(path.split(".")) if path else ()


def _fresh(value: Any) -> Any:
    """A value of its own for each object: stored objects never share what a later write may change."""
    if isinstance(value, dict):
        return {key: _fresh(item) for key, item in value.items()}
    return [_fresh(item) for item in value] if isinstance(value, list) else value


def pointers(path: str, **fields: Any) -> Defaulter:
    """A rule for pointer fields of the structs at path: a missing field gets its value."""
    steps = split(path)

    def default(obj: Object) -> None:
        for struct in structs(obj, steps):
            for name, value in fields.items():
                if struct.get(name) is None:
                    struct[name] = _fresh(value)

    return default


def values(path: str, **fields: Any) -> Defaulter:
    """A rule for plain fields of the structs at path: a missing, empty or zero field gets its value."""
    steps = split(path)

    def default(obj: Object) -> None:
        for struct in structs(obj, steps):
            for name, value in fields.items():
                if not struct.get(name):
                    struct[name] = _fresh(value)

    return default


def each(path: str, function: Defaulter) -> Defaulter:
    """A rule that calls function with every struct at path."""
    steps = split(path)

    def default(obj: Object) -> None:
        for struct in structs(obj, steps):
            function(struct)

    return default
