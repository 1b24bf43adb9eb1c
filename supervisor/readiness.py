"""Saying "ready" to whoever waits: asking our own /readyz, the --ready-fd, systemd."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit


def serves(address: tuple[str, int], token: str, timeout: float = 1.0) -> bool:
    """Whether the front answers /readyz with 200.

    The certificate is not verified: the connection goes to our own socket, and it may be of a name that is not ours.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    head = f"GET /readyz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    try:
        with (
            socket.create_connection(address, timeout) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(head.encode())
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def reachable(urls: Sequence[str], timeout: float = 0.5) -> bool:
    """Whether any of these servers accepts a connection."""
    for url in urls:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        try:
            if parts.scheme.startswith("unix"):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.settimeout(timeout)
                    probe.connect(parts.netloc + parts.path)
            else:
                socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 2379), timeout).close()
        except OSError:
            continue
        return True
    return False


class Notifier:
    """systemd's notification socket and the --ready-fd. Children must not notify in our name, so it takes the variable."""

    def __init__(self, ready_fd: int) -> None:
        self._ready_fd = ready_fd
        self._systemd = os.environ.pop("NOTIFY_SOCKET", "")
        for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "WATCHDOG_PID"):
            os.environ.pop(name, None)

    def ready(self) -> None:
        """Say that a client would succeed at everything; the --ready-fd is told once and closed."""
        self._tell_systemd(f"READY=1\nMAINPID={os.getpid()}")
        if self._ready_fd >= 0:
            try:
                os.write(self._ready_fd, b"ready\n")
                os.close(self._ready_fd)
            except OSError:
                pass  # whoever waited has gone
            self._ready_fd = -1

    def reloading(self) -> None:
        """Say that a reload goes on until the next ready."""
        self._tell_systemd("RELOADING=1")

    def stopping(self) -> None:
        """Say that the stop has begun."""
        self._tell_systemd("STOPPING=1")

    def _tell_systemd(self, state: str) -> None:
        if not self._systemd:
            return
        address = "\0" + self._systemd[1:] if self._systemd.startswith("@") else self._systemd
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
            try:
                notification.connect(address)
                notification.sendall(state.encode())
            except OSError:
                pass
