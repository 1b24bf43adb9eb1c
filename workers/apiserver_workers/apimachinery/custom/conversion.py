"""Conversion of custom resources between their versions (apiextensions-apiserver/pkg/apiserver/conversion).

With the strategy None only the apiVersion changes; with Webhook a server is asked, which may change everything but most of
metadata. What a version does not know is pruned from an object that is converted to it, as upstream's
schemaCoercingConverter does; defaults are not applied again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import orjson

from apiserver_workers.apimachinery.apply.tracking import Converter
from apiserver_workers.apimachinery.codec.jsontext import DecodeError
from apiserver_workers.apimachinery.custom.copying import copied
from apiserver_workers.apimachinery.custom.decoding import Coercer, go_numbers
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.goformat import type_name
from apiserver_workers.apimachinery.names import new_uid
from apiserver_workers.apimachinery.types import Type
from apiserver_workers.apimachinery.validation.meta import validate_annotations, validate_labels

Object = dict[str, Any]
# Sends a ConversionReview and returns the answer's bytes. Raises ReviewFailed.
Ask = Callable[[bytes], Awaitable[bytes]]

REVIEW, REVIEW_GROUP = "ConversionReview", "apiextensions.k8s.io"
REVIEW_VERSIONS = ("v1", "v1beta1")
MOST_AT_ONCE = 500  # objects in one review
CHANGEABLE = ("labels", "annotations")
IDENTITY = {"name": "name", "namespace": "namespace", "uid": "UID"}


class ReviewFailed(Exception):
    """No answer came from the webhook; the message is client-go's."""


class Versions:
    """The versions of a resource: the type of each by apiVersion, and what is pruned in it."""

    def __init__(self, types: Mapping[str, Type], coercer: Coercer) -> None:
        self.types = types
        self.coercer = coercer

    def check(self, obj: Object, api_version: str) -> None:
        """Whether the object can be converted at all. Raises ApiError 500."""
        if api_version not in self.types:
            raise failed(f"request to convert CR to an invalid group/version: {api_version}")
        if (found := obj.get("apiVersion", "")) not in self.types:
            raise failed(f"request to convert CR from an invalid group/version: {found}")

    def pruned(self, obj: Object) -> Object:
        """An object of our own as its version knows it. Raises ApiError 500."""
        try:
            self.coercer.coerce(obj)
        except DecodeError as error:
            raise failed(str(error)) from None
        return obj


class NoConversion:
    """The strategy None (served_kind.Conversion)."""

    def __init__(self, versions: Versions) -> None:
        self._versions = versions
        self.now: Converter | None = self._now

    def type_of(self, api_version: str) -> Type | None:
        return self._versions.types.get(api_version)

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        return [self._convert(obj, api_version) for obj in objects]

    def _convert(self, obj: Object, api_version: str) -> Object:
        if obj.get("apiVersion") == api_version:
            return obj
        self._versions.check(obj, api_version)
        return self._versions.pruned({**copied(obj), "apiVersion": api_version})

    def _now(self, obj: Object, api_version: str) -> tuple[Type, Object] | None:
        type = self._versions.types.get(api_version)
        return None if type is None else (type, {**obj, "apiVersion": api_version})


