"""A client of a whole server that speaks HTTP/2 over TLS."""

from __future__ import annotations

import json
import socket
import ssl

from apiserver_workers.storage.transport.frames import window_update

from tests.running import RunningServer
from tests.server.http2.raw import Client


def tls_context(server: RunningServer, protocols: list[str], *, admin: bool = True) -> ssl.SSLContext:
    context = (
        server.admin_tls() if admin else ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    )
    context.set_alpn_protocols(protocols)
    return context


class Http2Client(Client):
    """Requests to a whole server, over one connection."""

    def __init__(self, server: RunningServer, *, admin: bool = True) -> None:
        host, _, port = server.url.removeprefix("https://").partition(":")
        plain = socket.create_connection((host, int(port)), timeout=10)
        tls = tls_context(server, ["h2", "http/1.1"], admin=admin).wrap_socket(plain, server_hostname=host)
        assert tls.selected_alpn_protocol() == "h2"
        super().__init__(tls)
        self.fields = [(":scheme", "https"), (":authority", f"{host}:{port}")]
        self.stream = -1
        self.hello({4: 1 << 24})
        self.send(window_update(0, 1 << 24))

    def begin(self, method: str, path: str, body: object = None, **headers: str) -> int:
        """Send a request; its stream."""
        self.stream += 2
        given = [(name.replace("_", "-"), value) for name, value in headers.items()]
        self.headers(self.stream, [(":method", method), (":path", path), *self.fields, *given], end=body is None)
        if body is not None:
            self.data(self.stream, json.dumps(body).encode(), end=True)
        return self.stream

    def ask(self, method: str, path: str, body: object = None, **headers: str):
        return self.answer(self.begin(method, path, body, **headers))
