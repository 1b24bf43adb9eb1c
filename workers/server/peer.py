"""The certificates that a TLS client showed."""

from __future__ import annotations

import ssl
from typing import Any

UNTRUSTED = (b"",)


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
