"""APIServices for the group versions that this server serves itself (kube-aggregator's autoregister controller).

Those of built-in groups are set right once a start: one that is deleted since stays away until the next. Those of custom
resources are kept in being for as long as a definition serves their version. An APIService without the label is nobody's
but its owner's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.versions import CUSTOM_PRIORITIES, api_service_priorities
from apiserver_workers.core.bootstrap.objects import Objects, with_condition
from apiserver_workers.registry.strategies.aggregation import LOCAL_AVAILABLE
from apiserver_workers.server.aggregation.api_service import GROUP, RESOURCE

Object = dict[str, Any]

LABEL = "kube-aggregator.kubernetes.io/automanaged"
ON_START, ALWAYS = "onstart", "true"
KEEP, CREATE, UPDATE, DELETE = "keep", "create", "update", "delete"


def decide(current: Object | None, desired: Object | None, *, synced: bool, at_start: bool) -> str:
    """What is to happen to an APIService (the table of upstream's checkAPIService).

    `synced`: this was decided, and done, since the start; `at_start`: it was there when the server started.
    """
    wanted, found = managed(desired), managed(current)
    if current is None:
        once = wanted == ON_START and synced
        return KEEP if desired is None or once else CREATE
    if (wanted == ON_START and synced) or found not in (ON_START, ALWAYS):
        return KEEP
    if found == ON_START and (synced or not at_start):
        return KEEP
    if desired is None:
        return DELETE
    return KEEP if current["spec"] == desired["spec"] else UPDATE


def managed(service: Object | None) -> str:
    """How an APIService is to be kept in step: the value of its label."""
    if service is None:
        return ""
    value: str = (service["metadata"].get("labels") or {}).get(LABEL, "")
    return value


class Registration:
    """Registers what `builtin` lists and what `custom` returns, which are the group versions of custom resources."""

    def __init__(self, objects: Objects, builtin: Iterable[Object], custom: Callable[[], Iterable[Object]]) -> None:
        self._objects = objects
        self._builtin = {service["metadata"]["name"]: service for service in builtin}
        self._custom = custom
        self._synced: set[str] = set()
        self._at_start: frozenset[str] | None = None
        self._started = asyncio.Lock()

    async def start(self) -> None:
        """Set all right, of built-in groups too. Raises ApiError, StorageError."""
        async with self._started:
            if self._at_start is None:
                await self._objects.fresh(GROUP, RESOURCE)
                self._at_start = frozenset(self._current())
            await self._sync()
            await self._objects.fresh(GROUP, RESOURCE)

    async def take_over(self) -> None:
        """Go on where another worker has started: what is only done at a start has been done. Raises ApiError, StorageError."""
        async with self._started:
            if self._at_start is None:
                await self._objects.fresh(GROUP, RESOURCE)
                self._at_start = frozenset()
                self._synced.update(self._builtin)
            await self._sync()

    def _current(self) -> dict[str, Object]:
        return {service["metadata"]["name"]: service for service in self._objects.list(GROUP, RESOURCE)}

    async def _sync(self) -> None:
        current = self._current()
        custom = {service["metadata"]["name"]: service for service in self._custom()}
        desired = {**custom, **self._builtin}
        await asyncio.gather(
            *(self._sync_one(name, current.get(name), desired) for name in dict.fromkeys((*current, *desired)))
        )

    async def _sync_one(self, name: str, current: Object | None, all_desired: Mapping[str, Object]) -> None:
        desired = all_desired.get(name)
        at_start = name in (self._at_start or ())
        action = decide(current, desired, synced=name in self._synced, at_start=at_start)
        if action == CREATE:
            assert desired is not None
            await self._objects.create(GROUP, RESOURCE, desired)
        elif action == UPDATE:
            assert desired is not None
            await self._objects.update(GROUP, RESOURCE, name, lambda live: corrected(live, desired))
        elif action == DELETE:
            assert current is not None
            await self._objects.delete(GROUP, RESOURCE, current)
        self._synced.add(name)


def local_services(served: Iterable[ResourceInfo]) -> list[Object]:
    """The APIService of each group version, but of the APIServices' own."""
    versions = dict.fromkeys((info.group, info.version) for info in served if info.group != GROUP)
    priorities = api_service_priorities()
    return [local_service(*version, ON_START, *priorities.get(version, CUSTOM_PRIORITIES)) for version in versions]


def custom_services(definitions: Iterable[Object]) -> list[Object]:
    """The APIService of each group version that a CustomResourceDefinition serves (upstream's crdregistration controller)."""
    versions = dict.fromkeys(
        (definition["spec"]["group"], version["name"])
        for definition in definitions
        for version in definition["spec"].get("versions") or ()
        if version.get("served")
    )
    return [local_service(*version, ALWAYS, *CUSTOM_PRIORITIES) for version in versions]


def local_service(group: str, version: str, management: str, group_priority: int, version_priority: int) -> Object:
    """An APIService without a service."""
    spec: Object = {"version": version, "groupPriorityMinimum": group_priority, "versionPriority": version_priority}
    if group:
        spec["group"] = group
    return {"metadata": {"name": f"{version}.{group}", "labels": {LABEL: management}}, "spec": spec}


def corrected(existing: Object, wanted: Object) -> Object | None:
    """The APIService as it has to be; None if it is so, or is no longer to be managed."""
    if existing["spec"] == wanted["spec"] or managed(existing) not in (ON_START, ALWAYS):
        return None
    return {**existing, "spec": wanted["spec"]}


async def mark_available(objects: Objects) -> None:
    """APIServices without a service are served by this server, so they are available. Raises ApiError."""
    await asyncio.gather(
        *(
            objects.update(
                GROUP,
                RESOURCE,
                service["metadata"]["name"],
                _locally_available,
                subresource="status",
            )
            for service in objects.list(GROUP, RESOURCE)
            if _locally_available(service) is not None
        )
    )


def _locally_available(service: Object) -> Object | None:
    if service["spec"].get("service") is not None:
        return None
    return with_condition(service, LOCAL_AVAILABLE)
