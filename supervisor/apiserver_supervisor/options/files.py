"""Checks of the files that flags name: each fault names the file, the flag and, where that is known, what to do.

cryptography and YAML are imported only when a flag names such a file, so that --help and most starts do without.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

from apiserver_workers.server.file_faults import file_fault

from apiserver_supervisor.options.validators import readable, reason

Rule = Callable[[Any], Iterator[str]]


class FileFault(ValueError):
    """What is wrong with a file."""


def certificates(path: str) -> list[Any]:
    """The certificates of a PEM file. Raises FileFault."""
    from cryptography import x509

    content = _read(path)
    try:
        found = x509.load_pem_x509_certificates(content)
    except ValueError:
        raise FileFault("holds no certificate in PEM form") from None
    return found


def private_key(path: str) -> Any:
    """The private key of a PEM file. Raises FileFault."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    content = _read(path)
    try:
        return load_pem_private_key(content, None)
    except TypeError:
        raise FileFault("the key is encrypted, and there is nobody to ask for the password; decrypt it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise FileFault("holds no private key in PEM form") from None


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise FileFault(reason(error)) from None


def _current(found: list[Any]) -> None:
    """At least one of the certificates has not expired."""
    last = max(certificate.not_valid_after_utc for certificate in found)
    if last < datetime.datetime.now(datetime.UTC):
        raise FileFault(f"the certificate expired at {last:%Y-%m-%dT%H:%M:%SZ}")


def ca_bundle(name: str, value: str) -> Iterator[str]:
    """A file of certificates, not all of them expired."""
    return file_fault(name, value, lambda path: _current(certificates(path)))


def signing_key(name: str, value: str) -> Iterator[str]:
    """A key that signs tokens: RSA or an elliptic curve."""
    return file_fault(name, value, _signing_key)


def _signing_key(path: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    what = "failed to parse service-account-issuer-key-file"
    try:
        key = private_key(path)
    except FileFault as fault:
        raise FileFault(f"{what}: {fault}") from None
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise FileFault(f"{what}: neither an RSA nor an ECDSA key")


def pair_faults(certificate_flag: str, certificate: str, key_flag: str, key: str) -> Iterator[str]:
    """A certificate and its key: both can be used, and they belong together."""
    leaf = secret = None
    try:
        found = certificates(certificate)
        leaf = found[0]
        _current(found[:1])
    except FileFault as fault:
        yield f"--{certificate_flag}: {certificate}: {fault}"
    try:
        secret = private_key(key)
    except FileFault as fault:
        yield f"--{key_flag}: {key}: {fault}"
    if leaf and secret and leaf.public_key() != secret.public_key():
        yield f"--{key_flag}: {key}: the private key does not match the certificate of --{certificate_flag}, {certificate}"


def client_pair(certificate_flag: str, key_flag: str) -> Rule:
    """The rule for a client certificate: it comes with its key."""

    def rule(options: Any) -> Iterator[str]:
        certificate, key = (getattr(options, flag.replace("-", "_")) for flag in (certificate_flag, key_flag))
        if bool(certificate) != bool(key):
            yield f"--{certificate_flag} and --{key_flag} must be specified together"
        elif certificate:
            yield from pair_faults(certificate_flag, certificate, key_flag, key)

    return rule


def serving_pair(options: Any) -> Iterator[str]:
    """The serving certificate: as given, or found in --cert-dir; one half alone is never completed by us."""
    certificate, key = options.tls_cert_file, options.tls_private_key_file
    if not options.pair_from_cert_dir:
        if bool(certificate) != bool(key):
            yield "--tls-cert-file and --tls-private-key-file must be specified together"
        elif certificate:
            yield from pair_faults("tls-cert-file", certificate, "tls-private-key-file", key)
        return
    found = {path: not list(readable("cert-dir", path)) for path in (certificate, key)}
    if all(found.values()):
        yield from pair_faults("cert-dir", certificate, "cert-dir", key)
    elif any(found.values()):
        lacking = next(path for path, there in found.items() if not there)
        yield f"--cert-dir: error reading {lacking}, certificate and key must be supplied as a pair"


def sni_pairs(options: Any) -> Iterator[str]:
    """Every pair of --tls-sni-cert-key can be used."""
    for entry in options.tls_sni_cert_key:
        certificate, _, key = entry.partition(":")[0].partition(",")
        yield from pair_faults("tls-sni-cert-key", certificate, "tls-sni-cert-key", key)


def document(path: str, *kinds: str) -> dict[str, Any]:
    """A YAML file that holds one object, of one of these kinds if any are named. Raises FileFault."""
    import yaml

    try:
        found = yaml.load(_read(path), Loader=yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise FileFault(f"no valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise FileFault("must hold one YAML mapping")
    if kinds and found.get("kind") not in kinds:
        raise FileFault(f'the kind must be {" or ".join(kinds)}, not "{found.get("kind", "")}"')
    return found


def _config_file(kind: str) -> Callable[[str, str], Iterator[str]]:
    return lambda name, value: file_fault(name, value, lambda path: document(path, kind))


audit_policy = _config_file("Policy")
egress_selector = _config_file("EgressSelectorConfiguration")
tracing = _config_file("TracingConfiguration")


def admission_configuration(name: str, value: str) -> Iterator[str]:
    """An AdmissionConfiguration and the files that it names."""
    if value:
        from apiserver_workers.admission.configuration import load_configuration

        yield from file_fault(name, value, load_configuration)


def kubeconfig(name: str, value: str) -> Iterator[str]:
    """A kubeconfig by which a webhook can be asked."""
    if value:
        from apiserver_workers.server.client.kubeconfig import load_kubeconfig

        yield from file_fault(name, value, load_kubeconfig)


def metric_labels(name: str, value: str) -> Iterator[str]:
    """A manifest of label values: metric,label: value,value."""
    return file_fault(name, value, _metric_labels)


def _metric_labels(path: str) -> None:
    if not all("," in str(key) and isinstance(text, str) for key, text in document(path).items()):
        raise FileFault("must be of the form metric,label: value,value")
