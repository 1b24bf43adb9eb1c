"""What the validation of a value by a schema finds, and how much of it matched (kube-openapi validate/result.go).

A fault remembers its path as kube-openapi has it: below the root it begins with a dot, and the root itself is "".
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.validation.field import invalid, not_supported, required, shown, too_long, too_many

NO_PATH = "<nil>"  # what a message shows where upstream has no path


class Result:
    """`matched` counts the checks that passed: of several alternatives the one that matches most is shown."""

    __slots__ = ("faults", "matched")

    def __init__(self) -> None:
        self.faults: list[FieldError] = []
        self.matched = 0

    @property
    def is_valid(self) -> bool:
        return not self.faults

    def merge(self, other: Result) -> None:
        """Add what another one has found."""
        self.faults += other.faults
        self.matched += other.matched


def ordered(value: Any) -> Any:
    """A value with its keys in the order in which Go writes them."""
    if value.__class__ is dict:
        return {name: ordered(value[name]) for name in sorted(value)}
    return [ordered(item) for item in value] if value.__class__ is list else value


def _path(name: str) -> str:
    return name.removeprefix(".") or NO_PATH


def general(message: str) -> FieldError:
    """A fault of combined schemas, which has no path of its own."""
    return invalid(NO_PATH, "", message)


def wrong_type(name: str, wanted: str, value: str) -> FieldError:
    """`value` is the text of a format that does not fit, or the type that was found."""
    return FieldError(
        "FieldValueTypeInvalid",
        _path(name),
        f"Invalid value: {shown(value)}: {name} in body must be of type {wanted}: {quoted(value)}",
    )


def missing(name: str) -> FieldError:
    return required(_path(name))


def none_of(name: str, value: Any, values: list[str]) -> FieldError:
    return not_supported(_path(name), ordered(value), values)


def longer(name: str, limit: int) -> FieldError:
    return too_long(_path(name), limit)


def more(name: str, count: int, limit: int) -> FieldError:
    """Too many items or properties."""
    return too_many(_path(name), count, limit)


def wrong(name: str, value: Any, rule: str) -> FieldError:
    """Any other rule: `x in body should be greater than 3`."""
    return invalid(_path(name), value, f"{name} in body {rule}")


def stray(name: str, key: str) -> FieldError:
    """A property where there may be no others."""
    return invalid(_path(name), key, f"{name}.{key} in body is a forbidden property")


def not_positive(name: str, factor: float, text: str) -> FieldError:
    """A factor that no number is a multiple of."""
    return invalid(_path(name), factor, f"factor MultipleOf declared for {name} must be positive: {text}")
