"""Request bodies that are passed on while they come: what goes to a pod, a service or a node has no limit.

The client's connection feeds an Upload and is held back while nobody takes its pieces; a Sender is a connection to the
next hop that sends one and takes no more of it than the peer reads.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from apiserver_workers.server.http.http1 import ChunkedReader, FixedReader, RequestHead

ENDLESS = 1 << 62
MAX_WAITING = 1 << 18  # bytes that nobody takes before the client is held back
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyReader(Protocol):
    """FixedReader or ChunkedReader: decodes a body piece by piece into `body`."""

    body: list[bytes]
    size: int  # of the whole body, as far as it is known

    def feed(self, data: bytes) -> bytes | None:
        """What follows the body once it has ended, else None."""
        ...


class UploadLost(Exception):
    """The client went away in the middle of its body, or what it sent is no body."""


class UploadTooLarge(Exception):
    """The body is longer than its reader wants."""


class Upload:
    """A body on its way. `length` is None where only its end tells; one reader takes the pieces."""

    def __init__(
        self, transport: asyncio.Transport, reader: BodyReader, length: int | None, *, expects_continue: bool = False
    ) -> None:
        self.length = length
        self.rate = 0  # the most bytes a second that are taken; 0 is no limit
        self._transport = transport
        self._reader = reader
        self._expects_continue = expects_continue
        self._waiting = bytearray()
        self._held = False
        self._complete = False
        self._fault = ""
        self._wake: asyncio.Future[None] | None = None

    async def read(self) -> bytes:
        """The next piece, b"" at the end. Raises UploadLost."""
        while not self._waiting:
            if self._complete:
                return b""
            if self._fault:
                raise UploadLost(self._fault)
            self._invite()
            self._wake = asyncio.get_running_loop().create_future()
            await self._wake
        data = bytes(self._waiting)
        self._waiting.clear()
        self.release()
        if self.rate:
            await asyncio.sleep(len(data) / self.rate)
        return data

    async def whole(self, limit: int) -> bytes:
        """All of it. Raises UploadLost and UploadTooLarge."""
        body = bytearray()
        while self._reader.size <= limit:
            data = await self.read()
            if not data:
                return bytes(body)
            body += data
        raise UploadTooLarge

    @property
    def framing(self) -> bytes:
        """The header line, with a CRLF before it, that tells the next hop how the body ends."""
        return b"\r\nTransfer-Encoding: chunked" if self.length is None else b"\r\nContent-Length: %d" % self.length

    # ---- for the client's connection

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes of the body; what follows it once it has ended. Raises ProtocolError."""
        rest = self._reader.feed(data)
        self._expects_continue = self._expects_continue and not data
        self._waiting += b"".join(self._reader.body)
        self._reader.body.clear()
        self._complete = rest is not None
        if len(self._waiting) > MAX_WAITING and not self._complete and not self._held:
            self._held = True
            self._transport.pause_reading()
        self._notify()
        return rest

    def lose(self, why: str) -> None:
        """There will be no more of it."""
        self._fault = why
        self._notify()

    def release(self) -> None:
        """Hold the client back no longer."""
        if self._held:
            self._held = False
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def _invite(self) -> None:
        if self._expects_continue:
            self._expects_continue = False
            self._transport.write(CONTINUE)

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


def upload_of(head: RequestHead, transport: asyncio.Transport) -> Upload:
    """The body that follows this head on a client's connection."""
    chunked = head.block.chunked
    return Upload(
        transport,
        ChunkedReader(ENDLESS) if chunked else FixedReader(head.length),
        None if chunked else head.length,
        expects_continue=head.block.expects_continue and not head.http10,
    )


class Sender(asyncio.Protocol):
    """A connection to a next hop that can send an Upload behind a message's head."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._sending: asyncio.Task[None] | None = None
        self._room: asyncio.Event | None = None  # None until it was ever full

    def send(self, upload: Upload) -> None:
        """Send the body in the background; if it breaks off so does the connection."""
        self._sending = asyncio.get_running_loop().create_task(self._send(upload))

    def end_sending(self) -> bool:
        """Send no more; false if that cut a body short, so that nothing else can follow on this connection."""
        sending, self._sending = self._sending, None
        if sending is None or sending.done():
            return True
        sending.cancel()
        return False

    async def _send(self, upload: Upload) -> None:
        chunked = upload.length is None
        try:
            while data := await upload.read():
                if self._transport.is_closing():
                    return
                self._transport.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                if self._room is not None:
                    await self._room.wait()
        except UploadLost:
            self._transport.abort()
            return
        if chunked and not self._transport.is_closing():
            self._transport.write(b"0\r\n\r\n")

    def pause_writing(self) -> None:
        if self._room is None:
            self._room = asyncio.Event()
        self._room.clear()

    def resume_writing(self) -> None:
        if self._room is not None:
            self._room.set()
