"""Audit ids: one UUID per request, from a pool of random bytes because uuid4() costs a system call each."""

from __future__ import annotations

import os

HEADER = "audit-id"
LIMIT = 64  # upstream cuts longer ids of clients
_POOL = 128 * 16


class AuditIds:
    """Makes random (version 4) UUIDs. Each process fills its own pool after fork."""

    def __init__(self) -> None:
        self._hex = ""
        self._at = 0
        self._pid = 0

    def __call__(self) -> str:
        if self._at == len(self._hex) or self._pid != os.getpid():
            self._hex, self._at, self._pid = os.urandom(_POOL).hex(), 0, os.getpid()
        h = self._hex[self._at : self._at + 32]
        self._at += 32
        return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:]}"


new_audit_id = AuditIds()
