"""Generated names and UIDs."""

from __future__ import annotations

import os
import random

# No vowels and no 0, 1, 3: a generated name shall not read as a word (k8s.io/apimachinery/pkg/util/rand).
ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5
MAX_NAME_LENGTH = 63
_choices = random.SystemRandom().choices


def generate_name(base: str) -> str:
    """`base`, cut to leave room, with a random suffix."""
    return base[: MAX_NAME_LENGTH - SUFFIX_LENGTH] + "".join(_choices(ALPHABET, k=SUFFIX_LENGTH))


def new_uid() -> str:
    """A random (version 4) UUID."""
    raw = bytearray(os.urandom(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
