"""A small kubelet: the HTTPS server that logs, exec, attach and port-forward end at, with made-up containers.

A container's log counts lines; `echo`, `cat`, `much BYTES`, `size`, `exit N` and `tar` are its commands; a forwarded port says what it got
in capitals. What a client sees is thus known, whatever stood between.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import ssl
import struct
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.subresources.spdy import Session
from tests.subresources.spdy import Stream as SpdyStream

WEBSOCKET_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CHANNELS = {"stdin": 0, "stdout": 1, "stderr": 2, "error": 3, "resize": 4}
PARAMETERS = {"input": "stdin", "output": "stdout", "error": "stderr"}
CLOSE = 255
COPIED: dict[str, bytes] = {}  # what was copied into containers, by path
SUCCESS = {"metadata": {}, "status": "Success"}


class FakeKubelet:
    """Serves while it is entered. `requests` are the paths with query that it was asked for."""

    def __init__(
        self, certificate: Path, key: Path, *, client_ca: Path | None = None, address: str = "127.0.0.1"
    ) -> None:
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.clients: list[str] = []
        self.pause = 0.1  # seconds between the lines of a log that is followed
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        self._server = ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        self._server.kubelet = self  # type: ignore[attr-defined]
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.address, self.port = self._server.server_address[:2]

    def __enter__(self) -> FakeKubelet:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """A test's output is its own."""

    def _note(self) -> None:
        kubelet: FakeKubelet = self.server.kubelet  # type: ignore[attr-defined]
        kubelet.requests.append(self.path)
        kubelet.headers.append({name.lower(): value for name, value in self.headers.items()})
        subject = dict(part[0] for part in (self.connection.getpeercert() or {}).get("subject", ()))
        kubelet.clients.append(subject.get("commonName", ""))

    def do_GET(self) -> None:
        self._note()
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        action = parts.path.split("/")[1]
        if action in ("exec", "attach"):
            self._command(action, query)
        elif action == "portForward":
            self._forward()
        elif action == "containerLogs":
            self._log(parts.path.split("/")[-1], query)
        elif action == "redirect":
            self._answer(302, b"", Location="/elsewhere/")
        else:
            self._answer(200, self._told())

    def _told(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        return json.dumps({"method": self.command, "path": self.path, "body": body}).encode()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # ---- logs

    def _log(self, container: str, query: dict[str, list[str]]) -> None:
        if "previous" in query:
            self._answer(400, f'previous terminated container "{container}" not found'.encode())
            return
        lines = [f"{container} line {number}\n".encode() for number in range(5)]
        if "tailLines" in query:
            lines = lines[-int(query["tailLines"][0]) :]
        if "follow" not in query:
            self._answer(200, b"".join(lines))
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
            time.sleep(self.server.kubelet.pause)  # type: ignore[attr-defined]
        self.wfile.write(b"0\r\n\r\n")

    # ---- exec and attach

    def _command(self, action: str, query: dict[str, list[str]]) -> None:
        wanted = [name for parameter, name in PARAMETERS.items() if parameter in query]
        self.close_connection = True
        if query.get("command") == ["refuse"]:
            self._answer(500, b"container is not running")
        elif self.headers.get("Upgrade", "").lower() == "websocket":
            protocols = [one.strip() for one in self.headers.get("Sec-WebSocket-Protocol", "").split(",")]
            chosen = next(one for one in ("v5.channel.k8s.io", "v4.channel.k8s.io") if one in protocols)
            self._switch("websocket", **{"Sec-WebSocket-Protocol": chosen})
            run(WebSocketStreams(self), action, query.get("command", []))
        else:
            self._switch("SPDY/3.1", **{"X-Stream-Protocol-Version": "v4.channel.k8s.io"})
            run(SpdyStreams(self, ["error", *wanted]), action, query.get("command", []))

    def _switch(self, protocol: str, **headers: str) -> None:
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", protocol)
        if protocol == "websocket":
            accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + WEBSOCKET_MAGIC).encode()).digest()
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    # ---- port-forward

    def _forward(self) -> None:
        self.close_connection = True
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._switch("websocket", **{"Sec-WebSocket-Protocol": "SPDY/3.1+portforward.k8s.io"})
            inside = WebSocketStreams(self)
            session = Session(inside.read, inside.send)
        else:
            self._switch("SPDY/3.1", **{"X-Stream-Protocol-Version": "portforward.k8s.io"})
            session = Session(self.rfile.read, self.wfile.write)
        for stream in session.frames():
            if stream.headers.get("streamtype") != "data":
                continue
            data = b"".join(stream.data)
            stream.data.clear()
            if data:
                session.send(stream, f"port {stream.headers['port']}: ".encode() + data.upper())
            if stream.ended:
                session.send(stream, b"", end=True)


