"""The files that tools make for an API server before they start it."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path

from apiserver_supervisor.certificates import Pair, Pki, Subject
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

ADMIN = Subject("kubernetes-admin", ("system:masters",))
NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1", "10.96.0.1")


class Files:
    """A folder of certificates and keys, by the names that a tool gives them."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._pki = Pki(folder / "made")

    def authority(self, name: str) -> Path:
        """`NAME.crt` and `NAME.key` of an authority; the certificate's path."""
        return self._put(self._pki.authority(name.replace("/", "-")), name)

    def pair(self, name: str, authority: str, common_name: str, *groups: str, serving: bool = False) -> Path:
        """`NAME.crt` and `NAME.key` signed by an authority; the certificate's path."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH if serving else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = Subject(common_name, groups, NAMES if serving else (), (usage,))
        signer = self._pki.authority(authority.replace("/", "-"))
        return self._put(self._pki.leaf(name.replace("/", "-"), signer, subject), name)

    def token_keys(self, private: str, public: str) -> None:
        """An RSA key for service account tokens, and its public half."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = serialization.PrivateFormat.TraditionalOpenSSL
        pem = serialization.Encoding.PEM
        self.path(private).write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        info = serialization.PublicFormat.SubjectPublicKeyInfo
        self.path(public).write_bytes(key.public_key().public_bytes(pem, info))

    def path(self, name: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def admin(self, authority: str, client_authority: str | None = None) -> ssl.SSLContext:
        """TLS of an administrator who trusts one authority and is vouched for by another, or the same."""
        pair = self.pair("test-admin", client_authority or authority, ADMIN.common_name, *ADMIN.organizations)
        context = ssl.create_default_context(cafile=str(self.folder / f"{authority}.crt"))
        context.load_cert_chain(pair, pair.with_suffix(".key"))
        return context

    def _put(self, pair: Pair, name: str) -> Path:
        certificate = self.path(f"{name}.crt")
        shutil.copy(pair.certificate, certificate)
        shutil.copy(pair.key, self.path(f"{name}.key"))
        return certificate
