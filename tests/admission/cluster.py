"""A small cluster for admission's tests: a real etcd, the watch cache, the stores, and the whole chain before them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from apiserver_workers.apimachinery import codec, defaults, types
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.union import server_authorizer
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig

Object = dict[str, Any]
ADMIN = UserInfo("admin", "", ("system:masters",))
ALICE = UserInfo("alice", "", ("dev",))
NODE = UserInfo("system:node:n1", "", ("system:nodes",))
NAMESPACE = "ns"


def pod(name: str = "p", *, container: Object | None = None, metadata: Object | None = None, **spec: Any) -> Object:
    """A pod of one container."""
    containers = [{"name": "c", "image": "i", **(container or {})}]
    return {"metadata": {"name": name, **(metadata or {})}, "spec": {"containers": containers, **spec}}


class Cluster:
    """Writes objects as a user would, through admission; `warnings` are those of the last write, `annotations` those of the
    last creation."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.warnings: list[str] = []
        self.annotations: dict[str, Any] = {}

    async def create(
        self, resource: str, obj: Object, *, user: UserInfo = ADMIN, namespace: str = NAMESPACE, dry_run: bool = False
    ) -> Object:
        """The stored object. `resource` is `pods`, or `deployments.apps`. Raises ApiError."""
        store = self.store(resource)
        info = store.info
        kind = types.model().kind(info.group, info.version, info.kind)
        obj = {"kind": info.kind, "apiVersion": info.group_version, **codec.normalise(kind, obj)}
        defaults.set_defaults(info.group, info.version, info.kind, obj)
        namespace = namespace if info.namespaced else ""
        if namespace:
            obj["metadata"]["namespace"] = namespace
        self.warnings = []
        context = Context(user, namespace, obj["metadata"].get("name", ""), dry_run=dry_run, warnings=self.warnings)
        self.annotations = context.annotations
        result = await store.create(obj, context)
        await store.cache.fresh()
        return result.obj

    async def update(
        self,
        resource: str,
        name: str,
        change: Callable[[Object], Object],
        *,
        user: UserInfo = ADMIN,
        subresource: str = "",
        namespace: str = NAMESPACE,
    ) -> Object:
        """The object as it is after `change`, which must not change its argument. Raises ApiError."""
        store = self.store(resource)
        self.warnings = []
        namespace = namespace if store.info.namespaced else ""
        context = Context(user, namespace, name, subresource, warnings=self.warnings)

        async def transform(live: Object | None) -> Object:
            return change(live or {})

        result, _ = await store.update(transform, context)
        await store.cache.fresh()
        return result.obj

    async def delete(self, resource: str, name: str, *, user: UserInfo = ADMIN, namespace: str = NAMESPACE) -> None:
        store = self.store(resource)
        await store.delete(Context(user, namespace if store.info.namespaced else "", name), DeleteOptions())

    async def get(self, resource: str, name: str, namespace: str = NAMESPACE) -> Object:
        store = self.store(resource)
        entry = await store.get(namespace if store.info.namespaced else "", name)
        return entry.obj

    async def prepare(self) -> None:
        """The namespace, with its default service account."""
        await self.create("namespaces", {"metadata": {"name": NAMESPACE}})
        await self.create("serviceaccounts", {"metadata": {"name": "default"}})

    def store(self, resource: str) -> Any:
        name, _, group = resource.partition(".")
        return self.backend.registry.store(group, name)


Scenario = Callable[[Cluster], Awaitable[None]]


async def run(config: ServerConfig, scenario: Scenario) -> None:
    """Run a scenario in a cluster of its own."""
    backend = Backend(config)
    await backend.start()
    authorizer = server_authorizer(config, backend.cache)
    await authorizer.start()
    backend.admission.initializer.authorizer = authorizer
    cluster = Cluster(backend)
    try:
        await cluster.prepare()
        await asyncio.wait_for(scenario(cluster), 30)
    finally:
        await authorizer.stop()
        await backend.stop()


async def refused(attempt: Awaitable[Any], code: int = 403) -> ApiError:
    """The error that refuses the attempt."""
    with pytest.raises(ApiError) as caught:
        await attempt
    assert caught.value.code == code, caught.value.message
    return caught.value
