"""Types of CEL expressions, as the checker sees them.

A type is a small immutable value: its form, the name that `type(x)` shows at run time, and its parameters. Two types
are the same if all three are. The text of a type (`str(t)`) is the one of upstream's error messages and declarations:
`list(int)`, `map(string, dyn)`, `wrapper(int)`, `google.protobuf.Timestamp` as `timestamp`.

Upstream: cel-go common/types/types.go, checker/format.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto


class Form(Enum):
    """Upstream's kinds of types, without a difference between the scalars (their names tell them apart)."""

    NONE = auto()
    DYN = auto()
    ANY = auto()
    ERROR = auto()
    NULL = auto()
    SCALAR = auto()
    WRAPPER = auto()
    TIME = auto()
    LIST = auto()
    MAP = auto()
    TYPE = auto()
    PARAMETER = auto()
    OPAQUE = auto()
    STRUCT = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Type:
    """A type. `name` is what `type(x)` shows; `parameters` are the types of a list's elements, a map's key and value…

    `is_open` says that a type parameter is inside. Types are compared by their texts: a comparison of the parts would
    take the square of the time for types that are deeply nested.
    """

    form: Form
    name: str
    parameters: tuple[Type, ...] = ()
    text: str = field(init=False, repr=False)
    is_open: bool = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _format(self))
        object.__setattr__(self, "is_open", self.form is Form.PARAMETER or any(p.is_open for p in self.parameters))

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return isinstance(other, Type) and self.form is other.form and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __str__(self) -> str:
        return self.text

    @property
    def long_text(self) -> str:
        """The other text that upstream prints types with: the full names, `null_type`, `google.protobuf.Timestamp`."""
        name = f"wrapper({self.name})" if self.form is Form.WRAPPER else self.name
        if not self.parameters:
            return name
        return f"{name}({', '.join(p.long_text for p in self.parameters)})"

    @property
    def is_dyn(self) -> bool:
        """Nothing is known of the value before run time."""
        return self.form is Form.DYN or self.form is Form.ANY

    @property
    def is_optional(self) -> bool:
        return self.form is Form.OPAQUE and self.name == OPTIONAL_NAME


OPTIONAL_NAME = "optional_type"
_SHORT = {
    "google.protobuf.Duration": "duration",
    "google.protobuf.Timestamp": "timestamp",
    "google.protobuf.Any": "any",
    "null_type": "null",
}


def _format(t: Type) -> str:
    if t.form is Form.ERROR:
        return "!error!"
    if t.form is Form.WRAPPER:
        return f"wrapper({t.name})"
    if not t.parameters:
        return _SHORT.get(t.name, t.name)
    return f"{t.name}({', '.join(p.text for p in t.parameters)})"


DYN = Type(Form.DYN, "dyn")
NONE = Type(Form.NONE, "")
ANY = Type(Form.ANY, "google.protobuf.Any")
ERROR = Type(Form.ERROR, "error")
NULL = Type(Form.NULL, "null_type")
BOOL = Type(Form.SCALAR, "bool")
BYTES = Type(Form.SCALAR, "bytes")
DOUBLE = Type(Form.SCALAR, "double")
INT = Type(Form.SCALAR, "int")
STRING = Type(Form.SCALAR, "string")
UINT = Type(Form.SCALAR, "uint")
DURATION = Type(Form.TIME, "google.protobuf.Duration")
TIMESTAMP = Type(Form.TIME, "google.protobuf.Timestamp")
TYPE = Type(Form.TYPE, "type")


def list_of(element: Type) -> Type:
    """list(element)"""
    return Type(Form.LIST, "list", (element,))


def map_of(key: Type, value: Type) -> Type:
    """map(key, value)"""
    return Type(Form.MAP, "map", (key, value))


def type_of(t: Type) -> Type:
    """The type of a type's name in an expression: `type(int)` for `int`."""
    return Type(Form.TYPE, "type", (t,))


def optional_of(t: Type) -> Type:
    """optional_type(t)"""
    return Type(Form.OPAQUE, OPTIONAL_NAME, (t,))


def parameter(name: str) -> Type:
    """A type that a call or a context decides, such as `A` in `list(A)`."""
    return Type(Form.PARAMETER, name)


def opaque(name: str, *parameters: Type) -> Type:
    """A type of a library that shows none of its inside, such as kubernetes.Quantity."""
    return Type(Form.OPAQUE, name, parameters)


def struct(name: str) -> Type:
    """A type with named fields; the declarations tell which."""
    return Type(Form.STRUCT, name)


def wrapper(t: Type) -> Type:
    """A scalar or null (google.protobuf.Int64Value and the like)."""
    return Type(Form.WRAPPER, t.name)


LIST = list_of(DYN)
MAP = map_of(DYN, DYN)
SCALARS = {t.name: t for t in (BOOL, BYTES, DOUBLE, INT, STRING, UINT)}
_NAMED = {
    **SCALARS,
    "dyn": DYN,
    "any": ANY,
    "null_type": NULL,
    "null": NULL,
    "type": TYPE,
    "duration": DURATION,
    "timestamp": TIMESTAMP,
    DURATION.name: DURATION,
    TIMESTAMP.name: TIMESTAMP,
    ANY.name: ANY,
}


def parse_type(text: str) -> Type:
    """The type that this text names, in the form of `str(t)`: `map(string, list(A))`.

    A name of upper case letters and digits is a parameter; another unknown name is an opaque type.
    """
    found, rest = _parse(text.strip())
    if rest:
        raise ValueError(f"not a type: {text!r}")
    return found


def _parse(text: str) -> tuple[Type, str]:
    end = 0
    while end < len(text) and text[end] not in "(), ":
        end += 1
    name = text[:end]
    parameters: list[Type] = []
    rest = text[end:]
    if not rest.startswith("("):
        return _named(name, ()), rest
    while not rest.startswith(")"):
        inner, rest = _parse(rest[1:].lstrip())
        parameters.append(inner)
    return _named(name, tuple(parameters)), rest[1:]


def _named(name: str, parameters: tuple[Type, ...]) -> Type:
    if name == "list":
        return Type(Form.LIST, "list", parameters)
    if name == "map":
        return Type(Form.MAP, "map", parameters)
    if name == "wrapper":
        return wrapper(parameters[0])
    if name == "type" and parameters:
        return type_of(parameters[0])
    if name in _NAMED:
        return _NAMED[name]
    if name.isupper() and name.isalnum():
        return parameter(name)
    return opaque(name, *parameters)
