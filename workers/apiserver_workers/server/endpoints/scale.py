"""The scale subresource: autoscaling/v1 Scale as a view of an object's replicas.

Reading makes a Scale of the object. Writing applies the request to that Scale and carries spec.replicas, and who owns
it, back into the object.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.apply.scale import to_parent, to_scale
from apiserver_workers.apimachinery.errors import invalid
from apiserver_workers.apimachinery.scale_paths import ScalePaths
from apiserver_workers.apimachinery.served_kind import APPLY_PATCH
from apiserver_workers.apimachinery.validation.field import at_least_zero
from apiserver_workers.registry.update import Transform
from apiserver_workers.server.endpoints import patch as patching
from apiserver_workers.server.endpoints import update as updating
from apiserver_workers.server.endpoints.negotiation import patch_type
from apiserver_workers.server.endpoints.query import text
from apiserver_workers.server.endpoints.respond import output_of, transformed_response
from apiserver_workers.server.endpoints.served import Readable, Served
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.http.query import parse_query

Object = dict[str, Any]


class ScaleView(Served):
    """A resource whose objects are seen as Scales."""

    def __init__(self, served: Served) -> None:
        super().__init__(served.kind.bodies["scale"], served.store)
        self.as_stored = False
        self.requested = served.kind
        self.parent = served
        self.paths = served.kind.scale or ScalePaths()
        self.mappings: dict[str, tuple[str, ...] | None] = {served.info.group_version: self.paths.owned}

    async def outward(self, obj: Object) -> Object:
        """The Scale of a stored object, with its field managers."""
        live = await self.parent.outward(obj)
        scale = self.scale_of(live)
        if entries := to_scale(live["metadata"].get("managedFields"), self.mappings):
            scale["metadata"]["managedFields"] = entries
        return scale

    async def inward(self, obj: Object) -> Object:
        """A Scale stays one: Scaling carries it into the object."""
        return obj

    def scale_of(self, obj: Object) -> Object:
        """The Scale of an object of the served version."""
        return self.kind.head(codec.normalise(self.type, self.paths.read(obj)))


class Scaling:
    """The Transform of a write to a Scale: what `inner` makes of the Scale, put into the object."""

    def __init__(self, view: ScaleView, inner: Transform, name: str) -> None:
        self.view = view
        self.inner = inner
        self.name = name

    async def __call__(self, existing: Object | None) -> Object:
        if existing is None:
            raise self.view.store.not_found(self.name)
        return await self.carry(await self.inner(existing), existing)

    async def show(self, obj: Object) -> Object:
        """The Scale of an object, as admission sees it (registry.attributes.AdmissionView)."""
        return await self.view.outward(obj)

    async def carry(self, scale: Object, obj: Object) -> Object:
        """An object with what a Scale says of it. Raises ApiError 422."""
        view = self.view
        live = await view.parent.outward(obj)
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        if faults := at_least_zero(replicas, "spec.replicas"):
            raise invalid(view.info.kind, view.info.group, self.name, faults)
        metadata = dict(live["metadata"])
        if version := scale["metadata"].get("resourceVersion"):
            metadata["resourceVersion"] = version
        version = view.parent.info.group_version
        entries = metadata.pop("managedFields", None)
        if entries := to_parent(entries, scale["metadata"].get("managedFields"), version, view.mappings):
            metadata["managedFields"] = entries
        return await view.parent.inward(view.paths.write({**live, "metadata": metadata}, replicas))


def view_of(served: Served) -> ScaleView:
    """The one view of that resource."""
    if served.scale_view is None:
        served.scale_view = ScaleView(served)
    view: ScaleView = served.scale_view
    return view


async def get(request: Request, served: Served) -> Response:
    """The Scale of an object. Raises ApiError."""
    info = request.info
    assert info is not None
    revision = text(parse_query(request.raw_query), "resourceVersion")
    return await _answer(request, view_of(served), await served.store.get(info.namespace, info.name, revision))


async def update(request: Request, served: Served) -> Response:
    """The replaced Scale. Raises ApiError."""
    view = view_of(served)
    replacement = updating.Replacement(request, view)
    await replacement.decode()
    scaling = replacement.context.admitted = Scaling(view, replacement, replacement.context.name)
    result, _ = await served.store.update(scaling, replacement.context, uid=replacement.uid)
    return await _answer(request, view, result)


async def patch(request: Request, served: Served) -> Response:
    """The patched Scale. Raises ApiError."""
    view = view_of(served)
    kind = patch_type(request.headers.get("content-type", ""), view.kind.patch_types)
    inner = (patching.ApplyPatch if kind == APPLY_PATCH else patching.DocumentPatch)(request, view, kind)
    scaling = inner.context.admitted = Scaling(view, inner, inner.context.name)
    result, _ = await served.store.update(scaling, inner.context)
    return await _answer(request, view, result)


async def _answer(request: Request, view: ScaleView, stored: Readable) -> Response:
    scale = view.scale_of(await view.parent.outward(stored.obj))
    return transformed_response(request, view, scale, output_of(request))
