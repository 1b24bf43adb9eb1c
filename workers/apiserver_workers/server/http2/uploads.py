"""Request bodies that come in DATA frames: the client gets credit for what somebody has taken, so a body that nobody reads
waits at the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver_workers.server.http.upload import Upload

if TYPE_CHECKING:
    from apiserver_workers.server.http.http1 import RequestHead
    from apiserver_workers.server.http2.stream import Stream


class FramedReader:
    """A BodyReader: the frames are decoded already."""

    def __init__(self, length: int | None) -> None:
        self.body: list[bytes] = []
        self.size = length or 0  # what is declared, or else what has come
        self.ended = False

    def feed(self, data: bytes) -> bytes | None:
        if data:
            self.body.append(data)
        return b"" if self.ended else None


class StreamUpload(Upload):
    """The body of one stream."""

    def __init__(self, stream: Stream, head: RequestHead, length: int | None) -> None:
        self._framed = FramedReader(length)
        super().__init__(
            stream,  # type: ignore[arg-type]
            self._framed,
            length,
            expects_continue=head.block.expects_continue,
        )
        self._stream = stream

    async def read(self) -> bytes:
        data = await super().read()
        if data:
            self._stream.taken(len(data))
        return data

    def receive(self, data: bytes) -> None:
        """The content of a DATA frame."""
        if self.length is None:
            self._framed.size += len(data)
        self.feed(data)

    def end(self) -> None:
        """All of it has come."""
        self._framed.ended = True
        self.feed(b"")