class WebhookConversion:
    """The strategy Webhook (served_kind.Conversion): what is in another version is sent to a webhook, many at once."""

    now: Converter | None = None

    def __init__(self, versions: Versions, kind: str, review_versions: Sequence[str], ask: Ask) -> None:
        self._versions = versions
        self._kind = kind
        self._review_version = next((version for version in review_versions if version in REVIEW_VERSIONS), "")
        self._ask = ask

    def type_of(self, api_version: str) -> Type | None:
        return self._versions.types.get(api_version)

    async def convert(self, objects: Sequence[Object], api_version: str) -> list[Object]:
        found = list(objects)
        places = [place for place, obj in enumerate(found) if obj.get("apiVersion") != api_version]
        for place in places:
            self._versions.check(found[place], api_version)
        for start in range(0, len(places), MOST_AT_ONCE):
            some = places[start : start + MOST_AT_ONCE]
            converted = await self._review([found[place] for place in some], api_version)
            for place, obj in zip(some, converted, strict=True):
                found[place] = self._versions.pruned(obj)
        return found

    async def _review(self, objects: list[Object], api_version: str) -> list[Object]:
        """Raises ApiError 500."""
        group, _, version = objects[0]["apiVersion"].rpartition("/")
        what = f"conversion webhook for {group}/{version}, Kind={self._kind}"
        try:
            uid, review = self._request(objects, api_version)
            answer = await self._ask(orjson.dumps(review))
            converted = self._objects(answer, uid)
        except ReviewFailed as error:
            raise failed(f"{what} failed: {error}") from None
        if len(converted) != len(objects):
            raise failed(f"{what} returned {len(converted)} objects, expected {len(objects)}")
        for original, obj in zip(objects, converted, strict=True):
            # in the words for a single object: upstream asks for each by itself when it reads a list
            if fault := _version_fault(original, obj, api_version):
                raise failed(f"{what} returned invalid object at index 0: {fault}")
            if fault := _identity_fault(original, obj):
                raise failed(f"{what} returned invalid object: {fault}")
            if fault := _restore_metadata(original, obj):
                raise failed(f"{what} returned invalid metadata: {fault}")
        return converted

    def _request(self, objects: list[Object], api_version: str) -> tuple[str, Object]:
        if not self._review_version:
            raise failed("no supported conversion review versions")
        uid = new_uid()
        request = {"uid": uid, "desiredAPIVersion": api_version, "objects": objects}
        return uid, {"kind": REVIEW, "apiVersion": f"{REVIEW_GROUP}/{self._review_version}", "request": request}

    def _objects(self, answer: bytes, uid: str) -> list[Object]:
        """The converted objects of an answer. Raises ReviewFailed."""
        review = _review_of(answer)
        response = review.get("response")
        if self._review_version == "v1":
            wanted = f"{REVIEW_GROUP}/v1, Kind={REVIEW}"
            if (got := _gvk_text(review)) != wanted:
                raise ReviewFailed(f"expected webhook response of {wanted}, got {got}")
        if not isinstance(response, dict):
            raise ReviewFailed("no response provided")
        if self._review_version == "v1" and response.get("uid", "") != uid:
            raise ReviewFailed(f'expected response.uid="{uid}", got "{response.get("uid", "")}"')
        result = response.get("result")
        result = result if isinstance(result, dict) else {}
        if result.get("status", "") != "Success":
            message = result.get("message") or f"response.result.status was '{result.get('status', '')}', not 'Success'"
            raise ReviewFailed(str(message))
        converted = response.get("convertedObjects") or []
        if not isinstance(converted, list):
            raise ReviewFailed(
                "json: cannot unmarshal into Go struct field ConversionResponse.response.convertedObjects"
            )
        return [go_numbers(obj) if isinstance(obj, dict) else {} for obj in converted]


def failed(message: str) -> ApiError:
    """500: an error that says no more of itself upstream."""
    return ApiError(500, "", message)


def _review_of(answer: bytes) -> Object:
    try:
        review = orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise ReviewFailed(
            f"couldn't get version/kind; json parse error: invalid JSON of {len(answer)} bytes"
        ) from None
    if not isinstance(review, dict):
        raise ReviewFailed(
            "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct"
        )
    return review


def _gvk_text(review: Object) -> str:
    version = review.get("apiVersion") or ""
    return f"{version if '/' in str(version) else '/' + str(version)}, Kind={review.get('kind') or ''}"


def _version_fault(original: Object, converted: Object, api_version: str) -> str:
    """What is wrong with the version or kind of a converted object."""
    found, kind = converted.get("apiVersion") or "", converted.get("kind") or ""
    if found != api_version:
        return f"invalid groupVersion (expected {api_version}, received {found})"
    if kind != original.get("kind"):
        return f"invalid kind (expected {original.get('kind')}, received {kind})"
    return ""


def _identity_fault(original: Object, converted: Object) -> str:
    """What shows that a converted object is another one."""
    old, new = original.get("metadata") or {}, converted.get("metadata")
    new = new if isinstance(new, dict) else {}
    for field, called in IDENTITY.items():
        before, after = old.get(field) or "", new.get(field) or ""
        if before != after:
            return f"must have the same {called}: {before} != {after}"
    return ""


def _restore_metadata(original: Object, converted: Object) -> str:
    """Put the original's metadata back, but for labels and annotations, which the webhook may change; what is wrong with
    those."""
    if "metadata" not in converted:
        return "missing metadata in converted object"
    answered = converted["metadata"]
    if not isinstance(answered, dict):
        return f"invalid metadata of type {type_name(answered)} in converted object"
    metadata = copied(original.get("metadata") or {})
    for field in CHANGEABLE:
        value = answered.get(field)
        if value is None:
            metadata.pop(field, None)
            continue
        if fault := _string_map_fault(field, value, metadata.get(field) or {}):
            return fault
        metadata[field] = value
    converted["metadata"] = metadata
    return ""


def _string_map_fault(field: str, value: Any, before: Object) -> str:
    if not isinstance(value, dict):
        return f"invalid metadata.{field} of type {type_name(value)} in converted object"
    for name, text in value.items():
        if not isinstance(text, str):
            return f"metadata.{field}[{name}] must be a string, but is {type_name(text)} in converted object"
    if value == before:
        return ""
    check = validate_labels if field == "labels" else validate_annotations
    faults = [str(fault) for fault in check(value, "metadata.labels" if field == "labels" else "metadata.annotation")]
    return faults[0] if len(faults) == 1 else f"[{', '.join(faults)}]" if faults else ""
