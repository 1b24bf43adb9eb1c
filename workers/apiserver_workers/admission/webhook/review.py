"""AdmissionReview: what a webhook is asked, and what it answers (plugin/webhook/request/admissionreview.go)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.codec import jsontext
from apiserver_workers.apimachinery.goformat import cannot_unmarshal

Object = dict[str, Any]

GROUP, KIND = "admission.k8s.io", "AdmissionReview"
VERSIONS = ("v1", "v1beta1")
JSON_PATCH = "JSONPatch"
# The fields of an AdmissionResponse that are plain, with their Go types.
PLAIN = {"uid": (str, "types.UID"), "allowed": (bool, "bool"), "patchType": (str, "v1.PatchType")}
STATUS = {
    "status": (str, "string"),
    "message": (str, "string"),
    "reason": (str, "v1.StatusReason"),
    "code": (int, "int32"),
}
MAX_INT32 = 2**31


class ReviewError(Exception):
    """An answer that cannot be used; `decoded` tells that it could be read, and is not what was asked for."""

    def __init__(self, message: str, *, decoded: bool = False) -> None:
        super().__init__(message)
        self.decoded = decoded


@dataclass(slots=True)
class Verdict:
    """A webhook's answer, the same for all versions of AdmissionReview. `result` is a Status, None without one."""

    allowed: bool
    patch: bytes = b""
    patch_type: str = ""
    result: Object | None = None
    warnings: Sequence[str] = ()
    annotations: Object = field(default_factory=dict)


def version_for(versions: Sequence[str]) -> str:
    """The first version that a webhook takes and that we know. Raises ReviewError."""
    for version in versions:
        if version in VERSIONS:
            return version
    raise ReviewError("webhook does not accept known AdmissionReview versions (v1, v1beta1)")


def review_of(request: Object, version: str, obj: Object | None, old_obj: Object | None) -> tuple[str, bytes]:
    """The uid and the body of a review. `request` is the AdmissionRequest without its objects."""
    uid = str(uuid4())
    asked = {**request, "uid": uid, "object": obj, "oldObject": old_obj}
    return uid, orjson.dumps({"kind": KIND, "apiVersion": f"{GROUP}/{version}", "request": asked})


def verdict_of(body: bytes, *, uid: str, version: str, mutating: bool) -> Verdict:
    """What the answer says. Raises ReviewError."""
    review = decoded(body, version)
    response = review.get("response")
    if response is None:
        raise ReviewError("webhook response was absent", decoded=True)
    if version == "v1":
        _check_names(review, response, uid)
        _check_patch(response, mutating)
    patch = _bytes(response)
    patch_type = response.get("patchType") or ""
    if version != "v1" and patch:
        patch_type = JSON_PATCH  # it was never looked at
    return Verdict(
        allowed=bool(response.get("allowed")),
        patch=patch if mutating else b"",
        patch_type=patch_type,
        result=response.get("status"),
        warnings=response.get("warnings") or (),
        annotations=response.get("auditAnnotations") or {},
    )


def decoded(body: bytes, version: str) -> Object:
    """The answer's JSON, of which every field that we read has the type that it must have. Raises ReviewError."""
    try:
        review = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ReviewError(f"couldn't get version/kind; json parse error: {_syntax(body)}") from None
    if not isinstance(review, dict):
        head = cannot_unmarshal(review, 'value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; ')
        raise ReviewError(
            f'couldn\'t get version/kind; json parse error: {head}Kind string "json:\\"kind,omitempty\\"" }}'
        )
    _check_kind(review, version)
    response = review.get("response")
    if response is not None:
        _typed(response, dict, "struct field AdmissionReview.response of type v1.AdmissionResponse")
        _check_response(response)
    return review


def _syntax(body: bytes) -> str:
    """What Go says of JSON that is none."""
    try:
        jsontext.loads(body)
    except codec.DecodeError as error:
        return str(error)
    return "invalid character in JSON"


