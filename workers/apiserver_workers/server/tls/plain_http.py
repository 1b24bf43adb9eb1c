"""A client that speaks HTTP without TLS to the secure port is told so, as net/http tells it."""

from __future__ import annotations

import ssl
from typing import Any

_BODY = b"Client sent an HTTP request to an HTTPS server.\n"
ANSWER = b"HTTP/1.0 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)


class PlainHttpConnection(ssl.SSLObject):
    """The server's side of a handshake. The answer goes out in the place of TLS's own alert."""

    _outgoing: ssl.MemoryBIO
    _told = False

    @classmethod
    def _create(cls, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *args: Any, **options: Any) -> Any:
        made = super()._create(incoming, outgoing, *args, **options)  # type: ignore[misc]
        made._outgoing = outgoing
        return made

    def do_handshake(self) -> None:
        """One step. After the answer it waits for the client to hang up; whatever else comes ends the handshake."""
        try:
            super().do_handshake()
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST" or self._told:
                raise
            self._told = True
            self._outgoing.read()  # the alert
            self._outgoing.write(ANSWER)
            raise ssl.SSLWantReadError from error
