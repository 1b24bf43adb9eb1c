"""Certificates and keys as bytes, put into TLS contexts. The ssl module only takes files, so they pass through memory files."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain, and its key, in PEM. `of` makes only pairs that fit together."""

    certificate: bytes
    key: bytes

    @classmethod
    def of(cls, certificate: bytes, key: bytes) -> Pair:
        """Raises ssl.SSLError (an OSError) or ValueError for what is no pair."""
        pair = cls(certificate, key)
        pair.into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return pair

    def into(self, context: ssl.SSLContext) -> None:
        """Let the context show this certificate."""
        with memory_file(self.certificate) as certificate, memory_file(self.key) as key:
            context.load_cert_chain(certificate, key, password=_no_password)


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificates that are trusted, in PEM. `of` makes only what holds at least one."""

    bundle: bytes

    @classmethod
    def of(cls, bundle: bytes) -> Authorities:
        """Raises ssl.SSLError (an OSError) for what is no bundle of certificates."""
        authorities = cls(bundle)
        authorities.into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        return authorities

    def into(self, context: ssl.SSLContext) -> None:
        """Let the context trust these."""
        with memory_file(self.bundle) as bundle:
            context.load_verify_locations(bundle)


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[str]:
    """The name of a file that exists in memory only, and only as long as the context is open."""
    with os.fdopen(os.memfd_create("pem"), "wb") as file:
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


def _no_password() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the key is encrypted")
