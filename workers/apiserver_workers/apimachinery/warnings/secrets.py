"""Whether a TLS secret's key fits its certificate (pkg/registry/core/secret/strategy.go, Go's tls.X509KeyPair)."""

from __future__ import annotations

import base64
import re
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

Object = dict[str, Any]
_block = re.compile(rb"-----BEGIN ([^-\r\n]+)-----.+?-----END \1-----", re.DOTALL)


def warn_of_secret(secret: Object) -> list[str]:
    if secret.get("type") != "kubernetes.io/tls":
        return []
    data = secret.get("data") or {}
    fault = _pair_fault(*(base64.b64decode(data.get(name) or "") for name in ("tls.crt", "tls.key")))
    return [fault] if fault else []


def _pair_fault(certificate: bytes, private: bytes) -> str:
    chain = list(_block.finditer(certificate))
    found = [block for block in chain if block[1] == b"CERTIFICATE"]
    if not chain:
        return "tls: failed to find any PEM data in certificate input"
    if not found:
        text = "tls: failed to find certificate PEM data in certificate input"
        if len(chain) == 1 and chain[0][1].endswith(b"PRIVATE KEY"):
            return f"{text}, but did find a private key; PEM inputs may have been switched"
        return f"{text} after skipping PEM blocks of the following types: [{b' '.join(b[1] for b in chain).decode()}]"
    blocks = list(_block.finditer(private))
    keys = [block for block in blocks if block[1] == b"PRIVATE KEY" or block[1].endswith(b" PRIVATE KEY")]
    if not blocks:
        return "tls: failed to find any PEM data in key input"
    if not keys:
        if len(blocks) == 1 and blocks[0][1] == b"CERTIFICATE":
            return "tls: found a certificate rather than a key in the PEM for the private key"
        types = b" ".join(b[1] for b in blocks).decode()
        return f"tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the following types: [{types}]"  # fmt: skip
    return _mismatch(found[0][0], keys[0][0])


def _mismatch(certificate: bytes, private: bytes) -> str:
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except ValueError:
        return "x509: malformed certificate"
    try:
        key = load_pem_private_key(private, None)
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    same = public.public_bytes(*form) == key.public_key().public_bytes(*form)
    return "" if same else "tls: private key does not match public key"
