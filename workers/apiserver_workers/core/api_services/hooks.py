"""The post-start hooks about APIServices, by upstream's names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.core.api_services.availability import RESYNC, Availability
from apiserver_workers.core.api_services.definitions import Definitions
from apiserver_workers.core.api_services.registration import (
    Registration,
    custom_services,
    local_services,
    mark_available,
)
from apiserver_workers.core.bootstrap.changes import Changes
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.aggregation.api_service import GROUP, RESOURCE
from apiserver_workers.server.aggregation.asking import Backends
from apiserver_workers.server.aggregation.resolving import service_resolver
from apiserver_workers.server.aggregation.tls import BackendTls
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.hooks import Hook

REGISTRATION = "kube-apiserver-autoregistration"
LOCAL = "apiservice-status-local-available-controller"
REMOTE = "apiservice-status-remote-available-controller"
CONTROLLER = "apiservice-registration-controller"
SLOW_RESYNC = 300.0


def api_service_hooks(
    config: ServerConfig, registry: Registry, objects: Objects, served: Iterable[ResourceInfo]
) -> list[Hook]:
    """Registration of what is served, and the availability of all APIServices."""
    definitions = Definitions(registry)
    registration = Registration(objects, local_services(served), lambda: custom_services(definitions.current()))
    availability = Availability(registry, objects, Backends(service_resolver(config, registry), BackendTls(config)))
    services = ((GROUP, RESOURCE),)
    steps = _Steps(definitions, registration, Changes(registry, services))
    changes = Changes(registry, services)
    return [
        Hook(REGISTRATION, steps.start),
        Hook(CONTROLLER, steps.go_on, SLOW_RESYNC, (REGISTRATION,), steps.pause),
        Hook(LOCAL, partial(mark_available, objects), SLOW_RESYNC, (REGISTRATION,), changes.wait),
        Hook(REMOTE, availability.run, RESYNC, (REGISTRATION,), availability.pause),
    ]


class _Steps:
    """Registration at the start and from then on."""

    def __init__(self, definitions: Definitions, registration: Registration, changes: Changes) -> None:
        self._definitions = definitions
        self._registration = registration
        self._changes = changes

    async def start(self) -> None:
        await self._definitions.start()
        await self._registration.start()

    async def go_on(self) -> None:
        await self._definitions.start()
        self._definitions.changed.clear()
        await self._registration.take_over()

    async def pause(self, timeout: float) -> None:
        """Wait until an APIService or a definition changes. When this ends, definitions are followed no more."""
        waiting = [
            asyncio.ensure_future(self._changes.wait(timeout)),
            asyncio.ensure_future(self._definitions.changed.wait()),
        ]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._definitions.stop()
            raise
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
