"""What aggregated servers describe, for the documents of OpenAPI (kube-aggregator's openapi and openapiv3 controllers).

Both versions are read in the background and again every minute; who asks for a document never waits for a server, except
for that server's own document of v3, which is its answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from apiserver_workers.aggregator.discovery import printable
from apiserver_workers.aggregator.following import Followed, Repeat
from apiserver_workers.aggregator.registrations import Registrations
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.aggregation.api_service import APIService, highest
from apiserver_workers.server.aggregation.asking import Backends, Document, Unanswered
from apiserver_workers.server.aggregation.identity import OPENAPI
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.openapi.conversion import to_v3
from apiserver_workers.server.openapi.documents import OpenAPIDocument
from apiserver_workers.server.openapi.endpoints import answer_v3, encoded_v3
from apiserver_workers.server.openapi.merging import checked, filtered
from apiserver_workers.server.openapi.protobuf import encode

ROOT = "/openapi/v3"
TIMEOUT = 60.0
LIMIT = 10 << 20  # bytes of a document
REPEAT = Repeat(after=60.0, first_retry=1.0, last_retry=60.0)

Pass = Callable[[Request, APIService], Awaitable[Response]]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Described:
    """What is known of one APIService. `converted`: its server has no v3, so this is made of its v2."""

    service: APIService
    tag: str = ""
    v2: Mapping[str, Any] | None = None
    urls: dict[str, str] = field(default_factory=dict)
    converted: OpenAPIDocument | None = None
    told: str = ""  # the last failure that was logged


class RemoteOpenAPI:
    """An OpenAPISource: the APIServices that have a service. `pass_on` answers with what a server says."""

    def __init__(self, registrations: Registrations, backends: Backends, pass_on: Pass) -> None:
        self._backends = backends
        self._pass_on = pass_on
        self._described: dict[str, _Described] = {}
        self._followed = Followed(registrations, self._read, self._gone, REPEAT)

    async def stop(self) -> None:
        await self._followed.stop()

    # ---- the source

    async def handle(self, request: Request) -> Response:
        name = request.path.removeprefix(ROOT).strip("/")
        for one in self._in_order():
            if name not in one.urls:
                continue
            if one.converted is not None:
                return await answer_v3(request, name, one.converted)
            return await self._pass_on(request, one.service)
        raise ApiError(404, "NotFound", "the server could not find the requested resource", {})

    async def v3(self) -> Mapping[str, str]:
        urls: dict[str, str] = {}
        for one in self._in_order():
            urls = {**one.urls, **urls}
        return urls

    async def v2(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [(f"{one.service.name} {one.tag}", one.v2) for one in self._in_order() if one.v2 is not None]

    def _in_order(self) -> list[_Described]:
        """By the priorities of groups and versions, then by name."""
        groups: dict[str, list[APIService]] = {}
        for one in self._described.values():
            groups.setdefault(one.service.group, []).append(one.service)
        priorities = {group: highest(services) for group, services in groups.items()}

        def order(one: _Described) -> tuple[int, str, int, str]:
            service = one.service
            return -priorities[service.group], service.group, -service.version_priority, service.name

        return sorted(self._described.values(), key=order)

    # ---- reading

    async def _read(self, service: APIService, since: float) -> bool:
        """Read both versions; false if something is to be tried again."""
        one = self._described.setdefault(service.name, _Described(service))
        one.service = service
        if not service.available:
            return False  # its server would not be asked: the next change of its condition leads here again
        try:
            await self._read_v2(one)
            await self._read_v3(one)
        except (Unanswered, ValueError) as error:
            if str(error) != one.told:
                log.warning("OpenAPI of %s cannot be read: %s", service.name, error)
            one.told = str(error)
            return False
        one.told = ""
        return True

    def _gone(self, name: str) -> None:
        self._described.pop(name, None)

    async def _read_v2(self, one: _Described) -> None:
        answer = await self._get(one, "/openapi/v2", one.tag)
        if answer.status == 304 and one.v2 is not None:
            return
        if answer.status == 404:
            one.v2, one.tag = None, ""
            return
        if answer.status != 200:
            raise Unanswered(f"failed to download {one.service.name}: invalid status code: {answer.status}")
        own = f'"{hashlib.sha512(answer.body).hexdigest()}"'
        tag = printable(answer.headers.get("etag", "")) or own
        if tag == one.tag and one.v2 is not None:
            return
        prefix = f"{one.service.path}/"
        one.v2 = await asyncio.to_thread(_parsed_v2, answer.body, prefix)
        one.tag = tag

    async def _read_v3(self, one: _Described) -> None:
        answer = await self._get(one, ROOT, "")
        if answer.status == 404:
            await self._convert(one)
            return
        if answer.status != 200:
            raise Unanswered("Error, could not get list of group versions for APIService")
        one.urls, one.converted = dict(_urls(orjson.loads(answer.body))), None

    async def _convert(self, one: _Described) -> None:
        """Make the document of v3 of that of v2."""
        if one.v2 is None:
            one.urls, one.converted = {}, None
            return
        body = orjson.dumps(await asyncio.to_thread(to_v3, dict(one.v2)))
        document = OpenAPIDocument(lambda: body, encoded_v3)
        digest = await document.digest()
        name = one.service.path.strip("/")
        url = f"{ROOT}/{name}?hash={digest}"
        if one.urls != {name: url}:
            one.urls, one.converted = {name: url}, document

    async def _get(self, one: _Described, path: str, tag: str) -> Document:
        headers = [("Accept", "application/json")]
        if tag:
            headers.append(("If-None-Match", tag))
        return await self._backends.get(one.service, path, OPENAPI, timeout=TIMEOUT, limit=LIMIT, headers=headers)


def _parsed_v2(body: bytes, prefix: str) -> Mapping[str, Any]:
    """What the document says of paths below the prefix. Raises ValueError for one that cannot be merged or encoded."""
    document = filtered(checked(orjson.loads(body)), prefix)
    try:
        encode({**document, "swagger": "2.0", "info": {}})
    except Exception as error:
        raise ValueError(f"not an OpenAPI document: {error}") from None
    return document


def _urls(index: Any) -> Iterator[tuple[str, str]]:
    """The documents that a server lists. Raises ValueError."""
    paths = index.get("paths") if isinstance(index, dict) else None
    if not isinstance(paths, dict):
        raise ValueError("not an index of OpenAPI documents")
    for name, entry in paths.items():
        url = entry.get("serverRelativeURL") if isinstance(entry, dict) else None
        if not isinstance(url, str):
            raise ValueError("not an index of OpenAPI documents")
        yield name, url
