"""Repair of cluster IPs: every service's address has its IPAddress, and no IPAddress is left without its service.

pkg/registry/core/service/ipallocator/controller/repairip.go. A request allocates an address before it stores the service,
so what refers to nothing is removed only when it is older than a request can last.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import logging
import time
from collections.abc import Iterable
from typing import Any

from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.core.bootstrap.recorder import Recorder
from apiserver_workers.registry.service_ip import (
    FAMILY_LABEL,
    GROUP,
    MANAGED_BY,
    MANAGED_BY_LABEL,
    family_of,
    ip_address_object,
)

log = logging.getLogger(__name__)

Object = dict[str, Any]
ADDRESSES, CIDRS = "ipaddresses", "servicecidrs"
COMPONENT = "ipallocator-repair-controller"
GRACE = 60.0
RESYNC = 180.0  # the interval of upstream's
WATCHED = (("", "services"), (GROUP, ADDRESSES), (GROUP, CIDRS))
AT_A_TIME = 100


class AddressRepair:
    """One server's repair of cluster IPs."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._services = Recorder(objects, COMPONENT, "ClusterIPAllocation")
        self._addresses = Recorder(objects, COMPONENT, "IPAddressAllocation")
        self._seen: tuple[tuple[int, int], ...] | None = None  # the versions of what was right
        self._resync = 0.0
        self._waits = False

    async def round(self) -> None:
        """Go through all services and all addresses, if any has changed since. Raises ApiError."""
        now = time.monotonic()
        version = tuple(self._objects.version(*kind) for kind in WATCHED)
        if version == self._seen and now < self._resync:
            return
        self._waits = False
        await self._go_through()
        self._seen, self._resync = None if self._waits else version, now + RESYNC

    async def _go_through(self) -> None:
        networks = [
            ipaddress.ip_network(cidr)
            for found in self._objects.list(GROUP, CIDRS)
            for cidr in found["spec"].get("cidrs") or ()
        ]
        for number, service in enumerate(self._objects.list("", "services")):
            if service["spec"].get("clusterIP") not in (None, "", "None"):
                for ip in service["spec"].get("clusterIPs") or ():
                    await self._check(service, ip, networks)
            await others_first(number)
        for number, address in enumerate(self._objects.list(GROUP, ADDRESSES)):
            await others_first(number)
            if address["metadata"].get("labels", {}).get(MANAGED_BY_LABEL) == MANAGED_BY:
                await self._check_owner(address)

    async def _check(self, service: Object, ip: str, networks: Iterable[Any]) -> None:
        try:
            parsed = ipaddress.ip_address(ip)
        except ValueError:
            await self._warn(
                service, "ClusterIPNotValid", f"Cluster IP {ip} is not a valid IP; please recreate Service"
            )
            return
        label = f"[{family_of(ip)}]: {ip}"
        if not any(parsed in network for network in networks):
            text = f"Cluster IP {label} is not within any configured Service CIDR; please recreate service"
            await self._warn(service, "ClusterIPOutOfRange", text)
            return
        address = self._objects.get(GROUP, ADDRESSES, str(parsed))
        if address is None:
            await self._warn(service, "ClusterIPNotAllocated", f"Cluster IP {label} is not allocated; repairing")
            await self._allocate(service, str(parsed))
            return
        metadata = service["metadata"]
        full = f"{metadata['namespace']}/{metadata['name']}"
        if not self._refers_to_service(address) or (not _refers(address, service) and self._owner(address) is None):
            text = f"the ClusterIP {label} for Service {full} has a wrong reference; repairing"
            await self._warn(service, "ClusterIPNotAllocated", text)
            await self._reallocate(service, address)
        elif not _refers(address, service) and _holds(self._owner(address), ip):
            text = f"Cluster IP [{family_of(ip)}]:{ip} was assigned to multiple services; please recreate service"
            await self._warn(service, "ClusterIPAlreadyAllocated", text)
        elif _refers(address, service) and not _labelled(address):
            await self._reallocate(service, address)

    async def _check_owner(self, address: Object) -> None:
        name, parent = address["metadata"]["name"], address["spec"].get("parentRef") or {}
        full = f"{parent.get('namespace', '')}/{parent.get('name', '')}"
        if not self._refers_to_service(address):
            text = f"IPAddress {name} appears to have been modified, not referencing a Service: cleaning up"
            await self._drop(address, "IPAddressNotAllocated", text)
        elif _age(address) <= GRACE:
            # its service may be about to be stored; one that does have it need not be looked at again
            self._waits = self._waits or not _holds(self._owner(address), name)
        elif (owner := self._owner(address)) is None:
            text = f"IPAddress: {name} for Service {full} appears to have leaked: cleaning up"
            await self._drop(address, "IPAddressNotAllocated", text)
        elif not _holds(owner, name):
            text = f"IPAddress: {name} for Service {full} has a wrong reference; cleaning up"
            await self._drop(address, "IPAddressWrongReference", text)

    def _owner(self, address: Object) -> Object | None:
        parent = address["spec"]["parentRef"]
        return self._objects.get("", "services", parent.get("name", ""), parent.get("namespace", ""))

    @staticmethod
    def _refers_to_service(address: Object) -> bool:
        parent = address["spec"].get("parentRef") or {}
        return not parent.get("group") and parent.get("resource") == "services"

    async def _allocate(self, service: Object, ip: str) -> None:
        await self._objects.create(GROUP, ADDRESSES, ip_address_object(ip, service["metadata"]))

    async def _reallocate(self, service: Object, address: Object) -> None:
        await self._objects.delete(GROUP, ADDRESSES, address)
        await self._allocate(service, address["metadata"]["name"])

    async def _drop(self, address: Object, reason: str, message: str) -> None:
        log.warning("%s", message)
        await self._addresses.warn("IPAddress", address, reason, message)
        await self._objects.delete(GROUP, ADDRESSES, address)

    async def _warn(self, service: Object, reason: str, message: str) -> None:
        log.warning("service %s/%s: %s", service["metadata"]["namespace"], service["metadata"]["name"], message)
        await self._services.warn("Service", service, reason, message)


async def others_first(number: int) -> None:
    """Let requests go on now and then during a long walk through objects."""
    if number % AT_A_TIME == AT_A_TIME - 1:
        await asyncio.sleep(0)


def _refers(address: Object, service: Object) -> bool:
    parent, metadata = address["spec"]["parentRef"], service["metadata"]
    return (parent.get("namespace"), parent.get("name")) == (metadata["namespace"], metadata["name"])


def _holds(service: Object | None, ip: str) -> bool:
    return service is not None and ip in (service["spec"].get("clusterIPs") or ())


def _labelled(address: Object) -> bool:
    labels = address["metadata"].get("labels", {})
    family = family_of(address["metadata"]["name"])
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY and labels.get(FAMILY_LABEL) == family


def _age(address: Object) -> float:
    created = datetime.datetime.fromisoformat(address["metadata"]["creationTimestamp"])
    return (datetime.datetime.now(datetime.UTC) - created).total_seconds()
