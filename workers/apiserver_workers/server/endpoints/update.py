"""PUT: an object replaced, or one of its subresources."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.metadata import drop_duplicate_owners, match_namespace
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import decode_object, match_name
from apiserver_workers.server.endpoints.empty_maps import as_sent
from apiserver_workers.server.endpoints.managers import manager_of, track
from apiserver_workers.server.endpoints.options import as_object, write_options
from apiserver_workers.server.endpoints.respond import object_response, output_of
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]


class Replacement:
    """The Transform of a PUT: the object of the body, decoded again for each further attempt. Call `decode` first."""

    def __init__(self, request: Request, served: Served) -> None:
        info = request.info
        assert info is not None
        self.request = request
        self.served = served
        self.subresource = info.subresource
        self.options = write_options(request.raw_query, "UpdateOptions")
        self.manager = manager_of(request, self.options)
        self.context = context_of(
            request, served, as_object("UpdateOptions", self.options), dry_run=self.options.dry_run
        )
        self._obj: Object | None = None
        self.uid = ""

    async def decode(self) -> None:
        """Read the body for the first time: what is wrong with it is said before anything is looked up."""
        self._obj = await self._decode(self.options.field_validation)
        self.uid = self._obj["metadata"].get("uid", "")

    async def _decode(self, field_validation: str = "Ignore") -> Object:
        obj = await decode_object(self.request, self.served, field_validation)
        metadata = obj["metadata"]
        match_namespace(metadata, self.context.namespace)
        match_name(metadata, self.context.name)
        drop_duplicate_owners(metadata, self.request.warnings)
        return obj

    async def __call__(self, existing: Object | None) -> Object:
        served = self.served
        obj = self._obj or await self._decode()
        self._obj = None
        live = await served.outward(existing) if existing is not None else None
        return await served.inward(await track(served, live, obj, self.manager, self.subresource))


async def update(request: Request, served: Served) -> Response:
    """The replaced object. Raises ApiError."""
    output = output_of(request)
    replacement = Replacement(request, served)
    await replacement.decode()
    try:
        result, created = await served.store.update(replacement, replacement.context, uid=replacement.uid)
    except ApiError as error:
        raise as_sent(error, request) from None
    return await object_response(request, served, result, output, status=201 if created else 200)
