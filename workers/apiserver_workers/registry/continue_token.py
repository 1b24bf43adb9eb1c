"""Continue tokens: where a list goes on, and at which revision (k8s.io/apiserver/pkg/storage/continue.go)."""

from __future__ import annotations

import base64
import binascii
import posixpath

import orjson

from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.goformat import JSON_NAMES, cannot_unmarshal

INT64 = 1 << 63
VERSION = "meta.k8s.io/v1"


def encode(revision: int, start: str) -> str:
    """The token for going on at `start`, a key below the listed prefix; revision -1 goes on inconsistently."""
    token = orjson.dumps({"v": VERSION, "rv": revision, "start": start})
    return base64.urlsafe_b64encode(token).rstrip(b"=").decode()


def decode(token: str) -> tuple[int, str]:
    """(revision, start key below the prefix). Raises ApiError 400."""
    fields = _fields(token)
    version, start = _text(fields, "v"), _text(fields, "start")
    revision = _int64(fields, "rv")
    if version != VERSION:
        raise _invalid(f"server does not recognize this encoded version {version}")
    if not revision:
        raise _error(f"incorrect encoded start resourceVersion (version {VERSION})")
    if not start:
        raise _invalid(f"encoded start key empty (version {VERSION})")
    key = start if start.startswith("/") else "/" + start
    if posixpath.normpath(key) != key:
        raise _invalid(start)
    return revision, key[1:]


def _fields(token: str) -> dict[str, object]:
    try:
        raw = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        bad = next((i for i, char in enumerate(token) if not (char.isascii() and (char.isalnum() or char in "-_"))), 0)
        raise _invalid(f"illegal base64 data at input byte {bad or len(token) - 1}") from None
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise _invalid(_json_error(raw)) from None
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise _invalid(cannot_unmarshal(fields, "value of type storage.continueToken"))
    return fields


def _text(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _mismatch(value, name, "string")
    return value


def _int64(fields: dict[str, object], name: str) -> int:
    value = fields.get(name)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or not -INT64 <= value < INT64:
        raise _mismatch(value, name, "int64")
    return value


def _mismatch(value: object, name: str, wanted: str) -> ApiError:
    """What Go says of a member of another type."""
    shown = JSON_NAMES[value.__class__]
    if shown == "number":
        shown += f" {value}"
    return _invalid(f"json: cannot unmarshal {shown} into Go struct field continueToken.{name} of type {wanted}")


def _json_error(raw: bytes) -> str:
    """What Go says of bytes that are no JSON."""
    text = raw.lstrip(b" \t\r\n")
    if not text or text[:1] in b'{["':
        return "unexpected end of JSON input"
    char = chr(text[0])
    shown = char if char.isprintable() and char != "'" else f"\\u{text[0]:04x}"
    return f"invalid character '{shown}' looking for beginning of value"


def _invalid(why: str) -> ApiError:
    return _error(f"continue key is not valid: {why}")


def _error(why: str) -> ApiError:
    return bad_request(f"invalid continue token: {why}")
