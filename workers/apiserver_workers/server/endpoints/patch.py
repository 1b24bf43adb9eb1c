"""PATCH: an object changed by a JSON patch, a merge patch, a strategic merge patch, or by server-side apply."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.codec import jsontext
from apiserver_workers.apimachinery.errors import ApiError, bad_request, invalid
from apiserver_workers.apimachinery.goformat import plain
from apiserver_workers.apimachinery.patch import json_patch, merge_patch, unknown_operation_members
from apiserver_workers.apimachinery.served_kind import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from apiserver_workers.apimachinery.strategic import strategic_merge
from apiserver_workers.apimachinery.unstructured import restore_fault, wrapped
from apiserver_workers.apimachinery.validation.field import invalid as invalid_value
from apiserver_workers.registry.create import METADATA_ORDER
from apiserver_workers.registry.metadata import AFTER_ADMISSION, drop_duplicate_owners, match_namespace
from apiserver_workers.server.endpoints import managers
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import match_name
from apiserver_workers.server.endpoints.empty_maps import as_patched
from apiserver_workers.server.endpoints.negotiation import patch_type
from apiserver_workers.server.endpoints.options import as_object, write_options
from apiserver_workers.server.endpoints.respond import object_response, output_of
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]
# Parts of metadata that a patched object may share with the live one, and that admission likes to change.
SHARED = ("labels", "annotations", "finalizers", "ownerReferences")


class Patch:
    """The Transform of a PATCH; subclasses say what becomes of the live object."""

    allow_create = False

    def __init__(self, request: Request, served: Served, kind: str) -> None:
        info = request.info
        assert info is not None
        self.request = request
        self.served = served
        self.kind = kind
        # The patched document of the last attempt.
        self.result: Any = None
        self.subresource = info.subresource
        self.options = write_options(request.raw_query, "PatchOptions", apply=kind == APPLY_PATCH)
        self.manager = managers.manager_of(request, self.options)
        self.context = context_of(
            request, served, as_object("PatchOptions", self.options), dry_run=self.options.dry_run
        )

    async def __call__(self, existing: Object | None) -> Object:
        served = self.served
        live = await served.outward(existing) if existing is not None else None
        obj = await self.patched(live)
        metadata = obj["metadata"]
        if live is None and metadata.get("uid"):
            why = f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found"
            raise served.store.conflict(self.context.name, why)
        match_namespace(metadata, self.context.namespace)
        match_name(metadata, self.context.name)
        # Upstream looks this late, and says so even when no admission plugin has made the duplicates.
        drop_duplicate_owners(metadata, self.request.warnings, when=AFTER_ADMISSION)
        return await served.inward(obj)

    async def patched(self, live: Object | None) -> Object:
        """The live object of the served version with the patch in it, complete with managedFields."""
        raise NotImplementedError

    async def default(self, obj: Object) -> Object:
        """The object with its head, metadata of its own and its defaults."""
        if not self.served.kind.as_sent:
            obj = self.served.kind.head(obj)
        metadata = obj.setdefault("metadata", {})
        for field in SHARED:
            if field in metadata:
                metadata[field] = metadata[field].copy()
        pending = self.served.kind.default(obj)
        if pending is not None:
            await pending
        return obj


class DocumentPatch(Patch):
    """A patch of the object as a document: JSON, merge and strategic merge."""

    def __init__(self, request: Request, served: Served, kind: str) -> None:
        super().__init__(request, served, kind)
        # Strategic merge patches are decoded elsewhere upstream, without these words.
        prefix = "error decoding patch: " if kind in (JSON_PATCH, MERGE_PATCH) else ""
        try:
            self.document = jsontext.loads(request.body)
        except codec.DecodeError as error:
            raise bad_request(f"{prefix}{error}") from None
        self.strict = self._strict_errors()

    def _strict_errors(self) -> list[str]:
        """What strict decoding says of the patch itself."""
        body, document = self.request.body, self.document
        found = unknown_operation_members(document) if self.kind == JSON_PATCH else []
        if jsontext.may_repeat_keys(body, document):
            prefix = "json patch " if self.kind == JSON_PATCH else ""
            found += [f'{prefix}duplicate field "{path}"' for path in jsontext.repeated_keys(jsontext.load_pairs(body))]
        return found

    async def patched(self, live: Object | None) -> Object:
        if live is None:
            raise self.served.store.not_found(self.context.name)
        document = self.result = self._merge(live)
        if document is live:
            document = dict(live)
        obj = await self.default(await self._decode(document, live))
        return await managers.track(self.served, live, obj, self.manager, self.subresource)

    def _merge(self, live: Object) -> Object:
        if self.kind == JSON_PATCH:
            result: Object = json_patch(live, self.document)
        elif self.kind == MERGE_PATCH:
            result = merge_patch(live, self.document)
        else:
            result = strategic_merge(self.served.type, live, self.document)
        return result

    async def _decode(self, document: Object, live: Object) -> Object:
        """The patched document as an object. Raises ApiError 422 when it is none, or by strict validation."""
        info = self.served.info
        try:
            if not self.served.kind.as_sent:
                self._check_kind(document)
            obj, strict = await self.served.kind.from_document(document)
        except codec.DecodeError as error:
            if self.kind != STRATEGIC_PATCH:
                raise self._refused(document, live, str(error)) from None
            obj, strict = self._restored(document, live, str(error))
        strict = [*self.strict, *strict]
        if strict and self.options.field_validation == "Strict":
            raise self._refused(document, live, "strict decoding error: " + ", ".join(strict))
        if self.options.field_validation == "Warn":
            self.request.warnings += strict
        return {**obj, "kind": info.kind, "apiVersion": info.group_version} if not self.served.kind.as_sent else obj

    def _restored(self, document: Any, live: Object, why: str) -> tuple[Object, list[str]]:
        """The object that upstream's converter makes of what does not fit. Raises ApiError 422."""
        type = self.served.type
        if fault := restore_fault(type, document):
            raise self._refused(document, live, fault)
        try:
            return codec.from_json(type, wrapped(type, document))
        except codec.DecodeError:
            raise self._refused(document, live, why) from None

    def _refused(self, document: Any, live: Object, why: str) -> ApiError:
        """422, which shows the patched document, or a strategic merge patch itself as Go prints a map."""
        if self.kind == STRATEGIC_PATCH:
            return invalid("", "", "", [invalid_value("patch", plain(self.document), why)])
        return undecodable(document, live, why)

    def _check_kind(self, document: Any) -> None:
        info = self.served.info
        if not isinstance(document, dict):
            return
        kind, api_version = document.get("kind"), document.get("apiVersion")
        if (kind, api_version) == (info.kind, info.group_version):
            return
        if not kind or not api_version:
            missing = "kind" if not kind else "apiVersion"
            raise codec.DecodeError(f"Object '{missing.capitalize()}' is missing in '{_text(document)}'")
        group, _, version = str(api_version).rpartition("/")
        other = self.served.kind.model.find(group, version, kind)
        if other is None:
            scheme = "pkg/api/legacyscheme/scheme.go:30"
            raise codec.DecodeError(f'no kind "{kind}" is registered for version "{api_version}" in scheme "{scheme}"')
        codec.from_json(other, document)
        raise codec.DecodeError(f"converting ({other.go_name}) to ({self.served.kind.go_kind}): unknown conversion")


