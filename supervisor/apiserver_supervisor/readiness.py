"""Saying "ready" to whoever waits: asking our own /readyz, the --ready-fd, systemd."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

_VARIABLES = (
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
    "LISTEN_FDNAMES",
)


def serves(address: tuple[str, int], token: str) -> bool:
    """Whether the front answers /readyz with 200."""
    return _readyz(address, token).startswith("HTTP/1.1 200")


def failing(address: tuple[str, int], token: str) -> list[str]:
    """The checks of /readyz that fail, such as `poststarthook/rbac/bootstrap-roles`; none if the front does not answer."""
    lines = _readyz(address, token).splitlines()
    return [line.removeprefix("[-]").split()[0] for line in lines if line.startswith("[-]")]


def _readyz(address: tuple[str, int], token: str, timeout: float = 1.0) -> str:
    """The front's whole answer, "" if there is none.

    The certificate is not verified: the connection goes to our own socket, and it may be of a name that is not ours.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    head = f"GET /readyz HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        with (
            socket.create_connection(address, timeout) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(head.encode())
            while chunk := connection.recv(65536):
                answer += chunk
    except OSError:
        return ""
    return answer.decode(errors="replace")


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
    """systemd's notification socket and the --ready-fd. Children must not notify in our name, so it takes the variables."""

    def __init__(self, ready_fd: int, inherited: dict[str, str] | None = None) -> None:
        """`inherited`: the `state` of this process' program before, which has told whoever waited for the first start."""
        self._ready_fd = -1 if inherited is not None else ready_fd
        taken = {name: os.environ.pop(name, "") for name in _VARIABLES}
        self._variables = taken if inherited is None else inherited
        watched = self._variables["WATCHDOG_PID"] in ("", str(os.getpid()))
        microseconds = self._variables["WATCHDOG_USEC"] if watched else ""
        # half of the time that systemd allows, as sd_watchdog_enabled(3) advises
        self.interval = int(microseconds) / 2e6 if microseconds.isdecimal() and int(microseconds) else float("inf")
        self._beat_due = 0.0

    def state(self) -> dict[str, str]:
        """What the next program of this process has to know."""
        return self._variables

    def ready(self, status: str) -> None:
        """Say that a client would succeed at everything; the --ready-fd is told once and closed."""
        self._tell_systemd(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")
        if self._ready_fd >= 0:
            try:
                os.write(self._ready_fd, b"ready\n")
                os.close(self._ready_fd)
            except OSError:
                pass  # whoever waited has gone
            self._ready_fd = -1

    def say(self, status: str) -> None:
        """Tell people in one line how the server is."""
        self._tell_systemd(f"STATUS={status}")

    def beat(self, now: float) -> None:
        """Say that the master's loop turns, when that is due."""
        if now >= self._beat_due and self.interval != float("inf"):
            self._beat_due = now + self.interval
            self._tell_systemd("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that a reload goes on until the next ready."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._tell_systemd(f"RELOADING=1\nMONOTONIC_USEC={microseconds}\nSTATUS=reloading")

    def stopping(self) -> None:
        """Say that the stop has begun."""
        self._tell_systemd("STOPPING=1\nSTATUS=stopping")

    def _tell_systemd(self, state: str) -> None:
        socket_path = self._variables["NOTIFY_SOCKET"]
        if not socket_path:
            return
        address = "\0" + socket_path[1:] if socket_path.startswith("@") else socket_path
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notification:
            try:
                notification.connect(address)
                notification.sendall(state.encode())
            except OSError:
                pass
