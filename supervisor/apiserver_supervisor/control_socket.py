"""The master's end of the control socket: questions of many clients at once, none of whom the master waits for.

Who connects has proven nothing but that the run folder is open to it. So a question has a length, a deadline as a whole,
and a form; whatever does not keep to these is answered with an error or dropped.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from apiserver_supervisor.control import ControlError

LONGEST = 1 << 16
WITHIN = 2.0  # seconds for a whole question, and for its whole answer
CONNECTIONS = 64  # open at once; a newer one takes the place of the oldest


class Command(NamedTuple):
    """What a command does, and the type of each of its arguments, all of which must be given."""

    run: Callable[..., Any]
    arguments: Mapping[str, type] = {}


class ControlSocket:
    """Answers questions as the selector says that connections are ready. Nothing here blocks or raises."""

    def __init__(
        self, listener: socket.socket, commands: Mapping[str, Command], selector: selectors.BaseSelector
    ) -> None:
        self._listener = listener
        self._commands = commands
        self._selector = selector
        self._open: list[_Connection] = []
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ, self._accept)

    def expire(self, now: float) -> None:
        """Drop connections whose time is over."""
        for connection in [one for one in self._open if one.deadline < now]:
            self._close(connection)

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        accepted.setblocking(False)
        connection = _Connection(accepted)
        self._open.append(connection)
        self._selector.register(accepted, selectors.EVENT_READ, lambda: self._read(connection))
        if len(self._open) > CONNECTIONS:
            self._close(self._open[0])

    def _read(self, connection: _Connection) -> None:
        try:
            received = connection.socket.recv(LONGEST)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        connection.received += received
        question, newline, _ = connection.received.partition(b"\n")
        if newline:
            connection.answer = json.dumps(answer(bytes(question), self._commands)).encode() + b"\n"
            connection.deadline = time.monotonic() + WITHIN
            self._selector.modify(connection.socket, selectors.EVENT_WRITE, lambda: self._write(connection))
            self._write(connection)
        elif not received or len(connection.received) > LONGEST:
            self._close(connection)

    def _write(self, connection: _Connection) -> None:
        try:
            sent = connection.socket.send(connection.answer)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        connection.answer = connection.answer[sent:]
        if not connection.answer:
            self._close(connection)

    def _close(self, connection: _Connection) -> None:
        if connection in self._open:
            self._open.remove(connection)
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(connection.socket)
            connection.socket.close()


class _Connection:
    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.received = bytearray()
        self.answer = b""
        self.deadline = time.monotonic() + WITHIN


def answer(question: bytes, commands: Mapping[str, Command]) -> dict[str, Any]:
    """What is said to one question: a result, or an error that tells what is wrong with it."""
    try:
        asked = json.loads(question)
    except (ValueError, RecursionError):
        return {"error": "a question is one line of JSON"}
    if not isinstance(asked, dict):
        return {"error": "a question is a JSON object"}
    name = asked.pop("command", None)
    command = commands.get(name) if isinstance(name, str) else None
    if command is None:
        return {"error": f"commands: {', '.join(commands)}"}
    if fault := _fault(asked, command.arguments):
        return {"error": fault}
    try:
        return {"result": command.run(**asked)}
    except ControlError as error:
        return {"error": str(error)}


def _fault(given: dict[str, Any], wanted: Mapping[str, type]) -> str:
    """What is wrong with the arguments, "" if nothing is."""
    if given.keys() != wanted.keys():
        return f"arguments: {', '.join(wanted) or 'none'}"
    for name, type_ in wanted.items():
        if given[name].__class__ is not type_:
            return f"{name} must be of type {type_.__name__}"
    return ""