class WebSocketStreams:
    """The channels of v5.channel.k8s.io."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Bytes of the messages, of which only these count; fewer when the client has gone."""
        while len(self._rest) < size and (message := self._receive()) is not None:
            self._rest += message
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def send(self, data: bytes) -> None:
        self._send(2, data)

    def stdin(self) -> Iterator[bytes]:
        while (message := self._receive()) is not None:
            if message[:1] == bytes([CHANNELS["stdin"]]):
                yield message[1:]
            elif message == bytes([CLOSE, CHANNELS["stdin"]]):
                return

    def resized(self) -> bytes:
        """The first size that the client says its terminal has."""
        while (message := self._receive()) is not None and message[:1] != bytes([CHANNELS["resize"]]):
            pass
        return (message or b"")[1:]

    def _receive(self) -> bytes | None:
        while len(head := self._handler.rfile.read(2)) == 2:
            length = head[1] & 0x7F
            if length >= 126:
                length = int.from_bytes(self._handler.rfile.read(2 if length == 126 else 8), "big")
            mask = self._handler.rfile.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self._handler.rfile.read(length)))
            if head[0] & 0x0F == 2:
                return data
            if head[0] & 0x0F == 8:
                return None
        return None

    def write(self, stream: str, data: bytes) -> None:
        self._send(2, bytes([CHANNELS[stream]]) + data)

    def finish(self, status: Any) -> None:
        self.write("error", json.dumps(status).encode())
        self._send(8, struct.pack(">H", 1000))

    def _send(self, opcode: int, payload: bytes) -> None:
        size = len(payload)
        head = bytes([0x80 | opcode, size]) if size < 126 else struct.pack(">BBH", 0x80 | opcode, 126, size)
        self._handler.wfile.write(head + payload)


class SpdyStreams:
    """The streams of v4.channel.k8s.io."""

    def __init__(self, handler: Handler, wanted: list[str]) -> None:
        self._session = Session(handler.rfile.read, handler.wfile.write)
        self._frames = self._session.frames()
        self._streams: dict[str, SpdyStream] = {}
        while len(self._streams) < len(wanted):
            stream = next(self._frames)
            self._streams[stream.headers["streamtype"]] = stream

    def stdin(self) -> Iterator[bytes]:
        stream = self._streams["stdin"]
        while True:
            while stream.data:
                yield stream.data.pop(0)
            if stream.ended or next(self._frames, None) is None:
                return

    def resized(self) -> bytes:
        """The first size that the client says its terminal has."""
        stream = next(stream for stream in self._frames if stream.headers["streamtype"] == "resize" and stream.data)
        return stream.data.pop(0)

    def write(self, stream: str, data: bytes) -> None:
        self._session.send(self._streams[stream], data)

    def finish(self, status: Any) -> None:
        self.write("error", json.dumps(status).encode())
        for stream in self._streams.values():
            self._session.send(stream, b"", end=True)
        for _ in self._frames:  # until the client has gone
            pass


def run(streams: WebSocketStreams | SpdyStreams, action: str, command: list[str]) -> None:
    """The command, or the container's own one for attach."""
    status: dict[str, Any] = SUCCESS
    if command[:1] == ["tar"]:
        streams.finish(tar(streams, command[1:]))
        return
    if action == "attach" or command[0] == "cat":
        for data in streams.stdin():
            streams.write("stdout", data)
    elif command[0] == "size":
        streams.write("stdout", streams.resized())
    elif command[0] == "much":
        for _ in range(0, int(command[1]), 50_000):
            streams.write("stdout", b"m" * 50_000)
    elif command[0] == "echo":
        streams.write("stdout", " ".join(command[1:]).encode() + b"\n")
    else:
        streams.write("stderr", b"something went wrong\n")
        causes = [{"reason": "ExitCode", "message": command[1]}]
        message = f"command terminated with non-zero exit code: exit status {command[1]}"
        status = {"metadata": {}, "status": "Failure", "message": message, "reason": "NonZeroExitCode"}
        status["details"] = {"causes": causes}
    streams.finish(status)


def tar(streams: WebSocketStreams | SpdyStreams, arguments: list[str]) -> dict[str, Any]:
    """What `kubectl cp` runs: `tar cf - PATH` of a file that says its path, `tar xmf - -C FOLDER` that notes what came."""
    if arguments[0] == "cf":
        written = io.BytesIO()
        with tarfile.open(fileobj=written, mode="w") as archive:
            data = f"this is {arguments[-1]}".encode()
            member = tarfile.TarInfo(arguments[-1].lstrip("/"))
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        streams.write("stdout", written.getvalue())
        return SUCCESS
    with tarfile.open(fileobj=io.BytesIO(b"".join(streams.stdin()))) as archive:
        for member in archive.getmembers():
            content = archive.extractfile(member)
            if content is not None:
                COPIED[f"{arguments[-1]}/{member.name}"] = content.read()
    return SUCCESS
