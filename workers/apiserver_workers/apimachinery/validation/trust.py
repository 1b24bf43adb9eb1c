"""certificates: ClusterTrustBundle and PodCertificateRequest (pkg/apis/certificates/validation)."""

from __future__ import annotations

import base64
import re
import time
from calendar import timegm
from datetime import UTC
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.certificates import validate_signer_name
from apiserver_workers.apimachinery.validation.conditions import validate_conditions
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    each,
    invalid,
    not_supported,
    required,
    section,
    too_long,
    unchanged,
)
from apiserver_workers.apimachinery.validation.meta import validate_annotations
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

OMITTED = "<value omitted>"
LARGEST_BUNDLE = 1 << 20
LARGEST_KEY = LARGEST_PROOF = 10 * 1024
LARGEST_CHAIN = 100 * 1024
LONGEST_UID = 128
SHORTEST_LIFE, LONGEST_KUBERNETES_LIFE, LONGEST_LIFE = 3600, 86400, 91 * 86400
CLOCK_SKEW, REFRESH_MARGIN = 300, 600
DECISIONS = ("Denied", "Failed", "Issued")
CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
PEM = re.compile(rb"-----BEGIN ([^\n-]+)-----[ \t\r]*\n(.*?)-----END \1-----", re.DOTALL)


# --- ClusterTrustBundle


def validate_bundle(obj: Object) -> Errors:
    return _bundle_head(obj) + _validate_anchors(section(obj, "spec").get("trustBundle", ""), "spec.trustBundle")


def _bundle_head(obj: Object) -> Errors:
    signer = section(obj, "spec").get("signerName", "")
    name = obj["metadata"].get("name", "")
    errors = [invalid("metadata.name", name, fault) for fault in _bundle_name_faults(name, signer)]
    return errors + validate_signer_name(signer, "spec.signerName") if signer else errors


