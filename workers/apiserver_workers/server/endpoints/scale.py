"""The scale subresource: autoscaling/v1 Scale as a view of an object's replicas.

Reading makes a Scale of the object. Writing applies the request to that Scale and carries spec.replicas, and who owns
it, back into the object.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from apiserver_workers.apimachinery import codec, types
from apiserver_workers.apimachinery.apply.scale import SCALE_VERSION, to_parent, to_scale
from apiserver_workers.apimachinery.errors import invalid
from apiserver_workers.apimachinery.validation.field import at_least_zero
from apiserver_workers.registry.update import Transform
from apiserver_workers.server.endpoints import patch as patching
from apiserver_workers.server.endpoints import update as updating
from apiserver_workers.server.endpoints.negotiation import APPLY_PATCH, patch_type
from apiserver_workers.server.endpoints.query import text
from apiserver_workers.server.endpoints.respond import output_of, transformed_response
from apiserver_workers.server.endpoints.served import Readable, Served
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.http.query import parse_query

Object = dict[str, Any]
GROUP, VERSION, KIND = "autoscaling", "v1", "Scale"
REPLICAS = ("f:spec", "f:replicas")
METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


def scale_of(obj: Object) -> Object:
    """The Scale of an object."""
    spec, status, metadata = obj.get("spec") or {}, obj.get("status") or {}, obj["metadata"]
    scale = {
        "metadata": {name: metadata[name] for name in METADATA if name in metadata},
        "spec": {"replicas": spec.get("replicas", 0)},
        "status": {"replicas": status.get("replicas", 0), "selector": selector_text(spec.get("selector"))},
    }
    normal = codec.normalise(types.model().kind(GROUP, VERSION, KIND), scale)
    return {"kind": KIND, "apiVersion": SCALE_VERSION, **normal}


def selector_text(selector: Object | None) -> str:
    """A LabelSelector, or the plain map of a replication controller, as text."""
    if not selector:
        return ""
    structured = "matchLabels" in selector or "matchExpressions" in selector
    labels = selector.get("matchLabels") or {} if structured else selector
    terms = [(key, f"{key}={value}") for key, value in labels.items()]
    expressions = (selector.get("matchExpressions") or ()) if structured else ()
    terms += [(expression["key"], _expression(expression)) for expression in expressions]
    return ",".join(term for _, term in sorted(terms, key=lambda term: term[0]))


def _expression(expression: Object) -> str:
    key, operator = expression["key"], expression["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return key if operator == "Exists" else f"!{key}"
    values = ",".join(sorted(expression.get("values") or ()))
    return f"{key} {operator.lower()} ({values})"


class ScaleView(Served):
    """A resource whose objects are seen as Scales."""

    def __init__(self, served: Served) -> None:
        info = dataclasses.replace(served.info, group=GROUP, version=VERSION, kind=KIND, stored_as=(GROUP, VERSION))
        super().__init__(info, served.store)
        self.parent = served
        self.mappings: dict[str, tuple[str, ...] | None] = {served.info.group_version: REPLICAS}

    def outward(self, obj: Object) -> Object:
        scale = scale_of(obj)
        if entries := to_scale(obj["metadata"].get("managedFields"), self.mappings):
            scale["metadata"]["managedFields"] = entries
        return scale


class Scaling:
    """The Transform of a write to a Scale: what `inner` makes of the Scale, put into the object."""

    def __init__(self, view: ScaleView, inner: Transform, name: str) -> None:
        self.view = view
        self.inner = inner
        self.name = name

    def __call__(self, existing: Object | None) -> Object:
        if existing is None:
            raise self.view.store.not_found(self.name)
        scale = self.inner(existing)
        replicas = (scale.get("spec") or {}).get("replicas", 0)
        if faults := at_least_zero(replicas, "spec.replicas"):
            raise invalid(KIND, GROUP, self.name, faults)
        metadata = dict(existing["metadata"])
        if version := scale["metadata"].get("resourceVersion"):
            metadata["resourceVersion"] = version
        version = self.view.parent.info.group_version
        entries = metadata.pop("managedFields", None)
        if entries := to_parent(entries, scale["metadata"].get("managedFields"), version, self.view.mappings):
            metadata["managedFields"] = entries
        return {**existing, "metadata": metadata, "spec": {**(existing.get("spec") or {}), "replicas": replicas}}


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
    return _answer(request, served, await served.store.get(info.namespace, info.name, revision))


async def update(request: Request, served: Served) -> Response:
    """The replaced Scale. Raises ApiError."""
    view = view_of(served)
    replacement = updating.Replacement(request, view)
    scaling = Scaling(view, replacement, replacement.context.name)
    result, _ = await served.store.update(scaling, replacement.context, uid=replacement.uid)
    return _answer(request, served, result)


async def patch(request: Request, served: Served) -> Response:
    """The patched Scale. Raises ApiError."""
    view = view_of(served)
    kind = patch_type(request.headers.get("content-type", ""))
    inner = (patching.ApplyPatch if kind == APPLY_PATCH else patching.DocumentPatch)(request, view, kind)
    result, _ = await served.store.update(Scaling(view, inner, inner.context.name), inner.context)
    return _answer(request, served, result)


def _answer(request: Request, served: Served, stored: Readable) -> Response:
    return transformed_response(request, served, scale_of(stored.obj), output_of(request), kind=KIND)
