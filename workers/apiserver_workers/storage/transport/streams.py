"""The two forms of a gRPC call on a connection: one answer (UnaryCall), or many (MessageStream).

A stream is fed by its connection (`receive`, `finish`, `fail`) and owes it flow-control credit (`credit`) for what the
reader has taken. A MessageStream whose reader is slow stops giving credit, so etcd stops sending to it alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import unquote

from apiserver_workers.storage.transport.frames import message_head

if TYPE_CHECKING:
    from apiserver_workers.storage.transport.connection import Connection

OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE = 0, 1, 2, 4, 8, 14

MESSAGE_HEAD = message_head.size


class RpcError(Exception):
    """A call failed with a gRPC status. `unsent`: the server has certainly not acted on it."""

    def __init__(self, code: int, message: str, *, unsent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.unsent = unsent


def status_error(headers: dict[str, str]) -> RpcError | None:
    """The error that an answer's last headers stand for, None for OK."""
    status = headers.get("grpc-status")
    if status == "0":
        return None
    if status is None:
        return RpcError(UNAVAILABLE, f"answer without a gRPC status (HTTP {headers.get(':status', '-')})")
    code = int(status) if status.isdigit() else UNKNOWN
    return RpcError(code, unquote(headers.get("grpc-message", "")))


class Stream:
    """What both forms share: identity, deadline, and the window that the server grants us for sending."""

    __slots__ = ("connection", "deadline", "id", "unsent", "window")

    def __init__(self, connection: Connection, stream_id: int, window: int, deadline: float) -> None:
        self.connection = connection
        self.id = stream_id
        self.window = window
        self.deadline = deadline
        self.unsent = b""  # the rest of a message that waits for the server's window

    def receive(self, chunk: bytes) -> None:
        """Take a DATA frame's content."""
        raise NotImplementedError

    def finish(self, headers: dict[str, str]) -> None:
        """The server ended the call with these trailers."""
        raise NotImplementedError

    def fail(self, error: RpcError) -> None:
        """The call ended without trailers."""
        raise NotImplementedError


class UnaryCall(Stream):
    """A call with one answer: the future's result is the answer's message."""

    __slots__ = ("chunks", "future", "owed")

    def __init__(self, connection: Connection, stream_id: int, window: int, deadline: float) -> None:
        super().__init__(connection, stream_id, window, deadline)
        self.chunks: list[bytes] = []
        self.owed = 0
        self.future: asyncio.Future[bytes] = connection.loop.create_future()

    def receive(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.owed = self.connection.credit(self, self.owed + len(chunk))

    def finish(self, headers: dict[str, str]) -> None:
        error = status_error(headers)
        if error is not None:
            self.fail(error)
        elif not self.future.done():
            chunks = self.chunks
            answer = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self.future.set_result(answer[MESSAGE_HEAD:])

    def fail(self, error: RpcError) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class MessageStream(Stream):
    """A call with many answers, read by `async for`; ends with StopAsyncIteration or RpcError."""

    __slots__ = ("_buffer", "_end", "_messages", "_owed", "_waiter")

    def __init__(self, connection: Connection, stream_id: int, window: int, deadline: float) -> None:
        super().__init__(connection, stream_id, window, deadline)
        self._messages: deque[bytes] = deque()
        self._buffer = bytearray()
        self._owed = 0
        self._waiter: asyncio.Future[None] | None = None
        self._end: Exception | None = None

    def send(self, message: bytes) -> None:
        """Send one more message."""
        self.connection.send(self, message)

    def close(self) -> None:
        """End the call now."""
        self.connection.cancel(self)

    def __aiter__(self) -> MessageStream:
        return self

    async def __anext__(self) -> bytes:
        while not self._messages:
            if self._end is not None:
                raise self._end
            self._waiter = self.connection.loop.create_future()
            await self._waiter
        message = self._messages.popleft()
        if not self._messages:
            self._owed = self.connection.credit(self, self._owed)
        return message

    def receive(self, chunk: bytes) -> None:
        self._owed += len(chunk)
        whole = len(chunk) >= MESSAGE_HEAD and not self._buffer
        if whole and len(chunk) == MESSAGE_HEAD + message_head.unpack_from(chunk)[1]:
            self._messages.append(chunk[MESSAGE_HEAD:])  # the common case: one message, one frame
        else:
            self._buffer += chunk
            self._split()
        if self._messages:
            self._wake()
        else:  # a message larger than the window must still be able to arrive
            self._owed = self.connection.credit(self, self._owed)

    def _split(self) -> None:
        buffer, start = self._buffer, 0
        while len(buffer) - start >= MESSAGE_HEAD:
            end = start + MESSAGE_HEAD + message_head.unpack_from(buffer, start)[1]
            if end > len(buffer):
                break
            self._messages.append(bytes(buffer[start + MESSAGE_HEAD : end]))
            start = end
        del buffer[:start]

    def finish(self, headers: dict[str, str]) -> None:
        self._end = status_error(headers) or StopAsyncIteration()
        self._wake()

    def fail(self, error: RpcError) -> None:
        self._end = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
