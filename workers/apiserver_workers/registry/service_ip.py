"""Cluster IPs: one IPAddress object an address (pkg/registry/core/service/ipallocator, KEP-1880).

Creating the object is the allocation: etcd lets exactly one creator win, whichever worker or server it is in. The first
part of a range is left to services that ask for an address by number, as long as the rest has any.
"""

from __future__ import annotations

import ipaddress
import random
from typing import TYPE_CHECKING, Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

GROUP = "networking.k8s.io"
API_VERSION = f"{GROUP}/v1"
FAMILY_LABEL, MANAGED_BY_LABEL = "ipaddress.kubernetes.io/ip-family", "ipaddress.kubernetes.io/managed-by"
MANAGED_BY = "ipallocator.k8s.io"
ALLOCATED = "provided IP is already allocated"
NOT_IN_RANGE = "the provided network does not match the current range"
FULL = "range is full"
APISERVER = UserInfo("system:apiserver", groups=("system:masters",))


class AllocationError(Exception):
    """An address cannot be had; the message says why."""


def family_of(address: str) -> str:
    return "IPv4" if ipaddress.ip_address(address).version == 4 else "IPv6"


def reserved_offset(size: int) -> int:
    """How many addresses at the start of a range are for static allocation (KEP-3070)."""
    return 0 if size <= 16 else min(max(16, size // 16), 256)


class ServiceIPs:
    """The addresses of one family's service range."""

    def __init__(self, registry: Registry, cidr: str) -> None:
        self.registry = registry
        self.network: Network = ipaddress.ip_network(cidr, strict=False)
        self.family = "IPv4" if self.network.version == 4 else "IPv6"
        first = int(self.network.network_address) + 1
        last = int(self.network.broadcast_address) - (1 if self.network.version == 4 else 0)
        self.first, self.last = first, last
        self.dynamic = first + reserved_offset(self.network.num_addresses)

    async def allocate(self, address: str, service: dict[str, Any], *, dry_run: bool) -> None:
        """Take this very address for the service; a dry run only looks at the range. Raises AllocationError."""
        ip = ipaddress.ip_address(address)
        if ip not in self.network or not self.first <= int(ip) <= self.last:
            # A dry run asks one range alone, which says what it is; else the allocator of all ranges answers.
            text = f"the provided IP ({address}) is not in the valid range. The range of valid IPs is {self.network}"
            raise AllocationError(text if dry_run else NOT_IN_RANGE)
        if not dry_run:
            await self._create(address, service)

    async def allocate_next(self, service: dict[str, Any], *, dry_run: bool) -> str:
        """A free address, random within the dynamic part, then within the rest; for a dry run one that says that none
        was taken: the network's own. Raises AllocationError."""
        if dry_run:
            return str(self.network.network_address)
        for first, last in ((self.dynamic, self.last), (self.first, self.dynamic - 1)):
            if first > last:
                continue
            span = last - first + 1
            start = random.randrange(span)
            for step in range(span):
                address = str(self._address(first + (start + step) % span))
                if self._taken(address):
                    continue
                try:
                    await self._create(address, service)
                except AllocationError:
                    continue
                return address
        raise AllocationError(FULL)

    async def release(self, address: str) -> None:
        """Give an address back; one that is not allocated is no error."""
        store = self.registry.store(GROUP, "ipaddresses")
        try:
            await store.delete(Context(user=APISERVER, name=address), DeleteOptions())
        except ApiError as error:
            if error.code != 404:
                raise

    def _address(self, number: int) -> Address:
        return ipaddress.IPv4Address(number) if self.network.version == 4 else ipaddress.IPv6Address(number)

    def _taken(self, address: str) -> bool:
        store = self.registry.store(GROUP, "ipaddresses")
        return store.cache.get(store.key("", address)) is not None

    async def _create(self, address: str, service: dict[str, Any]) -> None:
        obj = ip_address_object(address, service["metadata"])
        try:
            await self.registry.store(GROUP, "ipaddresses").create(obj, Context(user=APISERVER, name=address))
        except ApiError as error:
            raise AllocationError(ALLOCATED if error.reason == "AlreadyExists" else error.message) from None


def ip_address_object(address: str, service: dict[str, Any]) -> dict[str, Any]:
    """The IPAddress that says which service (its metadata) has the address."""
    labels = {FAMILY_LABEL: family_of(address), MANAGED_BY_LABEL: MANAGED_BY}
    parent = {"resource": "services", "namespace": service.get("namespace", ""), "name": service.get("name", "")}
    return {
        "kind": "IPAddress",
        "apiVersion": API_VERSION,
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": parent},
    }
