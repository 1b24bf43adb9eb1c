"""Node ports: one bitmap for the cluster in etcd (pkg/registry/core/service/portallocator, storage/storage.go).

The bitmap is a RangeAllocation at `ranges/servicenodeports`; every change is compare-and-swap, so workers and servers
never give one port twice. The first part of the range is left to services that ask for a port by number (KEP-3668).
"""

from __future__ import annotations

import base64
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

import orjson

from apiserver_workers.storage.interface import KeyExists, Mismatch

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

KEY = "ranges/servicenodeports"
ALLOCATED = "provided port is already allocated"
FULL = "range is full"


class PortError(Exception):
    """A port cannot be had; the message says why."""


class NodePorts:
    """The ports `first` to `last` of --service-node-port-range."""

    def __init__(self, registry: Registry, text: str) -> None:
        self.text = text
        self.first, self.last = parse_range(text)
        self.size = self.last - self.first + 1
        self.static = 0 if self.size <= 16 else min(max(16, self.size // 32), 128)
        self.storage = registry.storage
        self.key = f"{registry.etcd_prefix}/{KEY}"

    def check(self, port: int) -> None:
        """Raises PortError if the port is outside the range."""
        if not self.first <= port <= self.last:
            raise PortError(f"provided port is not in the valid range. The range of valid ports is {self.text}")

    async def allocate(self, port: int, *, dry_run: bool) -> None:
        """Take this very port; a dry run takes and checks nothing. Raises PortError."""
        if dry_run:
            return
        self.check(port)

        def take(bits: int) -> int:
            if bits >> (port - self.first) & 1:
                raise PortError(ALLOCATED)
            return bits | 1 << (port - self.first)

        await self._change(take, dry_run=False)

    async def allocate_next(self, *, dry_run: bool, besides: Iterable[int] = ()) -> int:
        """A free port that is none of `besides`, random within the dynamic part first. Raises PortError."""
        found = 0

        def take(bits: int) -> int:
            nonlocal found
            found = self._free(bits, frozenset(besides))
            return bits | 1 << (found - self.first)

        await self._change(take, dry_run=dry_run)
        return found

    def _free(self, bits: int, besides: frozenset[int]) -> int:
        for first, last in ((self.first + self.static, self.last), (self.first, self.first + self.static - 1)):
            span = last - first + 1
            if span <= 0:
                continue
            start = random.randrange(span)
            for step in range(span):
                port = first + (start + step) % span
                if not bits >> (port - self.first) & 1 and port not in besides:
                    return port
        raise PortError(FULL)

    async def release(self, ports: Iterable[int]) -> None:
        """Give ports back; those outside the range are ignored."""
        mask = self._bits(ports)
        if mask:
            await self._change(lambda bits: bits & ~mask, dry_run=False)

    async def rebuild(self, wanted: Callable[[frozenset[int]], Awaitable[Iterable[int]]]) -> None:
        """Make the bitmap, or create it, as `wanted` says, which is told what it says now: the repair loop."""
        while True:
            bits, revision = await self._read()
            rebuilt = self._bits(await wanted(self._ports(bits)))
            if revision and rebuilt == bits:
                return
            try:
                await self._write(rebuilt, revision)
                return
            except (Mismatch, KeyExists):
                continue

    async def allocated(self) -> frozenset[int]:
        """The ports that are taken now."""
        return self._ports((await self._read())[0])

    def _ports(self, bits: int) -> frozenset[int]:
        return frozenset(self.first + offset for offset in range(self.size) if bits >> offset & 1)

    def _bits(self, ports: Iterable[int]) -> int:
        return sum(1 << (port - self.first) for port in set(ports) if self.first <= port <= self.last)

    async def _change(self, change: Callable[[int], int], *, dry_run: bool) -> None:
        """Apply `change` to the bitmap until the write wins. Raises what `change` raises, Unavailable."""
        while True:
            bits, revision = await self._read()
            wanted = change(bits)
            if dry_run or wanted == bits:
                return
            try:
                await self._write(wanted, revision)
                return
            except (Mismatch, KeyExists):
                continue

    async def _write(self, bits: int, revision: int) -> None:
        if revision:
            await self.storage.update(self.key, self._value(bits), revision)
        else:
            await self.storage.create(self.key, self._value(bits))

    async def _read(self) -> tuple[int, int]:
        """The bits of this range, also if the server had another range before, and the revision."""
        entry = await self.storage.get(self.key)
        if entry is None:
            return 0, 0
        held = orjson.loads(entry.value)
        bits = int.from_bytes(base64.b64decode(held.get("data") or ""), "big")
        moved = parse_range(held["range"])[0] - self.first if held.get("range") else 0
        bits = bits << moved if moved > 0 else bits >> -moved
        return bits & ((1 << self.size) - 1), entry.mod_revision

    def _value(self, bits: int) -> bytes:
        data = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
        return orjson.dumps(
            {
                "kind": "RangeAllocation",
                "apiVersion": "v1",
                "metadata": {"name": "servicenodeports"},
                "range": self.text,
                "data": base64.b64encode(data).decode(),
            }
        )


def parse_range(text: str) -> tuple[int, int]:
    """`30000-32767` or `30000+2767` as its first and last port (k8s.io/apimachinery/pkg/util/net PortRange)."""
    low, plus, size = text.partition("+")
    if plus:
        return int(low), int(low) + int(size)
    low, _, high = text.partition("-")
    return int(low), int(high or low)
