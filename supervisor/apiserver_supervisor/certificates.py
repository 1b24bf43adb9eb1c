"""The server's own certificates: three authorities, the serving pair, client pairs and the service account key.

All live in `DATA_DIR/pki`, keys 0600, and are reused at the next start. A leaf is made anew when it is about to expire,
when its authority changed, or when it no longer covers the names that are asked for. What is there and cannot be read is
never replaced: a new authority would lock every client out, and the file may be all that is left of a key.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF_LIFE = datetime.timedelta(days=365)
AUTHORITY_LIFE = datetime.timedelta(days=3650)
RENEW_BEFORE = datetime.timedelta(days=30)
CLOCK_SKEW = datetime.timedelta(hours=1)
SERVICE_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
LOOPBACK_NAME = "apiserver-loopback-client"
OTHERS_READ = stat.S_IRGRP | stat.S_IROTH
_CURVE = ec.SECP256R1()


@dataclass(frozen=True, slots=True)
class Pair:
    """Paths of a certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a leaf certificate speaks for, and as what."""

    common_name: str
    organizations: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # DNS names and IP addresses
    usages: tuple[x509.ObjectIdentifier, ...] = (ExtendedKeyUsageOID.CLIENT_AUTH,)


ADMIN = Subject("kubernetes-admin", ("system:masters",))
PROXY_CLIENT = Subject("front-proxy-client")


class CertificateError(Exception):
    """A file of certificates or keys cannot be used; the message names it."""


class Pki:
    """The folder of certificates. Each method returns what is there and good, or makes it.

    Each raises OSError, or CertificateError for a file that is there and cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._now = datetime.datetime.now(datetime.UTC)

    def authority(self, name: str) -> Pair:
        """A certificate authority called `name`."""
        pair = self._pair(name)
        certificate, key = _certificate(pair.certificate), _key(pair.key)
        if certificate is None:
            key = key or ec.generate_private_key(_CURVE)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise CertificateError(f"{pair.key}: not a key that this server has made")
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
            builder = self._builder(subject, subject, key.public_key(), AUTHORITY_LIFE)
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            builder = builder.add_extension(key_usage(authority=True), critical=True)
            self._write(pair, builder.sign(key, hashes.SHA256()), key)
            return pair
        _check_pair(pair, certificate, key)
        if certificate.not_valid_after_utc < self._now:
            raise CertificateError(f"{pair.certificate}: the authority expired at {certificate.not_valid_after_utc}")
        return pair

    def leaf(self, name: str, authority: Pair, subject: Subject) -> Pair:
        """A pair for `subject` signed by `authority`."""
        pair = self._pair(name)
        if not self._valid(pair, authority, subject):
            issuer = x509.load_pem_x509_certificate(authority.certificate.read_bytes())
            issuer_key = serialization.load_pem_private_key(authority.key.read_bytes(), None)
            assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
            key = ec.generate_private_key(_CURVE)
            builder = self._builder(_name(subject), issuer.subject, key.public_key(), LEAF_LIFE)
            builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            builder = builder.add_extension(key_usage(authority=False), critical=True)
            builder = builder.add_extension(x509.ExtendedKeyUsage(subject.usages), critical=False)
            identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            )
            builder = builder.add_extension(identifier, critical=False)
            if subject.names:
                names = x509.SubjectAlternativeName([general_name(name) for name in subject.names])
                builder = builder.add_extension(names, critical=False)
            self._write(pair, builder.sign(issuer_key, hashes.SHA256()), key)
        return pair

    def service_account_key(self, name: str = "sa.key") -> Path:
        """An RSA key: its tokens are RS256, which every client library verifies."""
        path = self.folder / name
        if _key(path) is None:
            write_private(path, _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
        return path

    def _pair(self, name: str) -> Pair:
        return Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")

    def _builder(
        self, subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, life: datetime.timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - CLOCK_SKEW)
            .not_valid_after(self._now + life)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        )

    def _valid(self, pair: Pair, authority: Pair, subject: Subject) -> bool:
        """Whether the pair is there and still fits."""
        certificate, key = _certificate(pair.certificate), _key(pair.key)
        if certificate is None or key is None:
            return False
        try:
            certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.certificate.read_bytes()))
        except (ValueError, TypeError, InvalidSignature):
            return False
        return (
            certificate.not_valid_after_utc - RENEW_BEFORE > self._now
            and key.public_key() == certificate.public_key()
            and certificate.subject == _name(subject)
            and _covers(certificate, subject.names)
        )

    def _write(self, pair: Pair, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        write_private(pair.key, _pem(key))
        write_atomically(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)


def check_folder(folder: Path) -> None:
    """Read all that lies in a folder of certificates. Raises OSError, or CertificateError for what cannot be used."""
    for path in folder.glob("*.crt"):
        _certificate(path)
    for path in folder.glob("*.key"):
        _key(path)


def keys_open_to_others(paths: Iterable[str]) -> list[str]:
    """Those of the key files that others than their owner can read."""
    return [path for path in paths if path and os.path.exists(path) and os.stat(path).st_mode & OTHERS_READ]


def _certificate(path: Path) -> x509.Certificate | None:
    """The certificate, None if there is no file."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        raise CertificateError(f"{path}: holds no certificate in PEM form; restore it, or remove it") from None


def _key(path: Path) -> PrivateKeyTypes | None:
    """The private key, None if there is no file."""
    try:
        return serialization.load_pem_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise CertificateError(f"{path}: holds no private key in PEM form; restore it, or remove it") from None


def _check_pair(pair: Pair, certificate: x509.Certificate, key: PrivateKeyTypes | None) -> None:
    """Raises CertificateError unless both belong together."""
    if key is None:
        raise CertificateError(f"{pair.key}: missing, but there is {pair.certificate}; restore it, or remove both")
    if key.public_key() != certificate.public_key():
        raise CertificateError(f"{pair.key}: not the key of {pair.certificate}; restore it, or remove both")


def loopback_pair() -> tuple[bytes, bytes]:
    """A certificate and its key, in PEM and in no file, for the server when it asks itself."""
    key, now = ec.generate_private_key(_CURVE), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{LOOPBACK_NAME}@{int(now.timestamp())}")])
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LEAF_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(LOOPBACK_NAME)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM), _pem(key)


def serving_subject(advertise_address: str, service_ip: str, bind_address: str, external_hostname: str) -> Subject:
    """The serving certificate's names: upstream's, and those by which this machine reaches the server."""
    addresses = [advertise_address, service_ip, "127.0.0.1", "::1", bind_address]
    names = [*SERVICE_NAMES, "localhost", host_of(external_hostname)]
    unspecified = ("", "0.0.0.0", "::")
    wanted = [name for name in (*names, *addresses) if name not in unspecified]
    return Subject("kube-apiserver", (), tuple(dict.fromkeys(wanted)), (ExtendedKeyUsageOID.SERVER_AUTH,))


def host_of(address: str) -> str:
    """The host of `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""
    if address.startswith("["):
        return address[1:].partition("]")[0]
    return address.partition(":")[0] if address.count(":") == 1 else address


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read."""
    write_atomically(path, content, mode=0o600)


def write_atomically(path: Path, content: bytes, *, mode: int) -> None:
    """Write a file so that a reader sees the old content or the new one; `mode` holds from the first byte on."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def _name(subject: Subject) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in subject.organizations]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, subject.common_name)])


def general_name(name: str) -> x509.GeneralName:
    """A DNS name or IP address as it stands in a certificate."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _covers(certificate: x509.Certificate, names: Sequence[str]) -> bool:
    try:
        present = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return not names
    return {general_name(name) for name in names} <= set(present)


def key_usage(*, authority: bool, encipherment: bool = False) -> x509.KeyUsage:
    """What a key may be used for: signing certificates, or TLS (with `encipherment` for RSA key exchange)."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        key_encipherment=encipherment,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption())