def _check_kind(review: Object, version: str) -> None:
    """An answer of another kind, or of the other version, cannot be put into what was asked for."""
    kind, api_version = review.get("kind") or "", review.get("apiVersion") or ""
    expected = f"{GROUP}/{version}"
    if (not kind or kind == KIND) and api_version in ("", expected):
        return
    other = next((one for one in VERSIONS if api_version == f"{GROUP}/{one}"), "")
    if kind == KIND and other:
        raise ReviewError(f"converting ({other}.{KIND}) to ({version}.{KIND}): unknown conversion")
    raise ReviewError(
        f'no kind "{kind or KIND}" is registered for version "{api_version}" in scheme "pkg/runtime/scheme.go:110"'
    )


def _check_response(response: Object) -> None:
    into = "struct field AdmissionResponse.response."
    for name, (wanted, go_type) in PLAIN.items():
        _typed(response.get(name), wanted, f"{into}{name} of type {go_type}")
    _typed(response.get("patch"), str, f"{into}patch of type []uint8")
    _typed(response.get("warnings"), list, f"{into}warnings of type []string")
    for warning in response.get("warnings") or ():
        _typed(warning, str, f"{into}warnings of type string")
    _typed(response.get("auditAnnotations"), dict, f"{into}auditAnnotations of type map[string]string")
    for value in (response.get("auditAnnotations") or {}).values():
        _typed(value, str, f"{into}auditAnnotations of type string")
    status = response.get("status")
    _typed(status, dict, f"{into}status of type v1.Status")
    for name, (wanted, go_type) in STATUS.items():
        _typed((status or {}).get(name), wanted, f"struct field Status.response.status.{name} of type {go_type}")
    _typed((status or {}).get("details"), dict, "struct field Status.response.status.details of type v1.StatusDetails")


def _typed(value: Any, wanted: Any, into: str) -> None:
    """Null fits everything, and no number is a boolean. Raises ReviewError."""
    if value is None:
        return
    if value.__class__ is not wanted or (wanted is int and not -MAX_INT32 <= value < MAX_INT32):
        raise ReviewError(cannot_unmarshal(value, into))


def _check_names(review: Object, response: Object, uid: str) -> None:
    found = response.get("uid") or ""
    if found != uid:
        raise ReviewError(f'expected response.uid="{uid}", got "{found}"', decoded=True)
    kind, api_version = review.get("kind") or "", review.get("apiVersion") or ""
    if (kind, api_version) != (KIND, f"{GROUP}/v1"):
        group, _, version = api_version.rpartition("/")
        shown = f"{group}/{version}, Kind={kind}"
        raise ReviewError(f"expected webhook response of {GROUP}/v1, Kind={KIND}, got {shown}", decoded=True)


def _check_patch(response: Object, mutating: bool) -> None:
    patch, patch_type = response.get("patch"), response.get("patchType")
    if not mutating:
        for name, given in (("patch", bool(patch)), ("patchType", patch_type is not None)):
            if given:
                raise ReviewError(f"validating webhook may not return response.{name}", decoded=True)
        return
    if patch and patch_type is None:
        raise ReviewError("webhook returned response.patch but not response.patchType", decoded=True)
    if not patch and patch_type is not None:
        raise ReviewError("webhook returned response.patchType but not response.patch", decoded=True)
    if patch_type == "":
        raise ReviewError('webhook returned invalid response.patchType of ""', decoded=True)


def _bytes(response: Object) -> bytes:
    """The patch, which is base64 in JSON. Raises ReviewError."""
    text = "".join((response.get("patch") or "").splitlines())
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ReviewError(f"illegal base64 data at input byte {_first_illegal(text)}") from None


def _first_illegal(text: str) -> int:
    """How far base64 can be read."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
    return next((place for place, char in enumerate(text) if char not in alphabet), len(text) - len(text) % 4)
