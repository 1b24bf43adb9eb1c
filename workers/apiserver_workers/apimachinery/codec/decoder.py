"""From the body of a request to an object of the kind that the endpoint expects."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, NamedTuple

from apiserver_workers.apimachinery import protobuf
from apiserver_workers.apimachinery.codec import jsontext
from apiserver_workers.apimachinery.codec.explain import explain, json_kind
from apiserver_workers.apimachinery.codec.jsontext import DecodeError, Pairs
from apiserver_workers.apimachinery.codec.normal import Mismatch, normalise
from apiserver_workers.apimachinery.codec.yamltext import load_yaml
from apiserver_workers.apimachinery.errors import ApiError, bad_request, unsupported_media_type
from apiserver_workers.apimachinery.types import Type

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)

STRICT, WARN, IGNORE = "Strict", "Warn", "Ignore"

_SCHEME = "pkg/api/legacyscheme/scheme.go:30"
_META_STRUCT = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_YAML_PREFIX = "yaml: unmarshal errors:"

# API groups that share their internal types with another one.
_INTERNAL_GROUPS = {"": "core", "events.k8s.io": "core"}


class GroupVersionKind(NamedTuple):
    """What an object says it is."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class Body(NamedTuple):
    """A body that was read but not yet matched with a type.

    `repeated` are complaints of repeated keys that the text itself showed; `text` is JSON that may hold more of them.
    """

    value: Any
    gvk: GroupVersionKind
    repeated: list[str]
    text: bytes = b""
    message: bytes | None = None


def decode(
    body: bytes,
    media_type: str,
    *,
    type: Type,
    default_gvk: tuple[str, str, str],
    field_validation: str = WARN,
) -> tuple[dict[str, Any], list[str]]:
    """The normalised object in a body, and the warnings about its unknown and repeated fields.

    `type` is the type of the expected kind `default_gvk` (group, version, kind), which also stands in for an absent
    kind or apiVersion. `field_validation` is Strict, Warn (or ``) or Ignore. Raises ApiError: 400 for whatever is wrong
    with the body, 415 for another media type.
    """
    expected = GroupVersionKind(*default_gvk)
    read = read_body(body, media_type, expected)
    if read.gvk != expected:
        raise wrong_kind(type, read.gvk, expected)
    try:
        obj, strict = _to_object(type, read, repeats_matter=field_validation != IGNORE)
    except DecodeError as error:
        raise cannot_be_handled(read.gvk, expected, str(error)) from None
    if "kind" not in obj or "apiVersion" not in obj:
        obj = {"kind": expected.kind, "apiVersion": expected.api_version, **obj}
    if not strict or field_validation == IGNORE:
        return obj, []
    if field_validation == STRICT:
        raise cannot_be_handled(read.gvk, expected, strict_message(strict))
    return obj, warnings(strict)


def from_json(type: Type, value: Any) -> tuple[dict[str, Any], list[str]]:
    """The normalised object of a JSON value, such as a patched one, and its strict errors.

    Raises DecodeError with Go's message when a value has the wrong type.
    """
    if value.__class__ is not dict:
        raise DecodeError(f"json: cannot unmarshal {json_kind(value)} into Go value of type {type.go_name}")
    return _to_object(type, Body(value, GroupVersionKind("", "", ""), []), repeats_matter=False)


def from_yaml(body: bytes) -> tuple[Any, list[str]]:
    """The value of a YAML body as apply patches are read, and its repeated keys. Raises ApiError 400."""
    if body.startswith(b"{"):  # most clients send JSON, which is YAML too and much sooner read
        with contextlib.suppress(DecodeError):
            value = jsontext.loads(body)
            if not jsontext.may_repeat_keys(body, value):
                return value, []
    try:
        return load_yaml(body)
    except DecodeError as error:
        text = str(error)
        inner = text if text.startswith("error converting") else f"error converting YAML to JSON: {text}"
        raise bad_request(f"error decoding YAML: {inner}") from None


def read_body(body: bytes, media_type: str, expected: GroupVersionKind) -> Body:
    """The body's value and what it says it is, with `expected` for what it leaves out. Raises ApiError 400 or 415."""
    reader = _READERS.get(media_type)
    if reader is None:
        raise unsupported_media_type(MEDIA_TYPES)
    try:
        return reader(body, expected)
    except DecodeError as error:
        message = f"the object provided is unrecognized (must be of type {expected.kind}): {error} ({summary(body)})"
        raise bad_request(message) from None


def _read_json(body: bytes, expected: GroupVersionKind) -> Body:
    try:
        value = jsontext.loads(body)
    except DecodeError as error:
        raise DecodeError(f"couldn't get version/kind; json parse error: {error}") from None
    return Body(value or {}, _identify(value, expected), [], text=body)


def _read_yaml(body: bytes, expected: GroupVersionKind) -> Body:
    value, repeated = load_yaml(body)
    strict = ["\n  ".join([_YAML_PREFIX, *repeated])] if repeated else []
    return Body(value or {}, _identify(value, expected), strict)


