"""One server with everything open that is closed by default: the insecure port, the debug socket, logs, old Swagger."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import TOKENS
from tests.running import RunningServer
from tests.storage.etcd_process import free_port


@dataclass
class OpenServer:
    """The server, and where its other doors are."""

    server: RunningServer
    insecure_port: int
    debug_socket: Path

    def insecure(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
        """One request to the insecure port."""
        connection = http.client.HTTPConnection("127.0.0.1", self.insecure_port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        try:
            return answer.status, answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenServer]:
    folder = tmp_path_factory.mktemp("opened")
    tokens = Path(folder, "tokens.csv")
    tokens.write_text(TOKENS)
    debug, port = folder / "debug.sock", free_port()
    flags = (
        "--advertise-address=192.0.2.10",
        f"--token-auth-file={tokens}",
        f"--insecure-port={port}",
        f"--debug-socket-path={debug}",
        "--contention-profiling",
        "--enable-logs-handler",
        "--enable-swagger-ui",
        "--aggregator-workers=2",
        "--cors-allowed-origins=^https://ui\\.test$",
    )
    with RunningServer(folder, *flags) as server:
        yield OpenServer(server, port, debug)


def token_request(server: RunningServer, method: str, path: str, token: str, body: str = "") -> tuple[int, bytes]:
    """One request with a bearer token and no client certificate."""
    host, _, port = server.url.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    connection = http.client.HTTPSConnection(host, int(port), timeout=10, context=context)
    connection.request(method, path, body or None, {"Authorization": f"Bearer {token}"} if token else {})
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


def shown_certificate(server: RunningServer, name: str) -> bytes:
    """The certificate that the server shows to whoever asks for that name, in DER."""
    host, _, port = server.url.removeprefix("https://").partition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""