def _bundle_name_faults(name: str, signer: str) -> list[str]:
    """ValidateClusterTrustBundleName: a signer's bundles have its name as their prefix."""
    if not signer:
        if ":" in name:
            return ['ClusterTrustBundle without signer name must not have ":" in its name']
        return names.is_dns1123_subdomain(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"]
    return names.is_dns1123_subdomain(name.removeprefix(prefix))


def _bundle_update(new: Object, old: Object) -> Errors:
    after, before = (section(obj, "spec") for obj in (new, old))
    same = after.get("trustBundle") == before.get("trustBundle")
    errors = _bundle_head(new) if same else validate_bundle(new)
    return errors + unchanged(after.get("signerName", ""), before.get("signerName", ""), "spec.signerName")


def _validate_anchors(bundle: str, path: str) -> Errors:
    if len(bundle) > LARGEST_BUNDLE:
        return [too_long(path, LARGEST_BUNDLE)]
    found: dict[bytes, list[int]] = {}
    faults = []
    for index, block in enumerate(PEM.finditer(bundle.encode())):
        fault, der = _anchor(block)
        if fault:
            faults.append(f"entry {index} {fault}")
        else:
            found.setdefault(der, []).append(index)
    if not faults and not found:
        faults = ["at least one trust anchor must be provided"]
    elif not faults:
        twice = (indices for indices in found.values() if len(indices) > 1)
        faults = [f"duplicate trust anchor (indices [{' '.join(map(str, indices))}])" for indices in twice]
    return [invalid(path, OMITTED, fault) for fault in faults]


def _anchor(block: re.Match[bytes]) -> tuple[str, bytes]:
    """What is wrong with a PEM block, and its certificate."""
    if block[1] != b"CERTIFICATE":
        return f"has bad block type: {block[1].decode(errors='replace')}", b""
    if b":" in block[2]:
        return "has PEM block headers", b""
    certificate = _certificate(block)
    if certificate is None:
        return "does not parse as X.509", b""
    try:
        authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        authority = False
    return ("" if authority else "does not have the CA bit set"), certificate.public_bytes(Encoding.DER)


def _certificate(block: re.Match[bytes]) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(base64.b64decode(block[2], validate=False))
    except ValueError:
        return None


# --- PodCertificateRequest


def validate_pod_request(obj: Object) -> Errors:
    spec = section(obj, "spec")
    signer = spec.get("signerName", "")
    errors = validate_signer_name(signer, "spec.signerName")
    if annotations := spec.get("unverifiedUserAnnotations"):
        errors += validate_annotations(annotations, "spec.unverifiedUserAnnotations")
    for who in ("pod", "serviceAccount", "node"):
        errors += _validate_identity(spec, who)
    seconds = spec.get("maxExpirationSeconds")
    if seconds is None:
        return [*errors, required("spec.maxExpirationSeconds", "must be set")]
    domain = signer.partition("/")[0]
    ours = domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    longest = LONGEST_KUBERNETES_LIFE if ours else LONGEST_LIFE
    if not SHORTEST_LIFE <= seconds <= longest:
        errors.append(
            invalid("spec.maxExpirationSeconds", seconds, f"must be in the range [{SHORTEST_LIFE}, {longest}]")
        )
    return errors + _validate_proof(spec)


def _validate_identity(spec: Object, who: str) -> Errors:
    name, uid = spec.get(f"{who}Name", ""), spec.get(f"{who}UID", "")
    errors = [invalid(f"spec.{who}Name", name, fault) for fault in names.is_dns1123_subdomain(name)]
    if not uid:
        errors.append(invalid(f"spec.{who}UID", uid, "must not be empty"))
    elif len(uid) > LONGEST_UID:
        errors.append(too_long(f"spec.{who}UID", LONGEST_UID))
    return errors


def _validate_proof(spec: Object) -> Errors:
    """The requestor has the private key: the proof is the pod's UID, signed."""
    key, proof = (spec.get(field) or "" for field in ("pkixPublicKey", "proofOfPossession"))
    key_bytes, proof_bytes = base64.b64decode(key), base64.b64decode(proof)
    if len(key_bytes) > LARGEST_KEY:
        return [too_long("spec.pkixPublicKey", LARGEST_KEY)]
    if len(proof_bytes) > LARGEST_PROOF:
        return [too_long("spec.proofOfPossession", LARGEST_PROOF)]
    if not key and not proof and spec.get("stubPKCS10Request"):
        return []
    try:
        public = load_der_public_key(key_bytes)
    except (ValueError, UnsupportedAlgorithm):
        return [invalid("spec.pkixPublicKey", key, "must be a valid PKIX-serialized public key")]
    if fault := _key_fault(public, key):
        return [invalid("spec.pkixPublicKey", *fault)]
    try:
        _verify(public, proof_bytes, spec.get("podUID", "").encode())
    except InvalidSignature:
        return [invalid("spec.proofOfPossession", OMITTED, "could not verify proof-of-possession signature")]
    return []


def _key_fault(public: Any, key: str) -> tuple[str, str] | None:
    if isinstance(public, ec.EllipticCurvePublicKey):
        if not isinstance(public.curve, CURVES):
            return f"curve {public.curve.name}", "elliptic public keys must use curve P256 or P384"
    elif isinstance(public, rsa.RSAPublicKey):
        if public.key_size not in (3072, 4096):
            return f"{public.key_size}-bit modulus", "RSA keys must have modulus size 3072 or 4096"
    elif not isinstance(public, ed25519.Ed25519PublicKey):
        return key, "unknown public key type; supported types are Ed25519, ECDSA, and RSA"
    return None


def _verify(public: Any, proof: bytes, message: bytes) -> None:
    """Raises InvalidSignature."""
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(proof, message)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(proof, message, ec.ECDSA(hashes.SHA256()))
    else:
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO)
        public.verify(proof, message, pss, hashes.SHA256())


def _pod_request_update(new: Object, old: Object) -> Errors:
    return unchanged(new.get("spec"), old.get("spec"), "spec")


def _pod_request_status(new: Object, old: Object) -> Errors:
    """A request is decided once: issued with a certificate for its key, or denied or failed with nothing."""
    after, before = section(new, "status"), section(old, "status")
    errors = _validate_decisions(after.get("conditions"))
    if errors:
        return errors
    if _decision(before):
        text = "immutable after PodCertificateRequest is issued, denied, or failed"
        return [] if after == before else [invalid("status", OMITTED, text)]
    decision = _decision(after)
    if decision == "Issued":
        return _validate_issued(after, section(new, "spec"), section(old, "spec"))
    if decision:
        others = {name for name, value in after.items() if value and name != "conditions"}
        text = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        return [invalid("status", OMITTED, text)] if others else []
    text = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
    return [] if after == before else [invalid("status", OMITTED, text)]


