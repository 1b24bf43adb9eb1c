"""From a client's certificate to an authority that we trust, as crypto/x509 in Go finds the way.

Every authority of a CA file ends a chain, whether or not it signed itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

MAX_BETWEEN = 8
CLIENT_USAGES = (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)


def chain_to(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    below: int = 0,
) -> list[x509.Certificate] | None:
    """The certificate, those of `others` that lead on, and the authority at the end; None if there is no way.

    `below` is how many certificates that are no leaf lie below. Raises ValueError for malformed extensions.
    """
    if certificate in authorities:
        return [certificate]
    for authority in authorities:
        if may_issue(authority, below) and _issued_by(certificate, authority):
            return [certificate, authority]
    if below >= MAX_BETWEEN:
        return None
    for other in others:
        if may_issue(other, below) and _issued_by(certificate, other):
            rest = [each for each in others if each is not other]
            if (way := chain_to(other, rest, authorities, below + 1)) is not None:
                return [certificate, *way]
    return None


def _issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def may_issue(certificate: x509.Certificate, below: int) -> bool:
    """Whether it is an authority's, with room for that many authorities below it. Before version 3 none could tell."""
    if certificate.version is x509.Version.v1:
        return True
    extensions = certificate.extensions
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    try:
        signs = extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        signs = True
    return constraints.ca and signs and (constraints.path_length is None or constraints.path_length >= below)


def is_for_clients(certificate: x509.Certificate) -> bool:
    """Whether it may identify a client: it says so, or says nothing of what it is for."""
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    return any(usage in usages for usage in CLIENT_USAGES)
