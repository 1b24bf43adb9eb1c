"""Bodies and documents to custom resources: pruned, their metadata in shape, numbers as Go writes them.

Mirrors unstructuredNegotiatedSerializer and schemaCoercingDecoder of customresource_handler.go: a custom resource is read
as it is, and what its schema does not know is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.codec import jsontext
from apiserver_workers.apimachinery.codec.decoder import (
    IGNORE,
    PROTOBUF,
    STRICT,
    GroupVersionKind,
    cannot_be_handled,
    read_body,
    strict_message,
    summary,
    warnings,
)
from apiserver_workers.apimachinery.codec.jsontext import DecodeError
from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.apimachinery.goformat import JSON_NAMES, plain, type_name
from apiserver_workers.apimachinery.structural.defaulting import prune_non_nullable_nulls
from apiserver_workers.apimachinery.structural.embedded import EmbeddedError, coerce_embedded, fitting, object_meta
from apiserver_workers.apimachinery.structural.model import Structural
from apiserver_workers.apimachinery.structural.pruning import prune

Object = dict[str, Any]

HEAD = ("kind", "apiVersion", "metadata")
_FRACTION = re.compile(rb"[0-9][.eE][0-9+-]")  # a body without it has no number that is no integer
EXACT = 2.0**53
NO_PROTOBUF = (
    "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to a"
    " protobuf message"
)


class Coercer:
    """What a definition's versions make of objects: unstructuredSchemaCoercer.

    `schemas` are those of the versions by apiVersion, None for a version without one. `preserve`: nothing is pruned.
    """

    def __init__(self, group: str, kind: str, schemas: Mapping[str, Structural | None], *, preserve: bool) -> None:
        self.group = group
        self.kind = kind
        self.schemas = schemas
        self._preserve = preserve

    def coerce(self, obj: Object, *, collect: bool = False, lenient: bool = False) -> list[str]:
        """Prune an object in place; the paths of its unknown fields, if they are to be collected.

        `lenient`: fields of metadata that do not fit are dropped. Raises DecodeError.
        """
        unknown = self._coerce_metadata(obj, lenient=lenient)
        if not self.knows(obj):
            return unknown
        schema = self.schemas.get(obj["apiVersion"])
        head: Object = {name: obj[name] for name in HEAD if name in obj}
        if not self._preserve:
            unknown += prune(obj, schema, is_resource_root=True, collect=collect)
            prune_non_nullable_nulls(obj, schema)
        if schema is not None:
            try:
                unknown += coerce_embedded(obj, schema, drop_invalid=lenient, collect=collect)
            except EmbeddedError as error:
                raise DecodeError(str(error)) from None
        obj.update(head)
        return unknown

    def knows(self, obj: Object) -> bool:
        """Whether the object is of this kind, in whatever version; options of requests are not."""
        version = obj.get("apiVersion")
        return obj.get("kind") == self.kind and isinstance(version, str) and version.rpartition("/")[0] == self.group

    def _coerce_metadata(self, obj: Object, *, lenient: bool) -> list[str]:
        for name in ("kind", "apiVersion"):
            if name in obj and not isinstance(obj[name], str):
                raise DecodeError(f".{name} accessor error: {accessor_error(obj[name], 'string')}")
        if "metadata" not in obj:
            return []
        metadata = obj["metadata"]
        try:
            obj["metadata"], strict = codec.from_json(object_meta(), {} if metadata is None else metadata)
        except DecodeError:
            if not lenient or not isinstance(metadata, dict):
                raise
            obj["metadata"], strict = fitting(metadata), []
        return [f"metadata.{found.partition(chr(34))[2][:-1]}" for found in strict]


def accessor_error(value: Any, wanted: str) -> str:
    """What accessors of unstructured content say of a value of another type."""
    return f"{plain(value)} is of the type {type_name(value)}, expected {wanted}"


class Decoding:
    """Reads bodies of requests for one version of a custom resource."""

    def __init__(self, coercer: Coercer, gvk: tuple[str, str, str]) -> None:
        self._coercer = coercer
        self._expected = GroupVersionKind(*gvk)

    async def decode(self, body: bytes, media_type: str, field_validation: str) -> tuple[Object, list[str]]:
        """served_kind.Decode."""
        expected = self._expected
        if media_type == PROTOBUF:
            raise cannot_be_handled(expected, expected, NO_PROTOBUF)
        read = read_body(body, media_type, expected)
        obj = read.value
        if not obj.get("kind"):
            why = f"Object 'Kind' is missing in '{body.decode('utf-8', 'replace')}'"
            raise bad_request(
                f"the object provided is unrecognized (must be of type {expected.kind}): {why} ({summary(body)})"
            )
        gvk = _gvk(obj)
        collect = field_validation != IGNORE
        strict = list(read.repeated) if collect else []
        if collect and read.text and jsontext.may_repeat_keys(read.text, obj):
            strict += [f'duplicate field "{path}"' for path in jsontext.repeated_keys(jsontext.load_pairs(read.text))]
        if not read.text or _FRACTION.search(read.text):
            obj = go_numbers(obj)
        try:
            unknown = self._coercer.coerce(obj, collect=collect)
        except DecodeError as error:
            raise cannot_be_handled(gvk, expected, str(error)) from None
        if gvk.api_version != expected.api_version:
            text = f"the API version in the data ({gvk.api_version}) does not match the expected API version"
            raise bad_request(f"{text} ({expected.api_version})")
        if not collect:
            return obj, []
        strict += [f'unknown field "{path}"' for path in unknown]
        if strict and field_validation == STRICT:
            raise cannot_be_handled(gvk, expected, strict_message(strict))
        return obj, warnings(strict)

    async def from_document(self, document: Any) -> tuple[Object, list[str]]:
        """served_kind.FromDocument."""
        if not isinstance(document, dict):
            what = JSON_NAMES.get(document.__class__, "null")
            raise DecodeError(f"json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
        if not document.get("kind"):
            raise DecodeError(f"Object 'Kind' is missing in '{orjson.dumps(document).decode()}'")
        obj = go_numbers(document)
        unknown = self._coercer.coerce(obj, collect=True)
        return obj, [f'unknown field "{path}"' for path in unknown]

    async def from_applied(self, document: Any) -> tuple[Object, list[str]]:
        """What server-side apply has made: its types fit already, and nothing is pruned."""
        return go_numbers(document), []


def _gvk(obj: Object) -> GroupVersionKind:
    """What the object says it is, and no more."""
    api_version = obj.get("apiVersion") or ""
    group, _, version = api_version.rpartition("/")
    return GroupVersionKind(group, version, obj["kind"])


def go_numbers(value: Any) -> Any:
    """A copy of a JSON value with its numbers as Go writes them: a double without a fraction is an integer."""
    if isinstance(value, dict):
        return {name: go_numbers(of) for name, of in value.items()}
    if isinstance(value, list):
        return [go_numbers(item) for item in value]
    if value.__class__ is float and value.is_integer() and abs(value) < EXACT:
        return int(value)
    return value
