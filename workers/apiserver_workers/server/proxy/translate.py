"""WebSockets of clients onto SPDY of kubelets that know no WebSockets (k8s.io/apiserver/pkg/util/proxy).

exec and attach by v5.channel.k8s.io become the streams of v4.channel.k8s.io; a port-forward's WebSocket is only a wrapper
around SPDY, which is taken off. Kubelets that speak for themselves say so in their node's declared features.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import ApiError, internal_error
from apiserver_workers.apimachinery.metrics import REGISTRY
from apiserver_workers.server.delegation.tunnel import Translation, part, tunnel
from apiserver_workers.server.http.http1 import end_to_end_lines
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.proxy import spdy, websocket
from apiserver_workers.server.proxy.connection import Answer, BackendConnection
from apiserver_workers.server.proxy.forward import (
    NOT_SENT,
    NOT_SENT_PREFIXES,
    dialing_failed,
    fetch,
    forwarded_for,
    relayed,
)
from apiserver_workers.server.proxy.location import Location

STREAM_CLOSE = "v5.channel.k8s.io"
REMOTE_COMMAND = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
TUNNELING = "SPDY/3.1+"
VERSION_HEADER = "x-stream-protocol-version"
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
NAMES = {STDIN: "stdin", STDOUT: "stdout", STDERR: "stderr", ERROR: "error", RESIZE: "resize"}
SUCCESS = {"metadata": {}, "status": "Success"}
MAX_STATUS = 1 << 20
FINISH_WITHIN = 900.0  # for a client that reads slowly, once the command has ended
MAX_REFUSAL = 20 << 10

TRANSLATED = REGISTRY.counter(
    "apiserver_stream_translator_requests_total",
    "Total number of requests that were handled by the StreamTranslatorProxy, which processes streaming RemoteCommand/V5",
    ("code",),
)
TUNNELLED = REGISTRY.counter(
    "apiserver_stream_tunnel_requests_total",
    "Total number of requests that were handled by the StreamTunnelProxy, which processes streaming PortForward/V2",
    ("code",),
)

_WEBSOCKET_HEADERS = frozenset(
    f"sec-websocket-{name}" for name in ("key", "version", "protocol", "extensions", "accept")
)


def tunnelled(request: Request) -> list[str]:
    """The SPDY protocols that the client would speak inside a WebSocket, none if it asks for no such thing."""
    offered = websocket.protocols_of(request) if websocket.is_websocket(request) else []
    return [one.removeprefix(TUNNELING) for one in offered if one.startswith(TUNNELING) and one.endswith(".k8s.io")]


def has_stream_close(request: Request) -> bool:
    """Whether the client opens a WebSocket of the version that can close streams."""
    return websocket.is_websocket(request) and STREAM_CLOSE in websocket.protocols_of(request)


async def port_forward(request: Request, location: Location, *, rate: int) -> Response:
    """The client's SPDY, out of its WebSocket, to the kubelet. Raises ApiError; what the kubelet refuses is passed on."""
    assert request.hijack is not None
    answer, connection = await dial(request, location, tunnelled(request))
    TUNNELLED.inc((str(answer.status),))
    if answer.status != 101:
        if answer.status < 400:
            connection.close()
            raise ApiError(500, "", f"invalid upgrade response: status code {answer.status}")
        return await relayed(answer, answer.headers, answer.body)
    chosen = answer.header(VERSION_HEADER)
    try:
        head = websocket.accept_head(request, TUNNELING + chosen if chosen else "")
    except ApiError:
        connection.close()
        raise
    return tunnel(request, Response(101, wire=head), connection, rate, Unwrapping())


