"""The sockets by which clients reach the server. The master opens them, so they outlive whoever serves on them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from apiserver_supervisor.options.flag import AUTO
from apiserver_supervisor.options.parsing import Options

BACKLOG = 1024
# also the names under which the workers find the handlers of these sockets
UNPROTECTED = INSECURE, DEBUG = "insecure", "debug"
FRONT = "aggregator"
PORT_FILE = "secure-port"  # in the data folder


class ListenError(Exception):
    """An address cannot be listened on; the message says which and why, `hint` what helps if it is in use."""

    def __init__(self, message: str, *, in_use: bool = False, hint: str = "") -> None:
        super().__init__(message)
        self.in_use = in_use
        self.hint = hint


@dataclass(slots=True)
class Listeners:
    """The secure port, and what is served without TLS and without asking who comes, by its name."""

    secure: socket.socket
    unprotected: dict[str, socket.socket] = field(default_factory=dict)
    _debug_path: str = ""

    def close(self) -> None:
        """Stop listening here; workers that still serve do so on their own copies."""
        for listener in (self.secure, *self.unprotected.values()):
            listener.close()

    def __enter__(self) -> Listeners:
        return self

    def __exit__(self, *_: object) -> None:
        """Close, and take away what must not outlive the server."""
        self.close()
        if self._debug_path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._debug_path)


def open_listeners(options: Options) -> Listeners:
    """Listen on everything that the options name, the insecure port first, as upstream. Raises ListenError."""
    unprotected: dict[str, socket.socket] = {}
    if options.insecure_port:
        unprotected[INSECURE] = _tcp(options.insecure_bind_address, options.insecure_port)
    secure = _secure(options)
    if options.debug_socket_path:
        unprotected[DEBUG] = _unix(options.debug_socket_path)
    return Listeners(secure, unprotected, options.debug_socket_path)


def _secure(options: Options) -> socket.socket:
    address, shared = options.bind_address or "0.0.0.0", options.permit_port_sharing
    if options.secure_port != AUTO:
        hint = "; --secure-port=auto takes a free one"
        return _tcp(address, options.secure_port, share_port=shared, hint=hint)
    try:
        return _tcp(address, _kept_port(options), share_port=shared)
    except ListenError:
        return _tcp(address, 0, share_port=shared)


def _kept_port(options: Options) -> int:
    """The port that the last start with --secure-port=auto took, 0 if there was none."""
    try:
        return int(Path(options.data_dir, PORT_FILE).read_text())
    except (OSError, ValueError):
        return 0


def keep_port(data_dir: str, port: int) -> None:
    """Note the port for the next start with --secure-port=auto, so that kubeconfigs stay valid."""
    Path(data_dir, PORT_FILE).write_text(f"{port}\n")


def inherited_listeners(options: Options, descriptors: Mapping[str, int]) -> Listeners:
    """The sockets that the program before has left, by their names."""
    unprotected = {name: socket.socket(fileno=descriptors[name]) for name in UNPROTECTED if name in descriptors}
    return Listeners(socket.socket(fileno=descriptors[FRONT]), unprotected, options.debug_socket_path)


def _tcp(address: str, port: int | str, *, share_port: bool = False, hint: str = "") -> socket.socket:
    """SO_REUSEADDR is always set, as Go does, so --permit-address-sharing has nothing to add on Linux."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    number = 0 if port == AUTO else int(port)
    try:
        return socket.create_server((address, number), family=family, backlog=BACKLOG, reuse_port=share_port)
    except OSError as error:
        text, in_use = f"failed to listen on {address}:{port}: {error.strerror}", error.errno == errno.EADDRINUSE
        raise ListenError(text, in_use=in_use, hint=hint) from None


def _unix(path: str) -> socket.socket:
    """A socket for our user alone; one that nobody serves any more is replaced."""
    listener = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            raise ListenError(f"failed to listen on --debug-socket-path {path}: Address already in use")
        if Path(path).is_socket():
            os.unlink(path)
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ListenError(f"failed to listen on --debug-socket-path {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    return listener
