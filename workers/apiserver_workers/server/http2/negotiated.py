"""A connection of the secure port before it is known which HTTP it speaks: ALPN has told when the TLS handshake is over."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver_workers.server.http.connections import Connections
from apiserver_workers.server.http.protocol import HttpProtocol
from apiserver_workers.server.http2.connection import Http2Connection

H2 = "h2"


class NegotiatedProtocol(asyncio.Protocol):
    """What uvicorn makes for an accepted connection; it is replaced as soon as there is one."""

    def __init__(
        self,
        config: Any,
        server_state: Connections,
        app_state: Any = None,
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._config = config
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        server_state.arriving.add(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._state.arriving.discard(self)
        tls = transport.get_extra_info("ssl_object")
        protocol: HttpProtocol | Http2Connection
        if tls is not None and tls.selected_alpn_protocol() == H2:
            protocol = Http2Connection(self._config, self._state, self._loop)
        else:
            protocol = HttpProtocol(self._config, self._state, _loop=self._loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
