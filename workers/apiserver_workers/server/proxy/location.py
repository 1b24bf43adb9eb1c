"""Where a proxied request goes, and how a failure to get there reads."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import quote

# What Go's URL.EscapedPath leaves as it is, besides letters, digits and "-_.~".
PATH_SAFE = "/$&+,:;=@"
DIAL_TIMEOUT = 30.0
# OpenSSL's verify codes in the words of Go's crypto/x509.
UNKNOWN_AUTHORITY = "certificate signed by unknown authority"
X509 = {
    2: UNKNOWN_AUTHORITY,
    9: "certificate has expired or is not yet valid",
    10: "certificate has expired or is not yet valid",
    18: UNKNOWN_AUTHORITY,
    19: UNKNOWN_AUTHORITY,
    20: UNKNOWN_AUTHORITY,
    21: UNKNOWN_AUTHORITY,
}


@dataclass(frozen=True, slots=True)
class Location:
    """A URL in parts, and how to connect. `path` is percent-decoded, `tls` None for plain HTTP; `timeout` is seconds
    until the connection must be there. `raw_target` stands for path and query where those are to go out as they are,
    `server_name` is whom to expect behind TLS, if not `host`. `addresses` are what is dialled in the place of `host`, and
    `dialled_port` in that of `port`."""

    scheme: str
    host: str
    port: int
    path: str = ""
    query: str = ""
    tls: ssl.SSLContext | None = None
    timeout: float = DIAL_TIMEOUT
    raw_target: str = ""
    server_name: str = ""
    addresses: tuple[str, ...] = ()
    dialled_port: int = 0

    @property
    def authority(self) -> str:
        """host:port, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def target(self) -> str:
        """Path and query as a request line has them."""
        if self.raw_target:
            return self.raw_target
        path = quote(self.path, safe=PATH_SAFE) or "/"
        return f"{path}?{self.query}" if self.query else path

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def dial_error(location: Location, error: Exception) -> str:
    """What Go's net package says of a failed connection."""
    if isinstance(error, ssl.SSLCertVerificationError):
        why = X509.get(error.verify_code) or error.verify_message.partition(", ")[2] or error.verify_message
        return f"tls: failed to verify certificate: x509: {why}"
    if isinstance(error, ssl.SSLError):
        return f"tls: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return f"dial tcp: lookup {location.host}: no such host"
    if isinstance(error, TimeoutError) and error.errno != errno.ETIMEDOUT:
        return f"dial tcp {location.authority}: i/o timeout"
    if isinstance(error, OSError) and error.errno:
        return f"dial tcp {location.authority}: connect: {os.strerror(error.errno).lower()}"
    return str(error) or type(error).__name__
