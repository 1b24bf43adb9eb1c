"""Field errors: one constructor per kind of fault (k8s.io/apimachinery/pkg/util/validation/field/errors.go).

Paths are plain strings as clients see them (`spec.containers[0].name`, `data[key]`); `""` is the object itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.goformat import quoted

Errors = list[FieldError]


def shown(value: Any) -> str:
    """A value as a message shows it: strings quoted as Go does, structures as JSON."""
    if value.__class__ is str and not value.isprintable():
        return quoted(value)
    return orjson.dumps(value).decode()


def invalid(path: str, value: Any, detail: str) -> FieldError:
    return FieldError("FieldValueInvalid", path, f"Invalid value: {shown(value)}: {detail}")


def invalid_unshown(path: str, detail: str) -> FieldError:
    """Invalid, of a value too large to show (OmitValueType)."""
    return FieldError("FieldValueInvalid", path, f"Invalid value: {detail}")


def required(path: str, detail: str = "") -> FieldError:
    return FieldError("FieldValueRequired", path, f"Required value: {detail}" if detail else "Required value")


def duplicate(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueDuplicate", path, f"Duplicate value: {shown(value)}")


def forbidden(path: str, detail: str) -> FieldError:
    return FieldError("FieldValueForbidden", path, f"Forbidden: {detail}" if detail else "Forbidden")


def not_supported(path: str, value: Any, supported: Iterable[str]) -> FieldError:
    """`supported` in the order to be shown (upstream sorts them where they come from a set)."""
    listed = ", ".join(shown(choice) for choice in supported)
    detail = f": supported values: {listed}" if listed else ""
    return FieldError("FieldValueNotSupported", path, f"Unsupported value: {shown(value)}{detail}")


def not_found(path: str, value: Any) -> FieldError:
    return FieldError("FieldValueNotFound", path, f"Not found: {shown(value)}")


def too_long(path: str, limit: int) -> FieldError:
    unit = "byte" if limit == 1 else "bytes"
    return FieldError("FieldValueTooLong", path, f"Too long: may not be more than {limit} {unit}")


def internal_error(path: str, detail: str) -> FieldError:
    return FieldError("InternalError", path, f"Internal error: {detail}")


def too_many(path: str, actual: int, limit: int) -> FieldError:
    items = "item" if limit == 1 else "items"
    return FieldError("FieldValueTooMany", path, f"Too many: {actual}: must have at most {limit} {items}")


def join(path: str, name: str) -> str:
    """The path of a field; at the root the field's name alone."""
    return f"{path}.{name}" if path else name


def key(path: str, name: str) -> str:
    """The path of a map's entry."""
    return f"{path}[{name}]"


def each(path: str, items: Iterable[Any] | None) -> Iterator[tuple[str, Any]]:
    """(path, element) of a list that may be absent."""
    for index, item in enumerate(items or ()):
        yield f"{path}[{index}]", item


def repeated(items: Sequence[Any]) -> set[int]:
    """The indexes of those that equal an earlier one, in linear time."""
    seen: set[Any] = set()
    found: set[int] = set()
    for index, item in enumerate(items):
        key = item if isinstance(item, str) else orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
        if key in seen:
            found.add(index)
        seen.add(key)
    return found


def section(obj: Mapping[str, Any], *names: str) -> Any:
    """The object at nested names, `{}` where any of them is absent or null."""
    for name in names:
        obj = obj.get(name) or {}
    return obj


def unchanged(new: Any, old: Any, path: str) -> Errors:
    """ValidateImmutableField."""
    return [] if new == old else [invalid(path, new, IMMUTABLE)]


def at_least_zero(value: int | None, path: str) -> Errors:
    """ValidateNonnegativeField; an absent value passes."""
    return [invalid(path, value, NOT_NEGATIVE)] if value is not None and value < 0 else []


def one_of(value: Any, choices: Iterable[str], path: str, *, needed: bool = False) -> Errors:
    """An enumeration; with `needed` an absent or empty value is Required, else it passes."""
    if not value:
        return [required(path)] if needed else []
    allowed = list(choices)
    return [] if value in allowed else [not_supported(path, value, allowed)]


IMMUTABLE = "field is immutable"
NOT_NEGATIVE = "must be greater than or equal to 0"
