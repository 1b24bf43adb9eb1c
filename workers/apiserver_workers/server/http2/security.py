"""Whether a TLS connection is good enough for HTTP/2 (RFC 9113, section 9.2): clients that know the rule would hang up."""

from __future__ import annotations

import ssl
from typing import Any

_OLD = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})
_EPHEMERAL = ("ECDHE-", "DHE-")
_AEAD = ("GCM", "CHACHA20", "CCM")


def is_adequate(tls: ssl.SSLObject) -> bool:
    """Whether HTTP/2 may be spoken over this connection."""
    version = tls.version()
    if version in _OLD:
        return False
    cipher: Any = tls.cipher()
    return version != "TLSv1.2" or cipher is None or is_good(cipher[0])


def is_good(cipher: str) -> bool:
    """Whether OpenSSL's suite of that name is none of those that RFC 9113 forbids."""
    return cipher.startswith(_EPHEMERAL) and any(part in cipher for part in _AEAD)
