"""Where discovery comes from besides this server's own resources: other servers, which are asked at each request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.delegation.target import DelegationTarget
from apiserver_workers.server.discovery.documents import AGGREGATED_GROUP, AGGREGATED_KIND
from apiserver_workers.server.tagged_document import TaggedDocument

ACCEPT = f"application/json;g={AGGREGATED_GROUP};v=v2;as={AGGREGATED_KIND}"
STALE = "Stale"


class DiscoverySource(Protocol):
    """Another server's groups."""

    async def groups(self) -> tuple[str, Sequence[dict[str, Any]]]:
        """Its groups as the aggregated form v2 has them, and a tag that is another whenever they are."""
        ...


class Registered(Protocol):
    """The APIServices: they say which groups there are, and which of them other servers have."""

    @property
    def version(self) -> int:
        """Another one after each change."""
        ...

    def listed(self) -> Mapping[str, Sequence[str]]:
        """The versions of each group, in the order in which they are shown."""
        ...

    def priorities(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """The priorities of group versions that other servers have."""
        ...

    async def groups(self) -> tuple[str, Sequence[dict[str, Any]]]:
        """What other servers have, as a DiscoverySource says it."""
        ...


class DelegateDiscovery:
    """A server behind this one, on its Unix socket. While it does not answer, what it said last is shown as stale."""

    def __init__(self, target: DelegationTarget) -> None:
        self._document = TaggedDocument(target, "/apis", ACCEPT)
        self._last: tuple[str, Sequence[dict[str, Any]]] = "", ()

    async def groups(self) -> tuple[str, Sequence[dict[str, Any]]]:
        try:
            tag, document = await self._document.read()
        except ApiError:
            tag, items = self._last
            return f"{tag} {STALE}", [_stale(item) for item in items]
        self._last = tag, document["items"]
        return self._last


def _stale(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "versions": [{**version, "freshness": STALE} for version in item["versions"]]}
