"""The names that an expression may use beyond its environment's: variables, and types with fields.

Upstream: apiserver/pkg/cel/types.go (DeclTypeProvider), apiserver/pkg/cel/mutation, cel-go common/types/provider.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .schema import KEYWORDS, Declared
from .types import (
    ANY,
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    LIST,
    MAP,
    NONE,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    Form,
    Type,
    list_of,
    map_of,
    struct,
    wrapper,
)

_JSON = map_of(STRING, DYN)
# Types that every environment knows by these names.
NAMED_TYPES: dict[str, Type] = {
    **{t.name: t for t in (BOOL, BYTES, DOUBLE, DURATION, INT, NULL, STRING, TIMESTAMP, TYPE, UINT)},
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "google.protobuf.Any": ANY,
    "google.protobuf.BoolValue": wrapper(BOOL),
    "google.protobuf.BytesValue": wrapper(BYTES),
    "google.protobuf.DoubleValue": wrapper(DOUBLE),
    "google.protobuf.FloatValue": wrapper(DOUBLE),
    "google.protobuf.Int32Value": wrapper(INT),
    "google.protobuf.Int64Value": wrapper(INT),
    "google.protobuf.StringValue": wrapper(STRING),
    "google.protobuf.UInt32Value": wrapper(UINT),
    "google.protobuf.UInt64Value": wrapper(UINT),
    "google.protobuf.Value": DYN,
    "google.protobuf.ListValue": LIST,
    "google.protobuf.Struct": _JSON,
    "google.protobuf.Empty": struct("google.protobuf.Empty"),
}
# The fields of those types, where an expression may make a value of them.
_FIELDS: dict[str, dict[str, Type]] = {
    "google.protobuf.Any": {"type_url": STRING, "value": BYTES},
    "google.protobuf.BoolValue": {"value": BOOL},
    "google.protobuf.BytesValue": {"value": BYTES},
    "google.protobuf.DoubleValue": {"value": DOUBLE},
    "google.protobuf.Int64Value": {"value": INT},
    "google.protobuf.StringValue": {"value": STRING},
    "google.protobuf.UInt64Value": {"value": UINT},
    "google.protobuf.Duration": {"seconds": INT, "nanos": INT},
    "google.protobuf.Timestamp": {"seconds": INT, "nanos": INT},
    "google.protobuf.Struct": {"fields": map_of(STRING, DYN)},
    "google.protobuf.ListValue": {"values": LIST},
    "google.protobuf.Value": {
        "null_value": INT,
        "number_value": DOUBLE,
        "string_value": STRING,
        "bool_value": BOOL,
        "struct_value": _JSON,
        "list_value": LIST,
    },
    "google.protobuf.Empty": {},
}
# Names by which declared types of schemas are found too.
_SCHEMA_NAMES = {"duration": DURATION, "timestamp": TIMESTAMP, "map": MAP}
_PATCH_FIELDS = {"op": STRING, "path": STRING, "from": STRING, "value": DYN}


@dataclass(frozen=True, slots=True, eq=False)
class Declarations:
    """Variables and types of one use of an environment.

    `structs` has the types with fields by name; `schemas` the schemas of variables whose values are plain JSON. `root` is
    the schema against which the static cost estimates sizes: that of `self`. `patch_types` adds `Object`, `Object.…` and `JSONPatch`. `keywords` says that a field whose name is a
    keyword may be selected without an escape.
    """

    variables: Mapping[str, Type] = field(default_factory=dict)
    structs: Mapping[str, Declared] = field(default_factory=dict)
    schemas: Mapping[str, Declared] = field(default_factory=dict)
    root: Declared | None = None
    patch_types: bool = False
    keywords: bool = True

    def find_type(self, name: str) -> Type | None:
        """The type with this name, that an expression may name or make."""
        if name in self.structs:
            return self.structs[name].type
        if self.patch_types and (name in ("JSONPatch", "Object") or name.startswith("Object.")):
            return struct(name)
        if self.structs and name in _SCHEMA_NAMES:
            return _SCHEMA_NAMES[name]
        return None

    def find_field(self, type_name: str, name: str) -> Type | None:
        """The type of a type's field."""
        declared = self.structs.get(type_name)
        if declared is not None:
            return self._declared_field(declared, name)
        if self.patch_types and type_name == "JSONPatch":
            return _PATCH_FIELDS.get(name, NONE)
        if self.patch_types and (type_name == "Object" or type_name.startswith("Object.")):
            return DYN
        return _FIELDS.get(type_name, {}).get(name)

    def _declared_field(self, declared: Declared, name: str) -> Type | None:
        fields = declared.fields or {}
        found = fields.get(name)
        if found is None and self.keywords and name in KEYWORDS:
            found = fields.get(f"__{name}__")
        return None if found is None else found.declared.type


def message_name(t: Type) -> str | None:
    """The name by which the fields of a type are found; None if expressions cannot make a value of the type."""
    if t.form in (Form.STRUCT, Form.TIME, Form.ANY):
        return t.name
    if t.form is Form.LIST:
        return "google.protobuf.ListValue" if t.parameters == (DYN,) else None
    if t.form is Form.MAP:
        return "google.protobuf.Struct" if t.parameters == (STRING, DYN) else None
    if t.form is Form.WRAPPER:
        return _WRAPPERS[t.name]
    return _OTHER_MESSAGES.get(t.form)


_WRAPPERS = {
    "bool": "google.protobuf.BoolValue",
    "bytes": "google.protobuf.BytesValue",
    "double": "google.protobuf.DoubleValue",
    "int": "google.protobuf.Int64Value",
    "string": "google.protobuf.StringValue",
    "uint": "google.protobuf.UInt64Value",
}
_OTHER_MESSAGES = {Form.DYN: "google.protobuf.Value", Form.NULL: "google.protobuf.NullValue"}
