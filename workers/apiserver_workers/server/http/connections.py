"""The connections of one worker process, as its protocol objects share them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from uvicorn.server import ServerState

if TYPE_CHECKING:
    import asyncio

MAX_STRANGERS = 1000
MAX_LARGE_HEADS = 32 << 20


@dataclass(frozen=True, slots=True)
class Http2Settings:
    """`goaway_chance`: the share of requests after which a client is to use another connection."""

    max_streams: int = 100  # as upstream, where --http2-max-streams-per-connection is 0
    goaway_chance: float = 0.0


class Connections(ServerState):
    """uvicorn's set of connections, and those that are not in it: arriving ones and tunnels."""

    def __init__(self) -> None:
        super().__init__()
        self.arriving: WeakSet[Any] = WeakSet()  # accepted, and still in the TLS handshake
        self.closing = False  # connections close after their next answer
        self.strangers: OrderedDict[Any, None] = OrderedDict()  # connections of nobody that we know, the oldest first
        self.large_heads = 0  # bytes of heads that are large and have not all come
        self.http2 = Http2Settings()
        self._tunnels: list[asyncio.Transport] = []

    @property
    def tunnels(self) -> list[asyncio.Transport]:
        """The clients' ends of the connections that switched protocols."""
        self._tunnels = [transport for transport in self._tunnels if not transport.is_closing()]
        return self._tunnels

    def add_stranger(self, connection: Any) -> None:
        """A client has connected; where there are too many of whom nothing is known, the oldest has to go."""
        self.strangers[connection] = None
        if len(self.strangers) > MAX_STRANGERS:
            oldest, _ = self.strangers.popitem(last=False)
            oldest.abort()

    def add_tunnel(self, transport: asyncio.Transport) -> None:
        """A connection is handed over to a tunnel."""
        self.tunnels.append(transport)

    @property
    def any(self) -> bool:
        """Whether any connection is left."""
        return bool(self.connections or self.arriving or self.tunnels)
