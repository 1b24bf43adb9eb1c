"""The serving pair in --cert-dir, made the way kube-apiserver makes it.

Upstream: MaybeDefaultWithSelfSignedCerts, client-go/util/cert.GenerateSelfSignedCertKey. A pair that is there is used as it
is, whoever made it. The authority signs this one certificate and is thrown away.
"""

from __future__ import annotations

import datetime
import ipaddress
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from apiserver_supervisor.certificates import LEAF_LIFE, general_name, key_usage, write_atomically, write_private
from apiserver_supervisor.options.parsing import CompletedOptions

KEY_SIZE = 2048
CLOCK_SKEW = datetime.timedelta(hours=1)
SERVICE_NAMES = ("kubernetes.default.svc", "kubernetes.default", "kubernetes")


def provide_serving_pair(options: CompletedOptions) -> None:
    """Make the pair unless both files are there. Raises OSError when they cannot be written."""
    certificate, key = Path(options.tls_cert_file), Path(options.tls_private_key_file)
    if certificate.exists() and key.exists():
        return
    certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    chain, secret = self_signed(options.advertise_address, alternate_names(options))
    write_private(key, secret)
    write_atomically(certificate, chain, mode=0o644)


def alternate_names(options: CompletedOptions) -> list[str]:
    """Names and addresses beside the advertised one: the service's, and how the bind address is reached."""
    unspecified = ipaddress.ip_address(options.bind_address or "0.0.0.0").is_unspecified
    return [options.service_ip, *SERVICE_NAMES, "localhost" if unspecified else options.bind_address]


def self_signed(host: str, names: list[str]) -> tuple[bytes, bytes]:
    """A PEM chain (leaf, then its authority) for `host` and other names, and the leaf's PEM key."""
    stamp = int(time.time())
    authority_key, leaf_key = _key(), _key()
    authority_name = _name(f"{host}-ca@{stamp}")
    authority = (
        _builder(authority_name, authority_name, authority_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    alternatives = x509.SubjectAlternativeName([general_name(name) for name in dict.fromkeys([host, *names])])
    leaf = (
        _builder(_name(f"{host}@{stamp}"), authority_name, leaf_key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False, encipherment=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .add_extension(alternatives, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = leaf_key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return leaf.public_bytes(pem) + authority.public_bytes(pem), secret


def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=KEY_SIZE)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey) -> x509.CertificateBuilder:
    begin = datetime.datetime.now(datetime.UTC) - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LEAF_LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
