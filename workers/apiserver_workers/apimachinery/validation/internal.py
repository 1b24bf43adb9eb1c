"""Values as messages of upstream show them when they are parts of its internal types.

Those types have no JSON names: every field is there, under its Go name, zero or not. What comes from apimachinery or
other public types (label selectors, metadata) looks as it does in the API. `data/internal_types.json` holds the fields
of types that messages compare line by line, in the order of the Go source (pkg/apis/core/types.go); names of other
types follow from their JSON names.
"""

from __future__ import annotations

import difflib
import functools
import json
import re
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.types import Field, Type, model
from apiserver_workers.apimachinery.validation.field import IMMUTABLE, Errors, invalid

PUBLIC = "io.k8s.apimachinery."
CORE = "io.k8s.api.core.v1."
TABLE = Path(__file__).parent.parent / "data" / "internal_types.json"
# What the internal pod keeps in its security context, and v1 beside it.
HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "hostUsers")
HOST_DEFAULTS = {"hostNetwork": False, "hostPID": False, "hostIPC": False}
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


@functools.cache
def _table() -> dict[str, dict[str, str]]:
    """The Go names by JSON name of the fields of each type of the core group that is listed."""
    return {CORE + name: fields for name, fields in orjson.loads(TABLE.read_bytes()).items()}


def internal(type: Type, value: dict[str, Any] | None) -> Any:
    """An object of `type` with all the fields of its internal type."""
    if value is None or type.name.startswith(PUBLIC):
        return value
    if type.name == CORE + "PodSpec":
        value = _internal_pod(value)
    listed = _table().get(type.name)
    if listed is None:
        return {go_name(name): _field(field, value.get(name)) for name, field in type.fields.items()}
    fields = type.fields
    return {
        shown: _field(fields[name], value.get(name)) if name in fields else value.get(name)
        for name, shown in listed.items()
    }


def _internal_pod(spec: dict[str, Any]) -> dict[str, Any]:
    """The spec as the internal type holds it: what is said of the host's namespaces is part of the security context."""
    host = {name: spec[name] for name in HOST_FIELDS if name in spec}
    return spec | {"securityContext": {**(spec.get("securityContext") or {}), **HOST_DEFAULTS, **host}}


def difference(definition: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """The unified diff of two internal objects of the type `definition`, as messages show it (util/diff).

    Three lines of context and no header; the lines are those of the objects' JSON, indented by one space.
    """
    type = model().type(definition)
    before, after = (_lines(internal(type, value)) for value in (old, new))
    return "".join(list(difflib.unified_diff(before, after))[2:])


def _lines(value: Any) -> list[str]:
    text = json.dumps(value, indent=1, ensure_ascii=False, default=str)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.splitlines(keepends=True)[:-1] + ["}\n"]


def _field(field: Field, value: Any) -> Any:
    if value is None:
        if field.pointer or field.form in ("list", "map", "bytes", "raw", "time", "microtime"):
            return None
        return ZERO.get(field.form) if field.form != "object" or field.type is None else internal(field.type, {})
    element = field.element
    if field.form == "list" and element is not None:
        return [_field(element, item) for item in value]
    if field.form == "map" and element is not None:
        return {name: _field(element, value[name]) for name in sorted(value)}
    if field.form == "object" and field.type is not None:
        return internal(field.type, value)
    return value


def invalid_internal(path: str, definition: str, value: Any, detail: str) -> FieldError:
    """Invalid, with a value of the type that the schema calls `definition`."""
    return invalid(path, internal(model().type(definition), value), detail)


def unchanged_internal(new: Any, old: Any, path: str, definition: str) -> Errors:
    """ValidateImmutableField of a part of an internal type."""
    return [] if new == old else [invalid_internal(path, definition, new, IMMUTABLE)]
