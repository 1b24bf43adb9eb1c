"""Client certificates: the CN is the user, the Os are its groups (k8s.io/apiserver/.../request/x509).

The TLS layer hands over the certificate that the client proved to own. Whether a CA of ours signed it, for clients and
for now, is decided here, once per certificate: later requests only look at its dates again.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.chains import chain_to, is_for_clients
from apiserver_workers.authentication.interface import AuthenticationError, Response, as_authenticated
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.peer import UNTRUSTED
from apiserver_workers.server.metrics import CERTIFICATE_LIFE
from apiserver_workers.server.tls.watched_files import WatchedFiles

UID_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57683.2")
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
MAX_CHAIN = 1 << 16  # bytes of a chain whose verdict is remembered


@dataclass(slots=True, frozen=True)
class ClientCertificate:
    """A verified certificate: who its holder is, and until when it holds (Unix times)."""

    common_name: str
    response: Response
    not_before: float
    not_after: float


class CertificateVerifier:
    """Verifies certificates against a CA file. Verdicts are remembered by the certificates' bytes while the file stays."""

    def __init__(self, ca_file: str) -> None:
        self._authorities = WatchedFiles([ca_file], x509.load_pem_x509_certificates)
        self._known: Kept[tuple[bytes, ...], ClientCertificate | AuthenticationError] = Kept(
            longest=MAX_CHAIN, expansion=4
        )
        self._known_by: list[x509.Certificate] = []

    def verify(self, shown: tuple[bytes, ...]) -> ClientCertificate:
        """What the first certificate says; the others may lead to an authority. Raises AuthenticationError."""
        if shown == UNTRUSTED:
            raise AuthenticationError("x509: certificate signed by unknown authority")
        authorities = self._authorities.current()
        if authorities is not self._known_by:
            self._known.clear()
            self._known_by = authorities
        verdict = self._known.get(shown)
        if verdict is None:
            verdict = _judge(shown, authorities)
            self._known.keep(shown, verdict)
        if isinstance(verdict, AuthenticationError):
            raise AuthenticationError(str(verdict))
        if not verdict.not_before <= time.time() <= verdict.not_after:
            raise AuthenticationError("x509: certificate has expired or is not yet valid")
        return verdict


def _judge(shown: tuple[bytes, ...], authorities: list[x509.Certificate]) -> ClientCertificate | AuthenticationError:
    try:
        certificate, *others = (x509.load_der_x509_certificate(der) for der in shown)
        chain = chain_to(certificate, others, authorities)
        if chain is None:
            return AuthenticationError("x509: certificate signed by unknown authority")
        if not all(map(is_for_clients, chain[:-1] or chain)):
            return AuthenticationError("x509: certificate specifies an incompatible key usage")
    except ValueError:
        return AuthenticationError("x509: malformed certificate")
    return _read(certificate, shown[0], chain)


def _read(
    certificate: x509.Certificate, der: bytes, chain: list[x509.Certificate]
) -> ClientCertificate | AuthenticationError:
    common_names, organizations, uids = (
        [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, UID_OID)
    )
    if not feature_gates.enabled("AllowParsingUserUIDFromCertAuth"):
        uids = []
    if len(uids) > 1:
        return AuthenticationError("unable to parse UID: multiple UIDs")
    if uids == [""]:
        return AuthenticationError("unable to parse UID: UID cannot be an empty string")
    name = common_names[-1] if common_names else ""
    extra = {CREDENTIAL_ID: [f"X509SHA256={hashlib.sha256(der).hexdigest()}"]}
    user = UserInfo(name, uids[0] if uids else "", tuple(organizations), extra)
    return ClientCertificate(
        common_name=name,
        response=Response(as_authenticated(user)),
        not_before=max(link.not_valid_before_utc.timestamp() for link in chain),
        not_after=min(link.not_valid_after_utc.timestamp() for link in chain),
    )


class ClientCertificates:
    """Authenticates requests by --client-ca-file. A certificate without a common name names nobody."""

    def __init__(self, verifier: CertificateVerifier) -> None:
        self._verifier = verifier

    async def authenticate(self, request: Request) -> Response | None:
        if not request.peer_certificates:
            return None
        certificate = self._verifier.verify(request.peer_certificates)
        CERTIFICATE_LIFE.observe(certificate.not_after - time.time())
        return certificate.response if certificate.common_name else None
