"""The keys of service account tokens: reading them, and how tokens and verifiers name them (client-go/util/keyutil)."""

from __future__ import annotations

import base64
import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
BEGIN = b"-----BEGIN "

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def algorithm_of(key: PublicKey) -> str:
    """Raises ValueError for a curve that JWTs do not know."""
    if isinstance(key, rsa.RSAPublicKey):
        return "RS256"
    if key.curve.name not in CURVES:
        raise ValueError("unknown key curve, must be 256, 384, or 521")
    return CURVES[key.curve.name]


def key_id(key: PublicKey) -> str:
    """A key's name in tokens, from which the key cannot be guessed."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def parse_keys(content: bytes) -> list[PublicKey]:
    """The public keys of a PEM file's private keys, public keys and certificates. Raises ValueError if it has none."""
    keys = [key for block in content.split(BEGIN)[1:] if (key := _public_key(BEGIN + block)) is not None]
    if not keys:
        raise ValueError("data does not contain any valid RSA or ECDSA public keys")
    for key in keys:
        algorithm_of(key)
    return keys


def _public_key(pem: bytes) -> PublicKey | None:
    """The block's key, None if it holds none of a kind that signs tokens."""
    label = pem.split(b"\n", 1)[0]
    try:
        if b"PRIVATE KEY" in label:
            key: object = serialization.load_pem_private_key(pem, None).public_key()
        elif b"PUBLIC KEY" in label:
            key = serialization.load_pem_public_key(pem)
        elif b"CERTIFICATE" in label:
            key = x509.load_pem_x509_certificate(pem).public_key()
        else:
            return None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, PublicKey) else None


def parse_signing_key(content: bytes) -> PrivateKey:
    """The key of a PEM file that signs tokens. Raises ValueError."""
    try:
        key = serialization.load_pem_private_key(content, None)
    except TypeError:
        raise ValueError("the private key is encrypted") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("data does not contain a valid RSA or ECDSA private key") from None
    if not isinstance(key, PrivateKey):
        raise ValueError("data does not contain a valid RSA or ECDSA private key")
    algorithm_of(key.public_key())
    return key
