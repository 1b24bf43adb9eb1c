"""Values of CEL at run time: what plain Python values stand for, and the few classes of our own.

| CEL | Python |
|---|---|
| bool, int, double, string, bytes, null | bool, int, float, str, bytes, None |
| uint | UInt |
| list | list, tuple or range, or a ListView |
| map, object | dict (keys are strings), KeyedMap (any keys), or a MapView |
| duration, timestamp, type, optional | Duration, Timestamp, TypeValue, Optional |

`True == 1 == 1.0` in Python, but not in CEL: every comparison goes by the type first. A value of a library's own type
is an `Opaque`. Views (views.py) show plain JSON by its schema.

Upstream: cel-go common/types.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from .failures import Failure, no_such_overload

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
SECOND = 10**9


class UInt(int):
    """An unsigned integer."""

    __slots__ = ()


class Duration:
    """A span of time in nanoseconds."""

    __slots__ = ("nanoseconds",)

    def __init__(self, nanoseconds: int) -> None:
        self.nanoseconds = nanoseconds

    def __eq__(self, other: object) -> bool:
        return type(other) is Duration and other.nanoseconds == self.nanoseconds

    def __hash__(self) -> int:
        return hash((Duration, self.nanoseconds))

    def __lt__(self, other: Duration) -> bool:
        return self.nanoseconds < other.nanoseconds


class Timestamp:
    """A moment: nanoseconds since 1970, and the offset (seconds east of UTC) that it was written with."""

    __slots__ = ("nanoseconds", "offset")

    def __init__(self, nanoseconds: int, offset: int = 0) -> None:
        self.nanoseconds = nanoseconds
        self.offset = offset

    def __eq__(self, other: object) -> bool:
        return type(other) is Timestamp and other.nanoseconds == self.nanoseconds

    def __hash__(self) -> int:
        return hash((Timestamp, self.nanoseconds))

    def __lt__(self, other: Timestamp) -> bool:
        return self.nanoseconds < other.nanoseconds


class TypeValue:
    """The type of a value, as `type(x)` gives it."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return type(other) is TypeValue and other.name == self.name

    def __hash__(self) -> int:
        return hash((TypeValue, self.name))


class Optional:
    """A value that may be missing; `NONE` has none."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class _Missing:
    """What a lookup gives when nothing is there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
NONE = Optional(MISSING)


class Opaque:
    """A value of a library's own type: subclasses set `type_name`, and `__eq__` for values of the same type."""

    __slots__ = ()
    type_name: ClassVar[str] = ""


class View:
    """A list or map that shows plain JSON by its schema (views.py)."""

    __slots__ = ()
    is_list: ClassVar[bool] = False

    def raw(self) -> Any:
        """The JSON itself."""
        raise NotImplementedError

    def equals(self, other: Any) -> bool:
        """As CEL's ==. Raises Failure."""
        raise NotImplementedError

    def find(self, key: Any) -> Any:
        """The element or field, MISSING if there is none. Raises Failure."""
        raise NotImplementedError

    def plus(self, other: Any) -> Any:
        """As CEL's +. Raises Failure."""
        raise no_such_overload("_+_")

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError


class Fields:
    """An object whose fields are worked out when they are asked for, each once: a policy's `variables`.

    `thunks` gives the functions by field name. A failure is remembered too.
    """

    __slots__ = ("_done", "_thunks")

    def __init__(self, thunks: dict[str, Callable[[], Any]]) -> None:
        self._thunks = thunks
        self._done: dict[str, Any] = {}

    def find(self, key: Any) -> Any:
        """The field's value, MISSING if there is no such field. Raises what the thunk raised."""
        if key not in self._done:
            if key not in self._thunks:
                return MISSING
            self._done[key] = self._work_out(key)
        value = self._done[key]
        if type(value) is Failure:
            raise value
        return value

    def _work_out(self, key: str) -> Any:
        try:
            return self._thunks[key]()
        except Failure as failure:
            return failure


class KeyedMap:
    """A map whose keys are not all strings. `True`, `1` and `1u` are different keys."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[Any, tuple[Any, Any]] = {}

    @staticmethod
    def _normal(key: Any) -> Any:
        kind = type(key)
        return key if kind is str or kind is int else (kind, key)

    def set(self, key: Any, value: Any) -> None:
        """Adds or replaces an entry."""
        self._entries[self._normal(key)] = (key, value)

    def discard(self, key: Any) -> None:
        """Removes an entry if it is there."""
        self._entries.pop(self._normal(key), None)

    def find(self, key: Any) -> Any:
        """The value, MISSING if there is none. A number finds an equal number of another type."""
        for candidate in alternatives(key):
            entry = self._entries.get(self._normal(candidate))
            if entry is not None:
                return entry[1]
        return MISSING

    def items(self) -> list[tuple[Any, Any]]:
        """Keys and values."""
        return list(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Any]:
        return iter([key for key, _ in self._entries.values()])


def alternatives(key: Any) -> list[Any]:
    """The key, and what it is as another numeric type without loss."""
    kind = type(key)
    if kind is int:
        return [key, UInt(key)] if key >= 0 else [key]
    if kind is UInt:
        return [key, int(key)] if key <= INT_MAX else [key]
    if kind is float and key.is_integer():
        found: list[Any] = [key]
        if INT_MIN <= key < 2.0**63:
            found.append(int(key))
        if 0 <= key < 2.0**64:
            found.append(UInt(int(key)))
        return found
    return [key]


LISTS = (list, tuple, range)
_NAMES: dict[type, str] = {
    bool: "bool",
    int: "int",
    UInt: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    range: "list",
    dict: "map",
    KeyedMap: "map",
    Duration: "google.protobuf.Duration",
    Timestamp: "google.protobuf.Timestamp",
    TypeValue: "type",
    Optional: "optional_type",
}


def type_name(value: Any) -> str:
    """The name of a value's type at run time."""
    name = _NAMES.get(type(value))
    if name is not None:
        return name
    if isinstance(value, View):
        return "list" if value.is_list else "map"
    return str(getattr(value, "type_name", "map"))


def is_list(value: Any) -> bool:
    """Whether the value is a list."""
    kind = type(value)
    return kind is list or kind is tuple or kind is range or (isinstance(value, View) and value.is_list)


def is_map(value: Any) -> bool:
    """Whether the value is a map or an object."""
    kind = type(value)
    return kind is dict or kind is KeyedMap or (isinstance(value, View) and not value.is_list)


_SIZED = (str, bytes, list, dict, tuple, range, KeyedMap, View)


def size_for_cost(value: Any) -> int:
    """The size that costs count: of strings, bytes, lists and maps; 1 for anything else, errors too."""
    if isinstance(value, _SIZED):
        return len(value)
    if type(value) is Optional and value.value is not MISSING:
        return size_for_cost(value.value)
    return getattr(value, "cost_size", 1)


def find(container: Any, key: Any) -> Any:
    """The value of a key of a map or of a field of an object, MISSING if there is none. Raises Failure."""
    if type(container) is dict:
        return container.get(key, MISSING) if type(key) is str else MISSING
    return container.find(key)


def unwrap(value: Any) -> Any:
    """The JSON below a view."""
    return value.raw() if isinstance(value, View) else value
