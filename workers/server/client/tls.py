"""TLS towards servers that are not ours: whom to trust and who we are, from files or data, read again when files change."""

from __future__ import annotations

import logging
import os
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

CHECK_INTERVAL = 1.0


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """What a TLS client needs; of a file and its data the data counts. Without an authority the host's roots are trusted."""

    ca_file: str = ""
    ca_data: bytes = b""
    cert_file: str = ""
    cert_data: bytes = b""
    key_file: str = ""
    key_data: bytes = b""
    insecure: bool = False
    server_name: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(filter(None, (self.ca_file, self.cert_file, self.key_file)))

    def context(self) -> ssl.SSLContext:
        """The context. Raises OSError for files that cannot be read and ValueError for what is not PEM; both name the file."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.hostname_checks_common_name = False
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        elif authorities := self.ca_data or _read(self.ca_file):
            _trust(context, authorities, self.ca_file or "the certificate authority")
        else:
            context.load_default_certs()
        if certificate := self.cert_data or _read(self.cert_file):
            _identify(context, certificate, self.key_data or _read(self.key_file), self)
        return context


def _read(path: str) -> bytes:
    return Path(path).read_bytes() if path else b""


def _trust(context: ssl.SSLContext, authorities: bytes, source: str) -> None:
    try:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise ValueError(f"{source}: no certificate could be read from it") from None
    # as Go does, any certificate of the bundle ends a chain
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def _identify(context: ssl.SSLContext, certificate: bytes, key: bytes, config: TlsConfig) -> None:
    # the ssl module reads pairs from files only; these are in memory, and nobody else can open them
    with _in_memory(certificate) as certificate_file, _in_memory(key) as key_file:
        try:
            context.load_cert_chain(certificate_file, key_file, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            names = f"{config.cert_file or 'the client certificate'}, {config.key_file or 'the client key'}"
            reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else "no certificate and key"
            raise ValueError(f"{names}: {reason.lower().replace('_', ' ')}") from None


def _no_password() -> str:
    raise ValueError("the key is encrypted")


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """The path under which the bytes are a file, for the while."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


class WatchedTls:
    """A context that is made again when its files change; a bad change keeps the last good one."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises OSError or ValueError, as TlsConfig.context."""
        self.config = config
        self._context = config.context()
        self._stamps = self._stat()
        self._next_check = time.monotonic() + CHECK_INTERVAL

    @property
    def context(self) -> ssl.SSLContext:
        now = time.monotonic()
        if self._stamps and now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            self._reload_if_changed()
        return self._context

    def _stat(self) -> list[tuple[int, int, int]]:
        found = map(os.stat, self.config.files)
        return [(status.st_mtime_ns, status.st_size, status.st_ino) for status in found]

    def _reload_if_changed(self) -> None:
        try:
            stamps = self._stat()
            if stamps == self._stamps:
                return
            self._stamps = stamps
            self._context = self.config.context()
        except (OSError, ValueError) as error:
            log.error("cannot reload client certificates, keeping those read before: %s", error)
