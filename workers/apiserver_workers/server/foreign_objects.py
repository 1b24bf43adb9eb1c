"""The objects that another server of the chain serves, read over its socket (admission.initializer.Elsewhere).

Policies may have parameters of any kind. A core worker asks the extensions server for custom resources, and the other
servers ask the core. Each read is made when it is needed, so it is as new as a client's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import orjson

from apiserver_workers.admission.initializer import ForeignResource
from apiserver_workers.apimachinery.errors import ApiError, service_unavailable
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.internal_headers import USER_HEADER, encode_user
from apiserver_workers.server.tagged_document import whole_answer

Object = dict[str, Any]

SECONDS = 5.0
USER = UserInfo("system:apiserver", groups=("system:masters", "system:authenticated"))
SILENT = "a server that has parameters of policies does not answer"


class ForeignObjects:
    """What the server behind `target` serves."""

    def __init__(self, target: DelegationTarget) -> None:
        self._target = target

    async def resource(self, api_version: str, kind: str) -> ForeignResource | None:
        """The resource of a kind; None if the server has none. Raises ApiError."""
        found = await self._get(_root(api_version))
        if found is None:
            return None
        return next(_resources(found, kind), None)

    async def read(self, api_version: str, plural: str, namespace: str, name: str, labels: str) -> list[Object]:
        """The object of that name, or those of the collection that are selected. Raises ApiError."""
        inside = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        path = f"{_root(api_version)}{inside}/{plural}"
        if not name:
            found = await self._get(f"{path}?labelSelector={quote(labels)}" if labels else path)
            items: list[Object] = [] if found is None else found.get("items") or []
            return items
        found = await self._get(f"{path}/{quote(name, safe='')}")
        return [] if found is None else [found]

    async def _get(self, path: str) -> Object | None:
        """The answer to a GET, None for a 404. Raises ApiError."""
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        message = f"{head}{USER_HEADER}: {encode_user(USER)}\r\n\r\n".encode()
        try:
            async with asyncio.timeout(SECONDS):
                response = await self._target.ask(message, method="GET")
                _, body = await whole_answer(response)
        except TimeoutError:
            raise service_unavailable(SILENT) from None
        if response.status == 404:
            return None
        try:
            found: Object = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise service_unavailable(SILENT) from None
        if response.status != 200:
            raise ApiError(response.status, found.get("reason", ""), found.get("message", ""))
        return found


def _root(api_version: str) -> str:
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def _resources(document: Object, kind: str) -> Iterator[ForeignResource]:
    """The resources of a kind in an APIResourceList; subresources are none."""
    for entry in document.get("resources") or ():
        if entry["kind"] == kind and "/" not in entry["name"] and "get" in entry["verbs"]:
            yield ForeignResource(entry["name"], entry["namespaced"])