async def remote_command(request: Request, location: Location, channels: set[int], *, rate: int) -> Response:
    """exec or attach, with these channels. Whatever goes wrong behind is told on the client's error channel.

    Raises ApiError 400 for a handshake that is not whole.
    """
    assert request.hijack is not None
    head = websocket.accept_head(request, STREAM_CLOSE)
    lowest = min(channels & {STDOUT, STDERR} or {ERROR})
    head += websocket.frame(websocket.BINARY, bytes((lowest,)))  # says that the connection is there
    try:
        answer, connection = await dial(request, location, REMOTE_COMMAND)
        if answer.status != 101:
            raise await refused(answer)
    except ApiError as error:
        TRANSLATED.inc((str(error.code),))
        return part(request, Response(101, wire=head + ending(error.status)))
    command = Command(channels)
    response = tunnel(request, Response(101, wire=head), connection, rate, command)
    command.begin()
    return response


async def dial(
    request: Request, location: Location, protocols: tuple[str, ...] | list[str]
) -> tuple[Answer, BackendConnection]:
    """The kubelet's answer to a request for SPDY that is otherwise the client's own. Raises ApiError."""
    assert request.head is not None
    without = NOT_SENT | _WEBSOCKET_HEADERS | {VERSION_HEADER}
    lines = [f"{VERSION_HEADER}: {protocol}" for protocol in protocols]
    lines += [*forwarded_for(request), "Connection: Upgrade", f"Upgrade: {spdy.PROTOCOL}", "Content-Length: 0"]
    sent = end_to_end_lines(request.head.block, without=without, prefixes=NOT_SENT_PREFIXES)
    own = "".join(f"\r\n{line}" for line in lines).encode("latin-1", "replace")
    message = b"POST %b HTTP/1.1%b%b\r\n\r\n" % (location.target.encode("latin-1"), sent, own)
    return await fetch(location, message, method="POST", failure=dialing_failed)


async def refused(answer: Answer) -> ApiError:
    """A kubelet's refusal to upgrade."""
    said = (await answer.body.read(MAX_REFUSAL)).decode("utf-8", "replace").strip()
    return internal_error(f"unable to upgrade connection: {said or f'status code {answer.status}'}")


def ending(status: dict[str, Any]) -> bytes:
    """The last frames to a client: the status on its error channel, and goodbye."""
    told = websocket.frame(websocket.BINARY, bytes((ERROR,)) + orjson.dumps(status))
    return told + websocket.frame(websocket.CLOSE, websocket.NORMAL)


def status_of(message: bytes) -> dict[str, Any]:
    """What the client is told of a kubelet's error stream: an exit code is no failure of ours."""
    if not message:
        return SUCCESS
    try:
        status = json.loads(message)
    except ValueError:
        return internal_error(message.decode("utf-8", "replace")).status
    if not isinstance(status, dict) or status.get("status") == "Success":
        return SUCCESS
    if status.get("reason") != "NonZeroExitCode":
        return internal_error(str(status.get("message", ""))).status
    causes = (status.get("details") or {}).get("causes") or []
    code = next((one.get("message") for one in causes if one.get("reason") == "ExitCode"), "")
    text = f"command terminated with non-zero exit code: command terminated with exit code {code}"
    details = {"causes": [{"reason": "ExitCode", "message": code}]}
    return {"metadata": {}, "status": "Failure", "message": text, "reason": "NonZeroExitCode", "details": details}


class Wrapped(Translation):
    """A client's WebSocket: its control frames are answered here."""

    half_closes = False

    def __init__(self) -> None:
        self._frames = websocket.Reader()
        self._closing = False  # we have said goodbye

    def forth(self, data: bytes) -> bytes:
        out = []
        try:
            for opcode, payload, first in self._frames.feed(data):
                if opcode == websocket.BINARY or opcode == websocket.TEXT:
                    out.append(self.message(payload, first))
                elif opcode == websocket.PING:
                    self.client.write(websocket.frame(websocket.PONG, payload))
                elif opcode == websocket.CLOSE:
                    self._close(payload)
        except websocket.WebSocketError:
            self.client.close()
        return b"".join(out)

    def _close(self, payload: bytes) -> None:
        if not self._closing:
            self._closing = True
            self.client.write(websocket.frame(websocket.CLOSE, payload[:2]))
        self.client.close()

    def message(self, piece: bytes, first: bool) -> bytes:
        """A piece of a message as the kubelet gets it."""
        raise NotImplementedError


