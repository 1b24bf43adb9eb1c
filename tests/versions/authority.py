"""Certificates for tests of what holds certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def a_minute_ago() -> datetime:
    """When certificates begin to be valid."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)


def certificate(
    key: Any, *, authority: bool = False, name: str = "test", hours: float = 24, start: datetime | None = None
) -> str:
    """A certificate of that key, valid from `start` on or a minute ago, signed by one of its own, as PEM."""
    start = start or a_minute_ago()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(hours=hours))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    return made.public_bytes(Encoding.PEM).decode()


def trust_anchor(name: str = "root") -> str:
    """A certificate of an authority, as PEM."""
    return certificate(ec.generate_private_key(ec.SECP256R1()), authority=True, name=name)