def _validate_decisions(conditions: list[Object] | None) -> Errors:
    errors: Errors = []
    known = 0
    for path, condition in each("status.conditions", conditions):
        kind, status = condition.get("type", ""), condition.get("status", "")
        if kind not in DECISIONS:
            errors.append(not_supported(f"{path}.type", kind, DECISIONS))
            continue
        known += 1
        if known > 1:
            text = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
            errors.append(invalid(f"{path}.type", kind, text))
        if status != "True":
            errors.append(not_supported(f"{path}.status", status, ("True",)))
    return errors + validate_conditions(conditions, "status.conditions")


def _decision(status: Object) -> str:
    conditions = status.get("conditions") or ()
    return next((found["type"] for found in conditions if found.get("status") == "True"), "")


def _validate_issued(status: Object, spec: Object, asked: Object) -> Errors:
    path = "status.certificateChain"
    chain = status.get("certificateChain", "")
    if len(chain) > LARGEST_CHAIN:
        return [too_long(path, LARGEST_CHAIN)]
    found = list(PEM.finditer(chain.encode()))
    if not found:
        return [invalid(path, chain, "issued certificate chain must contain at least one certificate")]
    leaf, *rest = found
    blocks = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
    if leaf[1] != b"CERTIFICATE":
        return [invalid(path, chain, blocks)]
    certificate = _certificate(leaf)
    if certificate is None:
        return [invalid(path, chain, "leaf certificate does not parse as valid X.509")]
    if _public_bytes(certificate.public_key()) != base64.b64decode(asked.get("pkixPublicKey") or ""):
        return [invalid(path, chain, "leaf certificate was not issued to the requested public key")]
    if errors := _validate_times(status, certificate, spec.get("maxExpirationSeconds") or 0):
        return errors
    for block in rest:
        if block[1] != b"CERTIFICATE":
            return [invalid(path, chain, blocks)]
        if _certificate(block) is None:
            return [invalid(path, chain, "intermediate certificate does not parse as valid X.509")]
    return []


def _public_bytes(public: Any) -> bytes:
    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _validate_times(status: Object, certificate: x509.Certificate, longest: int) -> Errors:
    missing = [
        required(f"status.{field}", text)
        for field, text in {
            "notBefore": "must be present and consistent with the issued certificate",
            "notAfter": "must be present and consistent with the issued certificate",
            "beginRefreshAt": "must be present and in the range [notbefore+10min, notafter-10min]",
        }.items()
        if not status.get(field)
    ]
    if missing:
        return missing
    start, end, refresh = (_seconds(status[field]) for field in ("notBefore", "notAfter", "beginRefreshAt"))
    real_start, real_end = (
        int(moment.replace(tzinfo=UTC).timestamp())
        for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
    )
    life = real_end - real_start
    chain = "status.certificateChain"
    for path, shown, wrong, text in (
        ("status.notBefore", status["notBefore"], start != real_start,
         "must be set to the NotBefore time encoded in the leaf certificate"),
        ("status.notBefore", status["notBefore"], abs(start - time.time()) >= CLOCK_SKEW,
         "must be set to within 5 minutes of kube-apiserver's current time"),
        ("status.notAfter", status["notAfter"], end != real_end,
         "must be set to the NotAfter time encoded in the leaf certificate"),
        (chain, f"{life}s", life < SHORTEST_LIFE, "leaf certificate lifetime must be >= 1 hour"),
        (chain, f"{life}s", life > longest,
         f"leaf certificate lifetime must be <= spec.maxExpirationSeconds ({longest})"),
        ("status.beginRefreshAt", status["beginRefreshAt"], refresh < start + REFRESH_MARGIN,
         "must be at least 10 minutes after status.notBefore"),
        ("status.beginRefreshAt", status["beginRefreshAt"], refresh > end - REFRESH_MARGIN,
         "must be at least 10 minutes before status.notAfter"),
    ):  # fmt: skip
        if wrong:
            return [invalid(path, shown, text)]
    return []


def _seconds(moment: str) -> int:
    return timegm(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ"))


GROUP = "certificates.k8s.io"
KINDS = {
    (GROUP, "ClusterTrustBundle"): KindValidation(
        name=names.anything, metadata="M*U", create=validate_bundle, updates={"": _bundle_update}
    ),
    (GROUP, "PodCertificateRequest"): KindValidation(
        create=validate_pod_request, updates={"": _pod_request_update, "status": _pod_request_status}
    ),
}
