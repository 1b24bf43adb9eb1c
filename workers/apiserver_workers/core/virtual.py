"""Resources that are not stored: reviews, which are answered when they are created, and component statuses."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver_workers.apimachinery.errors import not_found
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.core.reviews import REVIEWS, Reviews
from apiserver_workers.registry.attributes import CREATE, Admission, Attributes
from apiserver_workers.registry.metadata import match_namespace
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.endpoints.binding import BindingEndpoint
from apiserver_workers.server.endpoints.context import ANONYMOUS
from apiserver_workers.server.endpoints.decoding import decode_object
from apiserver_workers.server.endpoints.managers import manager_of, track
from apiserver_workers.server.endpoints.options import as_object, list_options, write_options
from apiserver_workers.server.endpoints.respond import objects_response, output_of, transformed_response
from apiserver_workers.server.endpoints.routes import Routes
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]


def routes(info: ResourceInfo, backend: Backend, reviews: Reviews) -> Routes:
    """The handlers of a resource that is not stored; none for one that only its subresource form serves."""
    if (info.group, info.resource) in REVIEWS:
        return {("", "create"): ReviewEndpoint(reviews, backend.registry.admission).create}
    if info.resource == "componentstatuses":
        components = ComponentStatuses(backend)
        return {("", "get"): components.get, ("", "list"): components.list_}
    if info.resource == "bindings":
        bindings = View(backend.registry.kinds.of(info))
        return {("", "create"): BindingEndpoint(backend.registry.store("", "pods"), bindings).create}
    return {}


class ReviewEndpoint:
    """POST of a review: the answer is the review with its status."""

    def __init__(self, reviews: Reviews, admission: Admission) -> None:
        self._reviews = reviews
        self._admission = admission

    async def create(self, request: Request, view: View) -> Response:
        info = request.info
        assert info is not None
        output = output_of(request, tables=False)
        options = write_options(request.raw_query, "CreateOptions")
        obj = await decode_object(request, view, options.field_validation)
        match_namespace(obj["metadata"], info.namespace)
        obj = await track(view, None, obj, manager_of(request, options))
        user = request.user or ANONYMOUS
        attributes = Attributes(
            CREATE,
            stored=view.kind,
            requested=view.kind,
            subresource="",
            namespace=info.namespace,
            name=obj["metadata"].get("name", ""),
            obj=obj,
            old_obj=None,
            user=user,
            dry_run=options.dry_run,
            options=as_object("CreateOptions", options),
            warnings=request.warnings,
            annotations=request.audit_annotations,
        )
        await self._admission.admit(attributes)
        await self._admission.validate(attributes)
        answer = await self._reviews.create(info.api_group, info.resource, obj, user, info.namespace)
        return transformed_response(request, view, answer, output, status=201)


class ComponentStatuses:
    """Whether each etcd member answers. There are no other components in this process for it to know of."""

    def __init__(self, backend: Backend) -> None:
        self._clusters = backend.clusters

    async def get(self, request: Request, view: View) -> Response:
        info = request.info
        assert info is not None
        output = output_of(request)
        found = [obj for obj in await self._components() if obj["metadata"]["name"] == info.name]
        if not found:
            raise not_found(info.resource, "", info.name)
        return transformed_response(request, view, found[0], output)

    async def list_(self, request: Request, view: View) -> Response:
        output = output_of(request, listing=True)
        options = list_options(request.raw_query, view.kind.labels)
        objects = await self._components()
        if options.labels is not None:
            objects = [obj for obj in objects if options.labels.matches({})]
        if options.fields is not None and (name := options.fields.exact("metadata.name")) is not None:
            objects = [obj for obj in objects if obj["metadata"]["name"] == name]
        return objects_response(request, view, objects, {}, output)

    async def _components(self) -> list[Object]:
        faults = await asyncio.gather(*map(self._clusters.fault, self._clusters.members))
        return [_component(f"etcd-{number}", why) for number, why in enumerate(faults)]


def _component(name: str, why: str) -> Object:
    condition = {"type": "Healthy", "status": "True", "message": "ok"}
    if why:
        condition = {"type": "Healthy", "status": "False", "message": "", "error": why}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}
