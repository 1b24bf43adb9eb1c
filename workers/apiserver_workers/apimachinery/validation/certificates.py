"""certificates: CertificateSigningRequest (pkg/apis/certificates/validation)."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection
from functools import partial
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    repeated,
    required,
    section,
    shown,
    too_long,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation

Object = dict[str, Any]

LEGACY_SIGNER = "kubernetes.io/legacy-unknown"
SHORTEST_EXPIRATION = 600
LONGEST_DOMAIN, LONGEST_SIGNER = 253, 253 + 1 + 63 + 1 + 253
BEGIN = b"-----BEGIN "
PEM_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----[ \t\r]*\n(.*?)-----END \1-----", re.DOTALL)
DECISIONS = ("Approved", "Denied", "Failed")
OPPOSITE = {"Approved": "Denied", "Denied": "Approved"}
CONDITIONS = "status.conditions"
USAGES = (
    "any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment",
    "decipher only", "digital signature", "email protection", "encipher only", "ipsec end system", "ipsec tunnel",
    "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc", "ocsp signing", "s/mime",
    "server auth", "signing", "timestamping",
)  # fmt: skip


def validate_signing_request(obj: Object) -> Errors:
    spec = section(obj, "spec")
    errors: Errors = []
    request = spec.get("request")
    if fault := _request_fault(base64.b64decode(request or "")):
        errors.append(invalid("spec.request", request, fault))
    errors += _validate_usages(spec.get("usages"), "spec.usages")
    signer = spec.get("signerName", "")
    if signer == LEGACY_SIGNER:
        text = "the legacy signerName is not allowed via this API version"
        errors.append(invalid("spec.signerName", signer, text))
    else:
        errors += validate_signer_name(signer, "spec.signerName")
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < SHORTEST_EXPIRATION:
        text = "may not specify a duration less than 600 seconds (10 minutes)"
        errors.append(invalid("spec.expirationSeconds", seconds, text))
    return errors + _validate_conditions(section(obj, "status").get("conditions"))


def _request_fault(request: bytes) -> str:
    """validateCSR: what is wrong with a PEM-encoded PKCS#10 request."""
    block = request[request.find(BEGIN) :] if BEGIN in request else b""
    if not block.startswith(BEGIN + b"CERTIFICATE REQUEST-----"):
        return "PEM block type must be CERTIFICATE REQUEST"
    try:
        parsed = x509.load_pem_x509_csr(block)
        return "" if parsed.is_signature_valid else "x509: signature verification failure"
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        return f"x509: malformed certificate request: {error}"


def _validate_usages(usages: list[str] | None, path: str) -> Errors:
    if not usages:
        return [required(path)]
    errors: Errors = []
    for at, usage in each(path, usages):
        if usage not in USAGES:
            errors.append(not_supported(at, usage, USAGES))
    again = repeated(usages)
    for index, (at, usage) in enumerate(each(path, usages)):
        if index in again:
            errors.append(duplicate(at, usage))
    return errors


def validate_signer_name(name: str, path: str) -> Errors:
    """ValidateSignerName: `domain/path`, the domain of two labels at least."""
    if not name:
        return [required(path)]
    parts = name.split("/")
    if len(parts) != 2:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        return [invalid(path, name, text)]
    domain, tail = parts
    errors: Errors = [too_long(path, LONGEST_DOMAIN)] if len(domain) > LONGEST_DOMAIN else []
    errors += _validate_segment(domain, path, names.is_dns1123_label)
    if "." not in domain:
        errors.append(invalid(path, domain, "should be a domain with at least two segments separated by dots"))
    errors += _validate_segment(tail, path, names.is_dns1123_subdomain)
    if len(name) > LONGEST_SIGNER:
        errors.append(too_long(path, LONGEST_SIGNER))
    return errors


