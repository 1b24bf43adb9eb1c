"""What the extensions server serves of custom resources: it follows the definitions and changes its surface with them.

All changes that came while one was made are made together. A worker says on its private socket what it serves, by the
definitions' uids, so that a definition is Established only when every worker of the server serves it (establishing.py).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from apiserver_workers.apimachinery.custom import definition as definitions
from apiserver_workers.apimachinery.custom.conversion import Ask
from apiserver_workers.apimachinery.custom_kind import CustomKinds, custom_kinds
from apiserver_workers.apimachinery.resources import Key, ResourceInfo
from apiserver_workers.registry.strategies.custom import CustomStrategy
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.resource_set import key_of
from apiserver_workers.server.surface import Surface
from apiserver_workers.storage.interface import Entry, Event, StorageError

Object = dict[str, Any]
# Sends a ConversionReview to the webhook of a definition.
AskOf = Callable[[Object], Ask]

log = logging.getLogger(__name__)

PRIVATE = "/definitions"
LONG = 4096  # bytes of a definition that is compiled in a thread
RETRY = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What is served of one definition."""

    uid: str
    content: bytes
    kinds: CustomKinds

    @property
    def keys(self) -> list[Key]:
        return [key_of(kind.info) for kind in self.kinds.served.values()]


class CustomResources:
    """Handler of an Informer of definitions (server.informer.Handler)."""

    def __init__(self, surface: Surface, ask: AskOf) -> None:
        self._surface = surface
        self._ask = ask
        self._wanted: dict[str, Object] = {}  # definitions that are served, by name
        self._made: dict[str, Made] = {}
        self._failed: dict[str, bytes] = {}  # contents of which no kinds could be made, by name
        self._dirty: set[str] = set()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._listeners: list[Callable[[], None]] = []
        self.established: frozenset[tuple[str, str]] = frozenset()  # group and plural

    # ---- the informer's side

    def replace(self, entries: list[Entry]) -> None:
        wanted = {entry.obj["metadata"]["name"]: entry.obj for entry in entries}
        for name in self._wanted.keys() | wanted.keys():
            self._take(name, wanted.get(name))

    def apply(self, event: Event) -> None:
        obj = event.entry.obj
        self._take(obj["metadata"]["name"], None if event.type == "DELETED" else obj)

    def _take(self, name: str, definition: Object | None) -> None:
        if definition is None or not definitions.is_served(definition):
            self._wanted.pop(name, None)
        else:
            self._wanted[name] = definition
        self._dirty.add(name)
        self._changed.set()

    # ---- serving

    async def start(self) -> None:
        """Returns when everything that there is now is served."""
        await self._make_changes()
        self._task = asyncio.create_task(self._follow(), name="custom resources")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call it whenever this worker has begun to serve what it was told."""
        self._listeners.append(listener)

    def serving(self) -> dict[str, str]:
        """The contents that are served now, by the definitions' uids."""
        return {made.uid: made.content.hex() for made in self._made.values()}

    def serves(self, definition: Object) -> bool:
        """Whether a definition is served as it is."""
        made = self._made.get(definition["metadata"]["name"])
        return made is not None and made.content == definitions.content_hash(definition)

    def pending(self) -> list[tuple[str, str, str]]:
        """Name, uid and content of what is served here and not established yet."""
        found = []
        for name, made in self._made.items():
            definition = self._wanted.get(name)
            if definition is not None and not definitions.is_true(definition, definitions.ESTABLISHED):
                found.append((name, made.uid, made.content.hex()))
        return found

    def shown(self, infos: Iterable[ResourceInfo]) -> tuple[ResourceInfo, ...]:
        """Those that discovery shows: custom resources only once they are established."""
        return tuple(info for info in infos if not info.custom or (info.group, info.resource) in self.established)

    async def answer(self, request: Request) -> Response:
        """What this worker serves, for its siblings."""
        return Response(body=orjson.dumps(self.serving()))

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            try:
                await self._make_changes()
            except StorageError as error:
                log.warning("definitions are not served yet: %s", error)
                await asyncio.sleep(RETRY)
            except Exception:
                log.exception("definitions are not served yet")
                await asyncio.sleep(RETRY)

    async def _make_changes(self) -> None:
        self._changed.clear()
        names, self._dirty = self._dirty, set()
        try:
            await self._change(names)
        except BaseException:
            self._dirty |= names
            self._changed.set()
            raise
        self.established = self._established()
        for listener in self._listeners:
            listener()

    async def _change(self, names: Iterable[str]) -> None:
        """Serve what is wanted of these definitions now."""
        made: dict[str, Made | None] = {}
        for name in names:
            definition = self._wanted.get(name)
            before = self._made.get(name)
            if definition is None:
                if before is not None:
                    made[name] = None
                continue
            content = definitions.content_hash(definition)
            if (before is None or before.content != content) and self._failed.get(name) != content:
                made[name] = await self._make(name, definition, content)
        if not made:
            return
        gone = [key for name in made if (before := self._made.get(name)) for key in before.keys]
        coming = [kind for one in made.values() if one is not None for kind in one.kinds.served.values()]
        names_coming = {key_of(kind.info) for kind in coming}
        await self._surface.change(
            add=coming, remove=[key for key in gone if key not in names_coming], strategy=CustomStrategy
        )
        for name, one in made.items():
            if one is None:
                self._made.pop(name, None)
            else:
                self._made[name] = one

    async def _make(self, name: str, definition: Object, content: bytes) -> Made | None:
        """None for a definition of which no kinds can be made, which validation does not let through."""
        ask = self._ask(definition)
        try:
            if len(orjson.dumps(definition["spec"])) > LONG:
                kinds = await asyncio.to_thread(_prepared, definition, ask)
            else:
                kinds = custom_kinds(definition, ask=ask)
        except Exception:
            log.exception("the definition %s cannot be served", name)
            self._failed[name] = content
            return None
        self._failed.pop(name, None)
        return Made(definition["metadata"].get("uid", ""), content, kinds)

    def _established(self) -> frozenset[tuple[str, str]]:
        found = frozenset(
            (definition["spec"]["group"], definitions.accepted_names(definition)["plural"])
            for name, definition in self._wanted.items()
            if name in self._made and definitions.is_true(definition, definitions.ESTABLISHED)
        )
        return self.established if found == self.established else found


def _prepared(definition: Object, ask: Ask) -> CustomKinds:
    """The kinds of a long definition, with everything made that the first request would wait for."""
    return custom_kinds(definition, ask=ask, prepare=True)
