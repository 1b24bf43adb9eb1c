"""A web server that runs in a pod: what is proxied to it comes back as it arrived, or streams either way."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WEBSOCKET_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECE = 1 << 16
PAGE = """<!doctype html><html><head><title><a href="/t"></title><!-- <a href="/no"> -->
<link rel=stylesheet href=/style.css><script src="/s.js">var a = '<a href="/no">';</script></head>
<body><A class=x HREF='/a/b/?q=1&amp;r=2#f'>one</A><a href="c">two</a><a href="http://elsewhere/d">three</a>
<img src="http://{authority}/e.png"><form action="/post"></form> 1 < 2</body></html>"""


def own_address() -> str:
    """An address of this host at which pods may be reached, "" if it has none but loopback's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        return str(probe.getsockname()[0])


class QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Clients that go away are what is tested: they are counted."""
        self.broken[0] += 1  # type: ignore[attr-defined]


class Backend:
    """Serves while it is entered, by TLS if it is given a certificate."""

    def __init__(self, address: str, certificate: tuple[Path, Path] | None = None) -> None:
        self._server = QuietServer((address, 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.address, self.port = self._server.server_address[:2]
        self.go_on = self._server.go_on = threading.Event()  # type: ignore[attr-defined]
        self.taken = self._server.taken = [0]  # type: ignore[attr-defined]
        self.broken = self._server.broken = [0]  # type: ignore[attr-defined]

    def __enter__(self) -> Backend:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """A test's output is its own."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        handle = getattr(self, "_" + parts.path.strip("/").split("/")[0], self._echo)
        handle({name: values[0] for name, values in parse_qs(parts.query).items()})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_HEAD = do_GET

    def _answer(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _body(self) -> list[bytes]:
        """The pieces of the request's body."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            pieces = []
            while size := int(self.rfile.readline(), 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            return pieces
        left, pieces = int(self.headers.get("Content-Length") or 0), []
        while left:
            pieces.append(self.rfile.read(min(PIECE, left)))
            if not pieces[-1]:
                raise ConnectionAbortedError("the body broke off")
            left -= len(pieces[-1])
            self.server.taken[0] += len(pieces[-1])  # type: ignore[attr-defined]
        return pieces

    def _echo(self, query: dict[str, str]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        told = {"method": self.command, "path": self.path, "headers": headers, "body": b"".join(self._body()).decode()}
        self._answer(200, json.dumps(told).encode(), Access_Control_Allow_Origin="*", X_Own="yes")

    def _status(self, query: dict[str, str]) -> None:
        self._answer(int(query["code"]), b"told so", "text/plain")

    def _digest(self, query: dict[str, str]) -> None:
        """Takes nothing before it is told to go on."""
        if "wait" in query:
            self.server.go_on.wait(20)  # type: ignore[attr-defined]
        told, size = hashlib.sha256(), 0
        for piece in self._body():
            told.update(piece)
            size += len(piece)
        self._answer(200, json.dumps({"size": size, "sha256": told.hexdigest()}).encode())

    def _refuse(self, query: dict[str, str]) -> None:
        """Answers without reading the body."""
        self.close_connection = True
        self._answer(413, b"too much", "text/plain")

    def _much(self, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Length", query["size"])
        self.end_headers()
        left = int(query["size"])
        while left:
            piece = b"m" * min(PIECE, left)
            self.wfile.write(piece)
            left -= len(piece)
            self.server.taken[0] += len(piece)  # type: ignore[attr-defined]

    def _half(self, query: dict[str, str]) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Length", str(10 * PIECE))
        self.end_headers()
        self.wfile.write(b"h" * 5 * PIECE)

    def _page(self, query: dict[str, str]) -> None:
        body = PAGE.replace("{authority}", self.headers["Host"]).encode()
        if "gzip" in query:
            self._answer(200, gzip.compress(body), "text/html; charset=utf-8", Content_Encoding="gzip")
        else:
            self._answer(200, body, "text/html")

    def _redirect(self, query: dict[str, str]) -> None:
        self._answer(302, b"", Location=query["to"])

    def _broken(self, query: dict[str, str]) -> None:
        self.close_connection = True
        self.wfile.write(b"this is not HTTP\r\n\r\n")

    def _shout(self, query: dict[str, str]) -> None:
        """A WebSocket's handshake, and then whatever comes goes back."""
        accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + WEBSOCKET_MAGIC).encode()).digest()
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
        self.send_header("X-Forwarded-For", self.headers.get("X-Forwarded-For", ""))
        self.end_headers()
        self.close_connection = True
        while data := self.connection.recv(PIECE):
            self.connection.sendall(data.upper())
