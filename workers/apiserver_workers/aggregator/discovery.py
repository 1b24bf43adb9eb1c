"""What aggregated servers serve, for the documents of discovery (kube-aggregator's discoveryManager).

Each APIService is read in the background: at once when it changes, then every minute, after a failure sooner. Nobody who
asks for discovery waits for that; what cannot be read is shown as it was, marked as stale.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver_workers.aggregator.following import Followed, Repeat
from apiserver_workers.aggregator.registrations import Registrations
from apiserver_workers.server.aggregation.api_service import APIService, ServiceReference
from apiserver_workers.server.aggregation.asking import Backends, Document, Unanswered
from apiserver_workers.server.aggregation.identity import MASTERS, NOBODY
from apiserver_workers.server.discovery.foreign import from_resource_list, group_versions
from apiserver_workers.server.discovery.sources import STALE

JSON = "application/json"
FORM = "g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"
ACCEPT = ",".join(f"{JSON};{FORM.format(version)}" for version in ("v2", "v2beta1"))
TIMEOUT = 5.0
LIMIT = 4 << 20  # bytes of a document
REFRESH = 60.0
REPEAT = Repeat(after=REFRESH, first_retry=0.5, last_retry=REFRESH)
CURRENT = "Current"

GroupVersions = Mapping[tuple[str, str], dict[str, Any]]

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Cached:
    """The document of a server, which may stand for many APIServices."""

    groups: GroupVersions
    tag: str
    read_at: float


class RemoteDiscovery:
    """A DiscoverySource: the group versions of APIServices that have a service."""

    def __init__(self, registrations: Registrations, backends: Backends) -> None:
        self._backends = backends
        self._cached: dict[ServiceReference, _Cached] = {}
        self._locks: dict[ServiceReference, asyncio.Lock] = {}
        self._shown: dict[str, tuple[APIService, dict[str, Any]]] = {}
        self._changes = 0
        self._followed = Followed(registrations, self._read, self._gone, REPEAT)

    async def stop(self) -> None:
        await self._followed.stop()

    @property
    def priorities(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """The priorities that the APIServices ask for."""
        services = [service for service, _ in self._shown.values()]
        return {one.group_version: (one.group_priority, one.version_priority) for one in services}

    async def groups(self) -> tuple[str, Sequence[dict[str, Any]]]:
        groups: dict[str, list[dict[str, Any]]] = {}
        for service, version in self._shown.values():
            groups.setdefault(service.group, []).append(version)
        items = [{"metadata": {"name": group}, "versions": versions} for group, versions in groups.items()]
        return f"remote {self._changes}", items

    async def _read(self, service: APIService, since: float) -> bool:
        """Read what the APIService's server says of it; false if that cannot be had."""
        fault = ""
        try:
            found: GroupVersions | None = await self._document(service, since)
        except (Unanswered, ValueError) as error:
            fault = str(error)
            kept = self._cached.get(service.service) if service.service is not None else None
            found = None if kept is None else kept.groups
        version = (found or {}).get(service.group_version) or {"version": service.version}
        shown = {**version, "freshness": STALE if fault else CURRENT}
        if self._shown.get(service.name) != (service, shown):
            self._shown[service.name] = service, shown
            self._changes += 1
            if fault:
                log.warning("discovery of %s cannot be read: %s", service.name, fault)
        return not fault

    def _gone(self, name: str) -> None:
        if self._shown.pop(name, None) is not None:
            self._changes += 1
        used = {service.service for service, _ in self._shown.values()}
        for reference in self._cached.keys() - used:
            del self._cached[reference]
        for reference in self._locks.keys() - used:
            if not self._locks[reference].locked():
                del self._locks[reference]

    async def _document(self, service: APIService, since: float) -> GroupVersions:
        """The server's group versions, read after `since`. Raises Unanswered and ValueError."""
        reference = service.service
        assert reference is not None
        async with self._locks.setdefault(reference, asyncio.Lock()):
            cached = self._cached.get(reference)
            if cached is not None and cached.read_at > since:
                return cached.groups
            return await self._fetch(service, reference, cached)

    async def _fetch(self, service: APIService, reference: ServiceReference, cached: _Cached | None) -> GroupVersions:
        began = asyncio.get_running_loop().time()
        headers = [("Accept", ACCEPT)]
        if cached is not None and cached.tag:
            headers.append(("If-None-Match", cached.tag))
        answer = await self._get(service, "/apis", MASTERS, headers)
        if answer.status == 304 and cached is not None:
            cached.read_at = began
            return cached.groups
        if answer.status == 503:
            raise Unanswered(f"service {reference} returned non-success response code: 503")
        if answer.status == 200 and is_aggregated(answer.headers.get("content-type", "")):
            groups = await asyncio.to_thread(_parsed, answer.body)
            self._cached[reference] = _Cached(groups, printable(answer.headers.get("etag", "")), began)
            return groups
        return await self._legacy(service)

    async def _legacy(self, service: APIService) -> GroupVersions:
        """What the group version's own document says: the server has no other."""
        answer = await self._get(service, service.path, NOBODY, [("Accept", JSON)])
        if answer.status != 200:
            raise Unanswered(f"failed to download legacy discovery for {service.path}: {answer.status}")
        resources = from_resource_list(orjson.loads(answer.body))
        return {service.group_version: {"version": service.version, "resources": resources}}

    async def _get(self, service: APIService, path: str, user: Any, headers: Sequence[tuple[str, str]]) -> Document:
        return await self._backends.get(service, path, user, timeout=TIMEOUT, limit=LIMIT, headers=headers)


def _parsed(body: bytes) -> GroupVersions:
    return group_versions(orjson.loads(body))


def is_aggregated(content_type: str) -> bool:
    """Whether an answer is in the form that has all groups."""
    media_type, *parameters = (part.strip() for part in content_type.split(";"))
    given = set(parameters)
    forms = ({*FORM.format(version).split(";")} for version in ("v2", "v2beta1"))
    return media_type == JSON and any(form <= given for form in forms)


def printable(tag: str) -> str:
    """A tag as it may be sent back, "" for one that may not."""
    return tag if tag.isascii() and tag.isprintable() else ""
