"""Who is at the other end of a connection: the certificates of a TLS client, the user of a local process."""

from __future__ import annotations

import os
import socket
import ssl
import struct
from typing import Any

UNTRUSTED = (b"",)
_CREDENTIALS = struct.Struct("3i")  # pid, user, group


def peer_certificates(connection: ssl.SSLObject) -> tuple[bytes, ...]:
    """In DER form, the client's own first, then those that it sent to lead to an authority; none if it has none.

    UNTRUSTED for what the TLS library does not trust, so that nobody takes it for anything.
    """
    if not getattr(connection, "trusted", True):
        return UNTRUSTED
    own = connection.getpeercert(True)
    if own is None:
        return ()
    chain: list[Any]
    if hasattr(connection, "get_unverified_chain"):  # from Python 3.13 on
        chain = connection.get_unverified_chain()
    else:
        sent = connection._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        chain = [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in sent]
    return (own, *(certificate for certificate in chain if certificate != own))


def same_user(connection: Any) -> bool:
    """Whether the process at the other end of a Unix socket runs as our user."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(credentials)[1] == os.getuid()