def _validate_segment(segment: str, path: str, check: names.Checker) -> Errors:
    """The faults of the first label that has any: those of others would look the same."""
    for label in segment.split("."):
        if faults := check(label):
            return [invalid(path, segment, f"validating label {shown(label)}: {fault}") for fault in faults]
    return []


def _validate_conditions(conditions: list[Object] | None, lenient: Collection[str] = ()) -> Errors:
    """`lenient`: the faults that the stored request has already, and may keep."""
    errors: Errors = []
    seen: set[str] = set()
    for at, condition in each(CONDITIONS, conditions):
        kind, status = condition.get("type", ""), condition.get("status", "")
        if not kind and "empty" not in lenient:
            errors.append(required(f"{at}.type"))
        allowed = ("True",) if kind in DECISIONS else ("False", "True", "Unknown")
        if not status:
            errors.append(required(f"{at}.status"))
        elif status not in allowed:
            errors.append(not_supported(f"{at}.status", status, allowed))
        if OPPOSITE.get(kind) in seen and "both" not in lenient:
            errors.append(invalid(CONDITIONS, kind, "Approved and Denied conditions are mutually exclusive"))
        if kind in seen and "duplicate" not in lenient:
            errors.append(duplicate(f"{at}.type", kind))
        seen.add(kind)
    return errors


def _faults_of(request: Object) -> set[str]:
    """What is wrong with the conditions of a stored request."""
    kinds = [one.get("type", "") for one in section(request, "status").get("conditions") or ()]
    faults = {
        "empty": "" in kinds,
        "both": {"Approved", "Denied"} <= set(kinds),
        "duplicate": len(set(kinds)) < len(kinds),
    }
    return {fault for fault, so in faults.items() if so}


def _request_update(new: Object, old: Object, *, decides: bool = False, signs: bool = False) -> Errors:
    """An update of whichever part: only the approval `decides`, only the signer `signs`, and no decision is taken back.

    The spec is the stored one, so it is not looked at again.
    """
    before, after = (section(obj, "status").get("certificate") for obj in (old, new))
    errors = _validate_conditions(section(new, "status").get("conditions"), _faults_of(old))
    if after and after != before and (fault := _certificate_fault(base64.b64decode(after))):
        errors.append(invalid("status.certificate", "<certificate data>", fault))
    more = {kind: len(_of_type(new, kind)) - len(_of_type(old, kind)) for kind in DECISIONS}
    taken = [kind for kind in DECISIONS if more[kind] < 0]
    given = [] if decides else [kind for kind in OPPOSITE if more[kind] > 0]
    errors += [forbidden(CONDITIONS, f'updates may not remove a condition of type "{kind}"') for kind in taken]
    errors += [forbidden(CONDITIONS, f'updates may not add a condition of type "{kind}"') for kind in given]
    if after != before and not signs:
        errors.append(forbidden("status.certificate", "updates may not set certificate content"))
    elif after != before and before:
        errors.append(forbidden("status.certificate", "updates may not modify existing certificate content"))
    return errors


def _of_type(obj: Object, kind: str) -> list[Object]:
    return [one for one in section(obj, "status").get("conditions") or () if one.get("type") == kind]


def _certificate_fault(data: bytes) -> str:
    """validateCertificate: what is wrong with a chain of PEM-encoded certificates."""
    blocks = PEM_BLOCK.findall(data)
    for kind, body in blocks:
        if kind != b"CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{kind.decode("utf-8", "replace")}"'
        if b":" in body:
            return "no PEM block headers are permitted"
        try:
            x509.load_der_x509_certificate(base64.b64decode(body))
        except ValueError:
            return "x509: malformed certificate"
    return "" if blocks else "must contain at least one CERTIFICATE PEM block"


KINDS = {
    ("certificates.k8s.io", "CertificateSigningRequest"): KindValidation(
        name=names.anything,
        metadata="M*U",
        status="M*U",
        create=validate_signing_request,
        updates={
            "": _request_update,
            "approval": partial(_request_update, decides=True),
            "status": partial(_request_update, signs=True),
        },
    ),
}
