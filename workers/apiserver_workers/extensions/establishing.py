"""Establishing: a definition is Established when every extensions worker of this server serves it.

Upstream waits 5 s where there are several servers and hopes (pkg/controller/establish); here the workers are asked, each on
its private socket. Other servers learn of the condition from etcd, and serve a definition as soon as its names are
accepted, before they can see it established.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import orjson

from apiserver_workers.apimachinery.custom import definition as definitions
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.extensions.resources import PRIVATE, CustomResources
from apiserver_workers.extensions.status import change_status, with_condition
from apiserver_workers.registry.store import Store
from apiserver_workers.server.process.siblings import ask_workers
from apiserver_workers.storage.interface import StorageError

Object = dict[str, Any]

log = logging.getLogger(__name__)

ROLE = "extensions-"
PATIENCE = 1.0  # seconds that a worker gets to answer; one that does not is hung, and is replaced
FIRST_PAUSE, LAST_PAUSE = 0.01, 0.25
AT_ONCE = 16
REASON, MESSAGE = "InitialNamesAccepted", "the initial names have been accepted"


class Establishing:
    """To be run by one worker of the server."""

    def __init__(self, run_dir: str, store: Store, resources: CustomResources) -> None:
        """`store` is that of definitions."""
        self._run_dir = run_dir
        self._store = store
        self._resources = resources
        self._wake = asyncio.Event()
        resources.listen(self._wake.set)

    async def run(self) -> None:
        """Until it is cancelled."""
        pause = FIRST_PAUSE
        while True:
            self._wake.clear()
            pending = self._resources.pending()
            if not pending:
                pause = FIRST_PAUSE
                await self._wake.wait()
                continue
            ready = await self._ready(pending)
            await self._establish(ready)
            if len(ready) == len(pending):
                pause = FIRST_PAUSE
                await self._wake.wait()  # the informer brings the change
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, LAST_PAUSE)

    async def _ready(self, pending: list[tuple[str, str, str]]) -> list[str]:
        """The names of those that every worker serves as they are."""
        answers = await ask_workers(self._run_dir, "GET", PRIVATE, timeout=PATIENCE, role=ROLE)
        served = [orjson.loads(answer) for answer in answers.values()]
        return [name for name, uid, content in pending if all(one.get(uid) == content for one in served)]

    async def _establish(self, names: list[str]) -> None:
        waiting = iter(names)

        async def work() -> None:
            for name in waiting:
                try:
                    await change_status(self._store, name, established)
                except (ApiError, StorageError) as error:
                    log.warning("definition %s is not established yet: %s", name, error)
                    self._wake.set()

        await asyncio.gather(*(work() for _ in range(min(AT_ONCE, len(names)))))


def established(definition: Object) -> Object | None:
    """The status of a definition that is served everywhere; None where that is told already, or its names are not its own."""
    if definitions.is_true(definition, definitions.ESTABLISHED):
        return None
    if not definitions.is_true(definition, definitions.NAMES_ACCEPTED):
        return None
    status = definition.get("status") or {}
    return with_condition(status, definitions.ESTABLISHED, "True", REASON, MESSAGE)
