"""One stream: the Client and the transport of an Answer.

An Answer writes HTTP/1.1: a head, then a body with its length or in chunks, which is also what comes from the workers behind.
The stream takes this apart (`write`): the head becomes a header block, the content of the body DATA frames. Everything that
an answer may be is thus one case here. A stream that its Answer aborts is reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from apiserver_workers.server.filters.long_running import is_long_running
from apiserver_workers.server.http.answer import Answer
from apiserver_workers.server.http.audit_id import HEADER as AUDIT_HEADER
from apiserver_workers.server.http.audit_id import LIMIT as AUDIT_LIMIT
from apiserver_workers.server.http.audit_id import new_audit_id
from apiserver_workers.server.http.http1 import FixedReader, ProtocolError, RequestHead
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.patience import Patience
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.http.upload import BodyReader
from apiserver_workers.server.http.wire import BODILESS
from apiserver_workers.server.http2.answer_heads import answer_head
from apiserver_workers.server.http2.chunks import Chunks
from apiserver_workers.server.http2.errors import CANCEL, INTERNAL_ERROR, PROTOCOL_ERROR, StreamFault
from apiserver_workers.server.http2.receiving import BODY_WINDOW
from apiserver_workers.server.http2.uploads import StreamUpload

if TYPE_CHECKING:
    from apiserver_workers.server.http2.connection import Http2Connection

HIGH_WATER = 1 << 16  # bytes that wait for the client before whoever writes is held back
LOW_WATER = 1 << 14


class Stream:
    """`window` is how much the client takes; `waiting` what it has not taken yet."""

    half_closed = False  # for the Answer: a client that has sent its request whole waits for the answer
    __slots__ = (
        *(
            "_answered",
            "_connection",
            "_declared",
            "_head",
            "_patience",
            "_reader",
            "_unread",
            "answer",
            "closed",
            "early",
            "ends",
        ),
        *("ended", "head", "id", "owed", "paused", "queued", "receivable", "received", "remote_closed", "sent"),
        *("uncredited", "unsent", "upload", "waiting", "window"),
    )

    def __init__(
        self, connection: Http2Connection, number: int, head: RequestHead | None, declared: int | None, *, window: int
    ) -> None:
        """`head` is None for what is refused. `declared` is the length that the body is to have, if that is known."""
        self.id = number
        self.head = head
        self.answer: Answer | None = None
        self.closed = False  # nothing is sent any more
        # receiving
        self.remote_closed = False  # the request is whole
        self.upload: StreamUpload | None = None
        self.early: list[bytes] = []  # of the body, what came before the handler runs
        self.received = 0
        self.receivable = BODY_WINDOW  # what the client may still send
        self.owed = 0  # credit of the stream that it was not given yet
        self.uncredited = 0  # bytes for which the connection was not credited
        # sending
        self.window = window
        self.waiting: deque[bytes | memoryview] = deque()
        self.unsent = 0
        self.sent = 0
        self.queued = False  # among the streams that are ready to send
        self.ends = False  # nothing follows what waits
        self.ended = False  # END_STREAM was sent
        self.paused = False
        self._connection = connection
        self._declared = declared
        self._unread = b""  # of the answer's head
        self._head = False  # whether it was sent
        self._reader: BodyReader | None = None  # None: all that comes is the body
        self._answered = False
        self._patience: Patience | None = None

    # ---- the request

    def receive(self, data: bytes) -> None:
        """The content of a DATA frame. Raises StreamFault if it is more than was declared."""
        if self.head is None:
            self._connection.credit(self, len(data))
            return
        self.received += len(data)
        if self._declared is not None and self.received > self._declared:
            raise StreamFault(PROTOCOL_ERROR, "a body longer than declared")
        if self.upload is not None:
            self.upload.receive(data)
        elif data:
            self.early.append(data)

    def end_request(self) -> None:
        """The client has sent all. Raises StreamFault if that is less than was declared."""
        self.remote_closed = True
        if self._declared is not None and self.received < self._declared:
            raise StreamFault(PROTOCOL_ERROR, "a body shorter than declared")
        if self.upload is not None:
            self.upload.end()

    def taken(self, size: int) -> None:
        """So many bytes of the body were taken by whoever reads it."""
        if self.answer is not None:
            self.learn(self.answer.request)  # only who may do it has bodies read
        self._connection.credit(self, size)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let the handler answer. What has come of the body is its beginning, or all of it."""
        head = self.head
        assert head is not None
        early, self.early = self.early, []
        body = b""
        if self.remote_closed and not (early and "/proxy" in head.path):  # what is passed on may be paced
            body = b"".join(early)
            if body:
                self._connection.credit(self, len(body))
            early = []
        else:
            self.upload = StreamUpload(self, head, self._declared)
        request = make_request(self._connection, head, body, self.upload)
        self.answer = Answer(self, self, request, head)  # type: ignore[arg-type]
        self.answer.start(loop, self._connection.handler)
        if self.upload is not None:
            for data in early:
                self.upload.receive(data)
            if self.remote_closed:
                self.upload.end()

    # ---- for the connection

    def lose(self) -> None:
        """The client has taken the request back, or has gone."""
        self.closed = True
        self.waiting.clear()
        self.unsent = 0
        if self.upload is not None:
            self.upload.lose("the client has gone")
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.lose()

    def expire(self, now: float) -> None:
        """Reset the stream if its answer is overdue, or if the client takes nothing of it."""
        if self.answer is not None and self.answer.overdue(now):
            self._connection.reset(self, INTERNAL_ERROR)
        elif not self.unsent:
            self._patience = None
        elif self._patience is None:
            self._patience = self._connection.patience()
            self._patience.pause(-self.sent)
        else:
            self._patience.gain(-self.sent, now)
            if self._patience.is_over(now):
                self._connection.reset(self, CANCEL)

    @property
    def is_long(self) -> bool:
        """Whether a long-running request is answered."""
        info = self.answer.request.info if self.answer is not None else None
        return info is not None and is_long_running(info)

    @property
    def streams(self) -> RequestInfo | None:
        """What is asked for, if the answer is a stream."""
        answer = self.answer
        if answer is None or not (answer.streaming or answer.pipe is not None):
            return None
        return answer.request.info

    def relieve(self) -> None:
        """The client has taken so much that the answer may go on."""
        self.paused = False
        if self.answer is not None:
            self.answer.resume()

    def all_sent(self) -> None:
        """END_STREAM is with the transport."""
        self.ended = True
        if self._answered:
            self._complete()

    def refuse(self, answer: bytes) -> None:
        """Answer what is no request."""
        self._answered = True
        self.write(answer)

    # ---- a Client

    @property
    def stopping(self) -> bool:
        """Whether the connection closes once its streams have ended."""
        return self._connection.stopping

    def closes_after(self, head: RequestHead) -> bool:
        return False

    def learn(self, request: Request) -> None:
        self._connection.learn(request)

    def answered(self, *, close: bool) -> None:
        if self.closed:
            return
        self._answered = True
        if self.ended:
            self._complete()
        elif not self.ends and self._head and self._reader is None:
            self._connection.output.data(self, b"", end=True)
        elif not self.ends:
            self.abort()  # less than its head says

    def _complete(self) -> None:
        self.closed = True
        answer, self.answer = self.answer, None
        if answer is not None:
            answer.request.complete(whole=True)
        if self.upload is not None and not self.remote_closed:
            self.upload.lose("the request is over")
        self._connection.finished(self)

    # ---- a transport

    def write(self, data: bytes) -> None:
        """Bytes of an HTTP/1.1 answer."""
        if self.closed or self.ends:
            return
        try:
            if self._head:
                self._send_body(data)
            else:
                self._read_head(data)
        except (ProtocolError, ValueError):
            self.abort()  # a backend's nonsense

    def writelines(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self.closed:
            self._connection.reset(self, INTERNAL_ERROR)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._connection.transport.get_extra_info(name, default)

    # ---- the answer taken apart

    def _read_head(self, data: bytes) -> None:
        data = self._unread + data if self._unread else data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._unread = data
            return
        self._unread = b""
        head = answer_head(data[:end])
        rest = data[end + 4 :]
        output = self._connection.output
        if self.answer is not None:
            self._connection.judge(self.answer.request, head.status)
        if head.closes and self.head is not None:  # a refusal says so for HTTP/1.1
            self._connection.go_away()
        if head.status < 200:
            output.headers(self, head.block, end=False)
            if rest:
                self._read_head(rest)
            else:
                output.flush()
            return
        self._head = True
        head_only = self.head is not None and self.head.method == "HEAD"
        if head_only or head.status in BODILESS or head.length == 0:
            self.ends = True
            output.headers(self, head.block, end=True)
            output.flush_soon()
            self.all_sent()
            return
        output.headers(self, head.block, end=False)
        if head.length is not None:
            self._reader = FixedReader(head.length)
        elif head.chunked:
            self._reader = Chunks()
        self._send_body(rest)

    def _send_body(self, data: bytes) -> None:
        reader, output = self._reader, self._connection.output
        if reader is None:
            output.data(self, data)
            return
        ended = reader.feed(data) is not None
        pieces = reader.body
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        output.data(self, content, end=ended)


def make_request(connection: Http2Connection, head: RequestHead, body: bytes, upload: StreamUpload | None) -> Request:
    """The request of a stream. Nothing in it tells of HTTP/2, and it cannot be upgraded."""
    headers = head.block.headers.copy()
    return Request(
        method=head.method,
        path=head.path,
        raw_query=head.raw_query,
        headers=headers,
        body=body,
        repeated=head.block.repeated,
        client=connection.client,
        peer_certificates=connection.certificates,
        audit_id=headers.get(AUDIT_HEADER, "")[:AUDIT_LIMIT] or new_audit_id(),
        head=head,
        upload=upload,
    )
