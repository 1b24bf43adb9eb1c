"""Values encrypted at rest, byte for byte as k8s.io/apiserver/pkg/storage/value/encrypt writes them.

A transformed value begins with a prefix that says which provider and key made it. The first provider's first key
writes; each whose prefix fits may read. The key in etcd is part of what AES-GCM authenticates, so that a value cannot be
moved to another object.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Protocol

from cryptography.exceptions import InvalidTag

ENCRYPTED = b"k8s:enc:"
BLOCK, GCM_NONCE, BOX_NONCE, BOX_OVERHEAD = 16, 12, 24, 16
TOO_SHORT = "the stored data was shorter than the required size"
NO_MATCH = "no matching prefix found"


class TransformError(Exception):
    """A value that cannot be decrypted; the message is upstream's and says nothing of the data."""


class Cipher(Protocol):
    """One key of one provider."""

    def encrypt(self, data: bytes, context: bytes) -> bytes: ...

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        """Raises TransformError."""
        ...


class AESCBC:
    """AES in cipher block chaining mode with PKCS#7 padding: IV, then the blocks."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import algorithms

        self._algorithm = algorithms.AES(key)

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
        from cryptography.hazmat.primitives.ciphers import modes

        iv = os.urandom(BLOCK)
        size = BLOCK - len(data) % BLOCK
        run = BlockCipher(self._algorithm, modes.CBC(iv)).encryptor()
        return iv + run.update(data + bytes((size,)) * size) + run.finalize()

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
        from cryptography.hazmat.primitives.ciphers import modes

        if len(data) < BLOCK:
            raise TransformError(TOO_SHORT)
        if len(data) % BLOCK:
            raise TransformError("the stored data is not a multiple of the block size")
        run = BlockCipher(self._algorithm, modes.CBC(data[:BLOCK])).decryptor()
        plain = run.update(data[BLOCK:]) + run.finalize()
        size = plain[-1] if plain else 0
        if not 0 < size <= len(plain):
            raise TransformError("invalid PKCS7 data (empty or not padded)")
        if plain[-size:] != bytes((size,)) * size:
            raise TransformError("invalid padding on input")
        return plain[:-size]


class AESGCM:
    """AES in Galois/Counter mode: nonce, then the sealed data; the key in etcd is authenticated with it."""

    def __init__(self, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers import aead

        self._aead = aead.AESGCM(key)

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        nonce = os.urandom(GCM_NONCE)
        return nonce + self._aead.encrypt(nonce, data, context)

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        if len(data) < GCM_NONCE:
            raise TransformError(TOO_SHORT)
        try:
            return self._aead.decrypt(data[:GCM_NONCE], data[GCM_NONCE:], context)
        except (InvalidTag, ValueError):
            raise TransformError("cipher: message authentication failed") from None


class Secretbox:
    """XSalsa20 and Poly1305, as NaCl puts them together: nonce, then the box."""

    def __init__(self, key: bytes) -> None:
        from nacl.secret import SecretBox

        self._box = SecretBox(key)

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        return bytes(self._box.encrypt(data, os.urandom(BOX_NONCE)))

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        from nacl.exceptions import CryptoError

        if len(data) < BOX_NONCE + BOX_OVERHEAD:
            raise TransformError(TOO_SHORT)
        try:
            return self._box.decrypt(data)
        except CryptoError:
            raise TransformError("output array was not large enough for encryption") from None


class Identity:
    """No encryption; what another provider has encrypted is no plain data."""

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        return data

    def decrypt(self, data: bytes, context: bytes) -> bytes:
        if data.startswith(ENCRYPTED):
            raise TransformError("identity transformer tried to read encrypted data")
        return data


class Transformer:
    """A cipher and the prefix of what it makes. `name` tells two keys of one name apart, without holding a key."""

    __slots__ = ("cipher", "name", "prefix")

    def __init__(self, prefix: bytes, cipher: Cipher, secret: bytes = b"") -> None:
        self.prefix = prefix
        self.cipher = cipher
        self.name = prefix + hashlib.sha256(b"name\0" + secret).digest() if prefix else b""


class Transformers:
    """What one resource's values may be encrypted with; the first one writes."""

    def __init__(self, transformers: Sequence[Transformer]) -> None:
        self._all = tuple(transformers)
        self._first = self._all[0]
        self.name = self._first.name
        self.is_identity = not self._first.prefix
        self.read_plain = not all(transformer.prefix for transformer in self._all)

    def encrypt(self, data: bytes, context: bytes) -> bytes:
        """The value as it lies in etcd. `context` is its key there."""
        return self._first.prefix + self._first.cipher.encrypt(data, context)

    def decrypt(self, stored: bytes, context: bytes) -> tuple[bytes, bytes]:
        """The value, and the name of the transformer that had written it. Raises TransformError."""
        why: list[str] = []
        for transformer in self._all:
            prefix = transformer.prefix
            if not stored.startswith(prefix):
                continue
            try:
                return transformer.cipher.decrypt(stored[len(prefix) :], context), transformer.name
            except TransformError as error:
                if prefix:  # plain data's place in the order must not hide the keys behind it
                    why.append(str(error))
        if not why and self.is_identity and len(self._all) == 1:
            why.append("identity transformer tried to read encrypted data")
        raise TransformError(why[0] if len(why) == 1 else f"[{', '.join(why)}]" if why else NO_MATCH)


IDENTITY = Transformers([Transformer(b"", Identity())])
