"""An extensions server in this process: definitions are named, established and served as by a worker of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from apiserver_workers.apimachinery.custom.conversion import Ask
from apiserver_workers.apimachinery.custom_kind import no_webhook
from apiserver_workers.extensions.controllers.controller import DefinitionController
from apiserver_workers.extensions.establishing import established
from apiserver_workers.extensions.resources import CustomResources
from apiserver_workers.extensions.status import change_status
from apiserver_workers.server.informer import Informer
from apiserver_workers.server.surface import Surface

from tests.registry.api import Answer, Api, running

GROUP = "example.com"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = f"/apis/{GROUP}/v1/namespaces/default/widgets"
WIDGET = {"kind": "Widget", "apiVersion": f"{GROUP}/v1"}


def version(
    name: str = "v1", *, storage: bool = True, spec: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A version whose spec has these properties."""
    properties = {
        "spec": {"type": "object", "properties": {"size": {"type": "integer"}} if spec is None else spec},
        "status": {"type": "object", "properties": {"ready": {"type": "boolean"}, "size": {"type": "integer"}}},
    }
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    return {"name": name, "served": True, "storage": storage, "schema": schema, **more}


def definition(*versions: dict[str, Any], scope: str = "Namespaced", **spec: Any) -> dict[str, Any]:
    """The definition of widgets."""
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"widgets.{GROUP}"},
        "spec": {"group": GROUP, "scope": scope, "names": names, "versions": list(versions or [version()]), **spec},
    }


class Extensions:
    """Sends requests to the server."""

    def __init__(self, api: Api, ask: Callable[[Any], Ask]) -> None:
        self.api = api
        self.call = api.call
        self.store = api.backend.registry.store("apiextensions.k8s.io", "customresourcedefinitions")
        self.custom = CustomResources(Surface(api.server, api.backend.registry), ask)
        self.informer = Informer(self.store.cache, self.store.root, self.custom)
        self.controller = DefinitionController(api.backend.registry, self.store)
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self.informer.start()
        await self.custom.start()
        self._running = asyncio.create_task(self.controller.run())

    async def stop(self) -> None:
        assert self._running is not None
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self.custom.stop()
        await self.informer.stop()

    async def define(self, obj: dict[str, Any]) -> Answer:
        """Create a definition, or change it; it is served and established afterwards."""
        name = obj["metadata"]["name"]
        answer = await self.call("POST", DEFINITIONS, obj)
        if answer.status == 409:
            answer = await self.call(
                "PATCH", f"{DEFINITIONS}/{name}", {"spec": obj["spec"]}, type="application/merge-patch+json"
            )
        assert answer.status in (200, 201), answer.body
        served = asyncio.Event()
        self.custom.listen(served.set)
        async with asyncio.timeout(5):
            while not await self._is_served(name):
                served.clear()
                await served.wait()
        await change_status(self.store, name, established)
        return answer

    async def _is_served(self, name: str) -> bool:
        await self.store.cache.fresh()
        entry = self.store.cache.get(self.store.key("", name))
        assert entry is not None
        return self.custom.serves(entry.obj)

    async def create(self, name: str, *, path: str = WIDGETS, **fields: Any) -> Answer:
        return await self.call("POST", path, {**WIDGET, "metadata": {"name": name}, **fields})


@asynccontextmanager
async def serving(
    etcd: Any, root: str, ask: Callable[[Any], Ask] = lambda obj: no_webhook
) -> AsyncIterator[Extensions]:
    async with running(etcd, root) as api:
        server = Extensions(api, ask)
        await server.start()
        try:
            yield server
        finally:
            await server.stop()