class Unwrapping(Wrapped):
    """The messages' bytes are the kubelet's SPDY, and the other way round."""

    def message(self, piece: bytes, first: bool) -> bytes:
        return piece

    def back(self, data: bytes) -> bytes:
        return websocket.frame(websocket.BINARY, data)

    def farewell(self) -> bytes:
        return b"" if self._closing else websocket.frame(websocket.CLOSE, websocket.NORMAL)


class Command(Wrapped):
    """Channels of v5.channel.k8s.io on one side, streams of v4.channel.k8s.io on the other.

    Once the command has ended the client closes when it has read everything: closing first would lose what is on its way.
    """

    waits = True

    def __init__(self, channels: set[int]) -> None:
        super().__init__()
        self._session = spdy.Session()
        self._channels = sorted(channels, key=lambda channel: (channel != ERROR, channel))
        self._streams: dict[int, int] = {}  # by channel
        self._names: dict[int, int] = {}  # channels by stream
        self._open: set[int] = set()  # channels that the kubelet still writes
        self._channel = -1  # of the client's present message
        self._error = bytearray()
        self._limit: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Open the streams."""
        for channel in self._channels:
            number, opening = self._session.open({"streamtype": NAMES[channel]})
            self._streams[channel], self._names[number] = number, channel
            self.kubelet.write(opening)
        self._open = {STDOUT, STDERR, ERROR} & self._streams.keys()

    def message(self, piece: bytes, first: bool) -> bytes:
        if first:
            self._channel, piece = (piece[0], piece[1:]) if piece else (-1, b"")
        if self._channel == CLOSE:
            closed = self._streams.get(piece[0], 0) if piece else 0
            return spdy.data(closed, b"", end=True) if closed else b""
        if self._channel not in (STDIN, RESIZE) or self._channel not in self._streams or not piece:
            return b""
        stream, size = self._streams[self._channel], spdy.MAX_PIECE
        return b"".join(spdy.data(stream, piece[start : start + size]) for start in range(0, len(piece), size))

    def back(self, data: bytes) -> bytes:
        out = []
        try:
            for kind, stream, payload, ended in self._session.feed(data):
                if kind == spdy.PING:
                    self.kubelet.write(spdy.control(spdy.PING, payload))
                else:
                    out.append(self._received(self._names.get(stream, -1), payload, ended))
        except spdy.SpdyError as error:
            out.append(self._finish(internal_error(str(error)).status))
        return b"".join(out)

    def _received(self, channel: int, payload: bytes, ended: bool) -> bytes:
        told = b""
        if channel == ERROR:
            self._error += payload[: MAX_STATUS - len(self._error)]
        elif channel in (STDOUT, STDERR) and payload and not self._closing:
            told = websocket.frame(websocket.BINARY, bytes((channel,)) + payload)
        if ended and channel in self._open:
            self._open.discard(channel)
            if not self._open:
                told += self._finish(status_of(bytes(self._error)))
        return told

    def _finish(self, status: dict[str, Any]) -> bytes:
        """The end for the client, which then closes; the kubelet's connection lasts until it does."""
        if self._closing:
            return b""
        self._closing = True
        TRANSLATED.inc((str(status.get("code", 200)),))
        self._limit = asyncio.get_running_loop().call_later(FINISH_WITHIN, self.client.abort)
        return ending(status)

    def farewell(self) -> bytes:
        return self._finish(internal_error("the kubelet's connection broke off").status)

    def hang_up(self) -> bytes:
        if self._limit is not None:
            self._limit.cancel()
        return b""
