"""Bodies in chunks without their chunks.

The same bytes often go to many clients, one after the other: those of a watch that they share. So the content of the last
whole chunks is kept.
"""

from __future__ import annotations

from apiserver_workers.server.http.http1 import ChunkedReader
from apiserver_workers.server.http.upload import ENDLESS

_last: tuple[bytes, bytes] = (b"", b"")  # whole chunks and their content


class Chunks:
    """A BodyReader."""

    __slots__ = ("_between", "_reader", "body", "size")

    def __init__(self) -> None:
        self.body: list[bytes] = []
        self.size = 0  # is not counted
        self._reader = ChunkedReader(ENDLESS)
        self._between = True  # two chunks

    def feed(self, data: bytes) -> bytes | None:
        """What follows the body once it has ended, else None. Raises ProtocolError."""
        global _last
        if self._between and data is _last[0]:
            self.body.append(_last[1])
            return None
        whole = self._between
        rest = self._reader.feed(data)
        self.body += self._reader.body
        self._reader.body.clear()
        self._between = rest is None and self._reader.between_chunks
        if whole and self._between and data:
            self.body = [b"".join(self.body)]
            _last = (data, self.body[0])
        return rest
