"""The end of a definition: all its custom resources are deleted before it goes (pkg/controller/finalizer/crd_finalizer.go)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from apiserver_workers.apimachinery.custom.definition import ESTABLISHED, TERMINATING, accepted_names, is_true
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.authentication.union import LOOPBACK_USER
from apiserver_workers.extensions.status import change_status, with_condition
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions, ListOptions
from apiserver_workers.registry.registry import Registry
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies.definitions import FINALIZER
from apiserver_workers.storage.interface import StorageError

Object = dict[str, Any]
Told = tuple[str, str, str]  # of the condition Terminating: status, reason, message

log = logging.getLogger(__name__)

FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0
PATIENCE = 60.0  # seconds for the instances to go; then it is told that they do not, and tried again

IN_PROGRESS: Told = ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
COMPLETED: Told = ("False", "InstanceDeletionCompleted", "removed all instances")
NEVER: Told = ("False", "NeverEstablished", "resource was never established")


class Finalizing:
    """The definitions that are being deleted, each in a task of its own."""

    def __init__(self, registry: Registry, store: Store) -> None:
        self._registry = registry
        self._store = store
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, name: str) -> None:
        """Delete the instances of a definition, and let it go then."""
        if name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._finish(name), name=f"end of {name}")

    def forget(self, name: str) -> None:
        """The definition has gone."""
        if (task := self._tasks.pop(name, None)) is not None:
            task.cancel()

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _finish(self, name: str) -> None:
        pause = FIRST_PAUSE
        while True:
            try:
                if await self._try(name):
                    return
            except (ApiError, StorageError) as error:
                log.warning("instances of %s are not deleted yet: %s", name, error)
            except Exception:
                log.exception("instances of %s are not deleted yet", name)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _try(self, name: str) -> bool:
        entry = await self._store.latest(self._store.key("", name))
        if entry is None:
            return True
        metadata = entry.obj["metadata"]
        if "deletionTimestamp" not in metadata or FINALIZER not in (metadata.get("finalizers") or ()):
            return True
        await self._tell(name, IN_PROGRESS)
        told = await self._delete_instances(entry.obj) if is_true(entry.obj, ESTABLISHED) else NEVER
        await self._tell(name, told)
        if told[0] == "True":
            return False
        await self._let_go(name)
        return True

    async def _tell(self, name: str, told: Told) -> None:
        await change_status(
            self._store, name, lambda live: with_condition(live.get("status") or {}, TERMINATING, *told)
        )

    async def _delete_instances(self, definition: Object) -> Told:
        names = accepted_names(definition)
        try:
            instances = self._registry.store(definition["spec"]["group"], names["plural"])
        except KeyError:
            return "True", "InstanceDeletionFailed", "could not list instances: the resource is not served"
        try:
            page = await instances.list("", ListOptions())
        except ApiError as error:
            return "True", "InstanceDeletionFailed", f"could not list instances: {error.message}"
        entries = instances.cache.list(page.prefix) if page.prefix else page.entries
        failures = []
        for namespace in dict.fromkeys(entry.obj["metadata"].get("namespace", "") for entry in entries):
            try:
                context = Context(LOOPBACK_USER, namespace=namespace)
                await instances.delete_collection(context, DeleteOptions(), ListOptions())
            except ApiError as error:
                failures.append(error.message)
        if failures:
            return "True", "InstanceDeletionFailed", f"could not issue all deletes: {_aggregate(failures)}"
        return await self._until_gone(instances)

    async def _until_gone(self, instances: Store) -> Told:
        loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
        deadline = loop.time() + PATIENCE
        while await self._any_left(instances):
            if loop.time() > deadline:
                text = "could not confirm zero CustomResources remaining: context deadline exceeded"
                return "True", "InstanceDeletionCheck", text
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE / 10)
        return COMPLETED

    async def _any_left(self, instances: Store) -> bool:
        """As etcd has it: another server may have made one."""
        return bool((await instances.storage.list(instances.root, limit=1)).entries)

    async def _let_go(self, name: str) -> None:
        def without_finalizer(live: Object) -> Object:
            metadata = live["metadata"]
            kept = [one for one in metadata.get("finalizers") or () if one != FINALIZER]
            return {**live, "metadata": {**metadata, "finalizers": kept}}

        store = self._store

        async def transform(live: Object | None) -> Object:
            assert live is not None, "an update that may not create was given nothing"
            return without_finalizer(live)

        try:
            await store.update(transform, Context(LOOPBACK_USER, name=name, subresource="status"))
        except ApiError as error:
            if error.reason != "NotFound":
                raise


def _aggregate(messages: list[str]) -> str:
    """Several errors as one, as utilerrors.NewAggregate says them."""
    texts = list(dict.fromkeys(messages))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