class ApplyPatch(Patch):
    """Server-side apply."""

    def __init__(self, request: Request, served: Served, kind: str) -> None:
        super().__init__(request, served, kind)
        self.allow_create = not self.subresource
        self.context.applies = True
        self.configuration, self.repeated = codec.from_yaml(request.body)

    async def patched(self, live: Object | None) -> Object:
        applied = await managers.apply(
            self.served,
            live,
            self.configuration,
            self.manager,
            force=bool(self.options.force),
            subresource=self.subresource,
        )
        self._complain()
        try:
            kind = self.served.kind
            obj, _ = await (kind.from_applied or kind.from_document)(applied)
        except codec.DecodeError as error:
            obj = self._restored(applied, str(error))
        return await self.default(obj)

    def _restored(self, applied: Object, why: str) -> Object:
        """The object that upstream's converter makes of what does not fit. Raises ApiError 500."""
        type, info = self.served.type, self.served.info
        why = restore_fault(type, applied) or why
        try:
            return codec.from_json(type, wrapped(type, applied))[0]
        except codec.DecodeError:
            metadata = self.configuration.get("metadata") or {}
            kind = f"{info.group}/{info.version}, Kind={info.kind}"
            what = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind}"
            text = f"failed to convert new object ({what}) to proper version: unable to convert unstructured object to"
            raise ApiError(500, "", f"{text} {kind}: {why}") from None

    def _complain(self) -> None:
        if not self.repeated or self.options.field_validation == "Ignore":
            return
        if self.options.field_validation == "Strict":
            lines = "\n  ".join(["yaml: unmarshal errors:", *self.repeated])
            raise bad_request(f"error strict decoding YAML: {lines}")
        self.request.warnings += self.repeated


def undecodable(document: Any, live: Object, why: str) -> ApiError:
    """422: the patched document is not an object of the kind."""
    return invalid("", "", "", [invalid_value("patch", _text(_as_go_writes(document, live)), why)])


def _text(document: Any) -> str:
    return orjson.dumps(document).decode()


def _as_go_writes(value: Any, live: Any) -> Any:
    """Objects that the patch touched have their keys sorted; the others the order of their type."""
    if not isinstance(value, dict):
        return value
    if value is live:
        return {key: value[key] for key in METADATA_ORDER if key in value} if "uid" in value else value
    before = live if isinstance(live, dict) else {}
    return {key: _as_go_writes(value[key], before.get(key)) for key in sorted(value)}


async def patch(request: Request, served: Served) -> Response:
    """The patched object. Raises ApiError."""
    served_kind = served.kind
    kind = patch_type(request.headers.get("content-type", ""), served_kind.patch_types, routed=served_kind.routed)
    output = output_of(request)
    transform = (ApplyPatch if kind == APPLY_PATCH else DocumentPatch)(request, served, kind)
    try:
        result, created = await served.store.update(transform, transform.context, allow_create=transform.allow_create)
    except ApiError as error:
        raise as_patched(error, transform.result) from None
    return await object_response(request, served, result, output, status=201 if created else 200)
