"""TLS towards servers that are not ours: whom to trust and who we are, from files or data, read again when files change."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from apiserver_workers.server.tls.pem import Pair
from apiserver_workers.server.tls.watched_files import WatchedFiles


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
    try:
        Pair(certificate, key).into(context)
    except (ssl.SSLError, ValueError) as error:
        names = f"{config.cert_file or 'the client certificate'}, {config.key_file or 'the client key'}"
        reason = error.reason if isinstance(error, ssl.SSLError) and error.reason else "no certificate and key"
        raise ValueError(f"{names}: {reason.lower().replace('_', ' ')}") from None


class WatchedTls:
    """A context that is made again when its files change; a bad change keeps the last good one."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises OSError or ValueError, as TlsConfig.context."""
        self.config = config
        self._files = WatchedFiles(config.files, lambda *_: config.context())

    @property
    def context(self) -> ssl.SSLContext:
        return self._files.current()
