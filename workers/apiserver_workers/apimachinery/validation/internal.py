"""Values as messages of upstream show them when they are parts of its internal types.

Those types have no JSON names: every field is there, under its Go name, zero or not. What comes from apimachinery or
other public types (label selectors, metadata) looks as it does in the API.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.types import Field, Type, model
from apiserver_workers.apimachinery.validation.field import IMMUTABLE, Errors, invalid

PUBLIC = "io.k8s.apimachinery."
ZERO: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "quantity": "0", "intstr": 0}
UPPER = {
    name.lower(): name
    for name in [
        "API",
        "CEL",
        "CIDR",
        "CIDRs",
        "CSI",
        "DNS",
        "FC",
        "FQDN",
        "GCE",
        "GRPC",
        "HTTP",
        "ID",
        "IP",
        "IPs",
        "ISCSI",
        "NFS",
        "OS",
        "RBD",
        "TCP",
        "TLS",
        "UID",
        "URL",
        "WWNs",
    ]
}
_words = re.compile("[A-Z]?[a-z0-9]+|[A-Z]+s?(?![a-z])")


@functools.cache
def go_name(name: str) -> str:
    """The Go name of a JSON field: `apiGroup` is APIGroup, `clusterIPs` ClusterIPs."""
    return "".join(UPPER.get(word.lower(), word[:1].upper() + word[1:]) for word in _words.findall(name))


def internal(type: Type, value: dict[str, Any] | None) -> Any:
    """An object of `type` with all the fields of its internal type."""
    if value is None or type.name.startswith(PUBLIC):
        return value
    return {go_name(name): _field(field, value.get(name)) for name, field in type.fields.items()}


def _field(field: Field, value: Any) -> Any:
    if value is None:
        if field.pointer or field.form in ("list", "map", "bytes", "raw", "time", "microtime"):
            return None
        return ZERO.get(field.form) if field.form != "object" or field.type is None else internal(field.type, {})
    element = field.element
    if field.form == "list" and element is not None:
        return [_field(element, item) for item in value]
    if field.form == "map" and element is not None:
        return {name: _field(element, item) for name, item in value.items()}
    if field.form == "object" and field.type is not None:
        return internal(field.type, value)
    return value


def invalid_internal(path: str, definition: str, value: Any, detail: str) -> FieldError:
    """Invalid, with a value of the type that the schema calls `definition`."""
    return invalid(path, internal(model().type(definition), value), detail)


def unchanged_internal(new: Any, old: Any, path: str, definition: str) -> Errors:
    """ValidateImmutableField of a part of an internal type."""
    return [] if new == old else [invalid_internal(path, definition, new, IMMUTABLE)]