def _read_protobuf(body: bytes, expected: GroupVersionKind) -> Body:
    try:
        api_version, kind, message = protobuf.open_envelope(body)
    except protobuf.ProtobufError as error:
        raise DecodeError(str(error)) from None
    gvk = _identify({"apiVersion": api_version, "kind": kind}, expected)
    return Body({}, gvk, [], message=message)


_READERS: dict[str, Callable[[bytes, GroupVersionKind], Body]] = {
    JSON: _read_json,
    YAML: _read_yaml,
    PROTOBUF: _read_protobuf,
}


def _identify(value: Any, expected: GroupVersionKind) -> GroupVersionKind:
    """What an object says it is, with `expected` for what it does not say. Raises DecodeError."""
    if value is None:
        return expected
    if value.__class__ is not dict:
        raise _bad_meta(f"json: cannot unmarshal {json_kind(value)} into Go value of type {_META_STRUCT}")
    kind, api_version = value.get("kind"), value.get("apiVersion")
    if api_version == expected.api_version and kind == expected.kind:
        return expected
    for name, word in (("apiVersion", api_version), ("kind", kind)):
        if word is not None and word.__class__ is not str:
            raise _bad_meta(f"json: cannot unmarshal {json_kind(word)} into Go struct field .{name} of type string")
    group, version = parse_api_version(api_version or "")
    if not group and not version:
        group, version = expected.group, expected.version
    elif not version and group == expected.group:
        version = expected.version
    return GroupVersionKind(group, version, kind or expected.kind)


def parse_api_version(api_version: str) -> tuple[str, str]:
    """Group and version of an apiVersion. Raises DecodeError with upstream's message."""
    if api_version in ("", "/"):
        return "", ""
    parts = api_version.split("/")
    if len(parts) > 2:
        raise DecodeError(f"unexpected GroupVersion string: {api_version}")
    return (parts[0], parts[1]) if len(parts) == 2 else ("", api_version)


def _bad_meta(message: str) -> DecodeError:
    return DecodeError(f"couldn't get version/kind; json parse error: {message}")


def _to_object(type: Type, read: Body, *, repeats_matter: bool) -> tuple[dict[str, Any], list[str]]:
    """The normalised object and its strict errors. Raises DecodeError."""
    value = read.value
    if read.message is not None:
        try:
            value = protobuf.decode_message(type, read.message)
        except protobuf.ProtobufError as error:
            raise DecodeError(str(error)) from None
    unknown: list[str] = []
    obj: dict[str, Any] | None = None
    try:
        obj = normalise(type, value, unknown)
    except Mismatch:
        pass
    except RecursionError:
        raise DecodeError(jsontext.TOO_DEEP) from None
    suspect = repeats_matter and read.text and jsontext.may_repeat_keys(read.text, value)
    if obj is not None and not unknown and not suspect:
        return obj, read.repeated
    # What has no text of its own, such as a patched value, is a Go map upstream, whose keys are sorted when it is written.
    document = jsontext.load_pairs(read.text) if suspect else value if repeats_matter else _in_key_order(value)
    found = explain(type, document if isinstance(document, Pairs | dict) else value)
    if obj is None or found.error:
        raise DecodeError(found.error or "json: cannot unmarshal the object")
    return obj, read.repeated + found.strict


def _in_key_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_key_order(value[name]) for name in sorted(value)}
    return [_in_key_order(item) for item in value] if isinstance(value, list) else value


def summary(body: bytes) -> str:
    """The beginning of a body as upstream's messages show it."""
    if not body:
        return "<empty>"
    shown, more = body[:30], " ..." if len(body) > 30 else ""
    return (shown.decode("utf-8", "replace") if body[:1] == b"{" else shown.hex()) + more


def strict_message(strict: list[str]) -> str:
    """The message of an object that strict decoding refuses."""
    return "strict decoding error: " + ", ".join(strict)


def warnings(strict: list[str]) -> list[str]:
    """Strict errors as warnings: one each, those of YAML by line."""
    lines = (line.strip() for error in strict for line in error.removeprefix(_YAML_PREFIX).split("\n"))
    return [line for line in lines if line]


def cannot_be_handled(gvk: GroupVersionKind, expected: GroupVersionKind, why: str) -> ApiError:
    """400: an object that says what it is cannot be decoded as what is expected."""
    return bad_request(f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {expected.kind}: {why}')


def wrong_kind(type: Type, gvk: GroupVersionKind, expected: GroupVersionKind) -> ApiError:
    """400: the object is of another kind or version than the endpoint's."""
    found = type.model.find(*gvk)
    if found is None:
        why = f'no kind "{gvk.kind}" is registered for version "{gvk.api_version}" in scheme "{_SCHEME}"'
        return cannot_be_handled(gvk, expected, why)
    if gvk.kind == expected.kind and _internal_group(gvk.group) == _internal_group(expected.group):
        return bad_request(
            f"the API version in the data ({gvk.api_version}) does not match the expected API version "
            f"({expected.api_version})"
        )
    internal = f"{_internal_group(expected.group)}.{expected.kind}"
    return cannot_be_handled(gvk, expected, f"converting ({found.go_name}) to ({internal}): unknown conversion")


def _internal_group(group: str) -> str:
    return _INTERNAL_GROUPS.get(group) or group.split(".")[0]
