"""The TLS side of the front: serving certificates, SNI, client CAs, and their renewal on disk without a restart.

The listening context only chooses: at each handshake its SNI callback puts the context of the day in place, so new
connections see renewed files and old connections are left alone. Each pair and each CA file is followed by itself: one that
cannot be used keeps what it had, and the others go on.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http2.security import is_good
from apiserver_workers.server.tls import watched_files
from apiserver_workers.server.tls.pem import Authorities, Pair
from apiserver_workers.server.tls.plain_http import PlainHttpConnection
from apiserver_workers.server.tls.untrusted import accept_untrusted
from apiserver_workers.server.tls.watched_files import WatchedFiles

# The server asks itself under this name, and shows a certificate that is in no file.
LOOPBACK_NAME = "apiserver-loopback-client"
NO_CHECK_TIME = 0x200000  # OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which has no name in the ssl module

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
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA": "ECDHE-ECDSA-RC4-SHA",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA": "ECDHE-RSA-RC4-SHA",
    "TLS_RSA_WITH_RC4_128_SHA": "RC4-SHA",
}
TLS13_SUITES = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
# TLS's numbers of curves, which the flag takes, to OpenSSL's names.
SINGLE_CURVES = {23: "prime256v1", 24: "secp384r1", 25: "secp521r1", 29: "X25519"}
CURVES = SINGLE_CURVES | {4588: "X25519MLKEM768"}
CHOOSES_GROUPS = hasattr(ssl.SSLContext, "set_groups")  # since Python 3.15


@dataclass(frozen=True, slots=True)
class NamedPair:
    """A serving pair, and the server names that it is for; without names, those of the certificate."""

    files: WatchedFiles[Pair]
    names: Sequence[str] = ()


class ServingTLS:
    """Contexts made from the files that the configuration names.

    Raises OSError (ssl.SSLError) or ValueError for unusable files.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._main = WatchedFiles((config.tls_cert_file, config.tls_private_key_file), Pair.of)
        self._named = [_named_pair(entry) for entry in config.tls_sni_cert_key]
        authorities = (config.client_ca_file, config.requestheader_client_ca_file)
        self._authorities = [WatchedFiles((file,), Authorities.of) for file in authorities if file]
        self._loopback = Pair(config.loopback_certificate, config.loopback_key)
        self._default, self._by_name = self._contexts()
        self.listening = self._context(self._main.value)
        self.listening.sni_callback = self._choose
        self.listening.sslobject_class = PlainHttpConnection
        if self._authorities:
            accept_untrusted(self.listening)

    async def watch(self) -> None:
        """Take up files whenever they change."""
        watched: list[WatchedFiles[Any]] = [self._main, *(pair.files for pair in self._named), *self._authorities]
        while True:
            await asyncio.sleep(watched_files.CHECK_INTERVAL)
            changed = [files for files in watched if files.refresh()]
            if changed:
                self._default, self._by_name = self._contexts()

    def _contexts(self) -> tuple[ssl.SSLContext, dict[str, ssl.SSLContext]]:
        """The context for any name, and those for certain names."""
        by_name: dict[str, ssl.SSLContext] = {}
        if self._loopback.certificate:
            by_name[LOOPBACK_NAME] = self._context(self._loopback)
        for named in self._named:
            context = self._context(named.files.value)
            for name in named.names or _names_of(named.files.value.certificate):
                by_name.setdefault(name.lower(), context)
        return self._context(self._main.value), by_name

    def _context(self, pair: Pair) -> ssl.SSLContext:
        config = self._config
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        minimum = VERSIONS[config.tls_min_version]
        context.minimum_version = minimum
        context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.num_tickets = 0
        ciphers = [CIPHERS[name] for name in config.tls_cipher_suites if name not in TLS13_SUITES]
        if minimum < ssl.TLSVersion.TLSv1_2:
            ciphers = [*(ciphers or ["DEFAULT"]), "@SECLEVEL=0"]  # else OpenSSL has no use for the old versions
        if ciphers:
            context.set_ciphers(":".join(ciphers))
        limit_curves(context, config.tls_curve_preferences)
        context.set_alpn_protocols(self._protocols())
        pair.into(context)
        for authorities in self._authorities:
            authorities.value.into(context)
            context.verify_mode = ssl.CERT_OPTIONAL
        # who comes with a certificate that has expired is told so by an answer, not by a broken connection
        context.verify_flags |= NO_CHECK_TIME
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # any certificate of the file is a root, as in Go
        return context

    def _protocols(self) -> list[str]:
        """What ALPN offers: no HTTP/2 where none of the suites that may be used is good enough for it."""
        config = self._config
        allowed = [CIPHERS.get(name, "") for name in config.tls_cipher_suites]
        speaks_http2 = not config.disable_http2_serving and (not allowed or any(map(is_good, allowed)))
        return ["h2", "http/1.1"] if speaks_http2 else ["http/1.1"]

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        connection.context = self._context_for(name)

    def _context_for(self, name: str | None) -> ssl.SSLContext:
        if not name or not self._by_name:
            return self._default
        name = name.lower().rstrip(".")
        wildcard = "*." + name.partition(".")[2]
        return self._by_name.get(name) or self._by_name.get(wildcard) or self._default


def curve_fault(ids: Sequence[int]) -> str:
    """Why the contexts of this Python cannot be limited to these curves, or nothing."""
    known = CURVES if CHOOSES_GROUPS else SINGLE_CURVES
    unknown = [number for number in ids if number not in known]
    if unknown:
        return f"curve {unknown[0]} is not supported, the curves are {', '.join(map(str, known))}"
    if len(ids) > 1 and not CHOOSES_GROUPS:
        return "more than one curve needs Python 3.15"
    return ""


def limit_curves(context: ssl.SSLContext, ids: Sequence[int]) -> None:
    """Let the context agree on no other key exchange. Raises ValueError for what this Python cannot do."""
    if fault := curve_fault(ids):
        raise ValueError(f"--tls-curve-preferences: {fault}")
    if ids and CHOOSES_GROUPS:
        context.set_groups(":".join(CURVES[number] for number in ids))  # type: ignore[attr-defined]
    elif ids:
        context.set_ecdh_curve(CURVES[ids[0]])


def _named_pair(entry: str) -> NamedPair:
    """`cert,key` or `cert,key:name,name`, as the flag takes it."""
    files, _, names = entry.partition(":")
    certificate, _, key = files.partition(",")
    return NamedPair(WatchedFiles((certificate, key), Pair.of), [name for name in names.split(",") if name])


def _names_of(certificate: bytes) -> list[str]:
    leaf = x509.load_pem_x509_certificate(certificate)
    try:
        return leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except x509.ExtensionNotFound:
        return [str(name.value) for name in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
