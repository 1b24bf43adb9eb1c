"""The TLS side of the front: serving certificates, SNI, client CAs, and their renewal on disk without a restart.

The listening context only chooses: at each handshake its SNI callback puts the context of the day in place, so new
connections see renewed files and old connections are left alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from workers.server.config import ServerConfig

NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which has no name in the ssl module
RECHECK = 2.0

VERSIONS = {
    "": ssl.TLSVersion.TLSv1_2,
    "VersionTLS10": ssl.TLSVersion.TLSv1,
    "VersionTLS11": ssl.TLSVersion.TLSv1_1,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}

# Go's names, which the flag takes, to OpenSSL's. The suites of TLS 1.3 cannot be chosen, as upstream.
CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
}
TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})

logger = logging.getLogger("apiserver.tls")


class ServingTLS:
    """Contexts made from the files that the configuration names. Raises OSError (ssl.SSLError) for unusable files."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._pairs = [_parse_sni(entry) for entry in config.tls_sni_cert_key]
        self._stamps = self._stat()
        self._default, self._by_name = self._load()
        self.listening = self._context(config.tls_cert_file, config.tls_private_key_file)
        self.listening.sni_callback = self._choose

    async def watch(self) -> None:
        """Load files anew whenever they change. Files that cannot be used leave what is served as it was."""
        while True:
            await asyncio.sleep(RECHECK)
            stamps = self._stat()
            if stamps == self._stamps:
                continue
            try:
                self._default, self._by_name = self._load()
            except (OSError, ValueError) as error:
                logger.error("certificates changed on disk but cannot be used: %s", error)
            else:
                self._stamps = stamps
                logger.info("certificates reloaded")

    def _stat(self) -> list[tuple[int, int]]:
        config = self._config
        files = [config.tls_cert_file, config.tls_private_key_file, config.client_ca_file]
        files.append(config.requestheader_client_ca_file)
        for certificate, key, _ in self._pairs:
            files += [certificate, key]
        return [_stamp(file) for file in files if file]

    def _load(self) -> tuple[ssl.SSLContext, dict[str, ssl.SSLContext]]:
        config = self._config
        by_name: dict[str, ssl.SSLContext] = {}
        for certificate, key, names in self._pairs:
            context = self._context(certificate, key)
            for name in names or _names_of(certificate):
                by_name.setdefault(name.lower(), context)
        return self._context(config.tls_cert_file, config.tls_private_key_file), by_name

    def _context(self, certificate: str, key: str) -> ssl.SSLContext:
        config = self._config
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[config.tls_min_version]
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        ciphers = [CIPHERS[name] for name in config.tls_cipher_suites if name not in TLS13_SUITES]
        if ciphers:
            context.set_ciphers(":".join(ciphers))
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(certificate, key)
        for authority in (config.client_ca_file, config.requestheader_client_ca_file):
            if authority:
                context.load_verify_locations(authority)
                context.verify_mode = ssl.CERT_OPTIONAL
        # who comes with a certificate that has expired is told so by an answer, not by a broken connection
        context.verify_flags |= NO_CHECK_TIME
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # any certificate of the file is a root, as in Go
        return context

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._context_for(name)

    def _context_for(self, name: str | None) -> ssl.SSLContext:
        if not name or not self._by_name:
            return self._default
        name = name.lower().rstrip(".")
        wildcard = "*." + name.partition(".")[2]
        return self._by_name.get(name) or self._by_name.get(wildcard) or self._default


def _parse_sni(entry: str) -> tuple[str, str, list[str]]:
    """`cert,key` or `cert,key:name,name`, as the flag takes it."""
    files, _, names = entry.partition(":")
    certificate, _, key = files.partition(",")
    return certificate, key, [name for name in names.split(",") if name]


def _names_of(certificate: str) -> list[str]:
    with open(certificate, "rb") as file:
        leaf = x509.load_pem_x509_certificate(file.read())
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        return [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _stamp(file: str) -> tuple[int, int]:
    try:
        status = os.stat(file)
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino
