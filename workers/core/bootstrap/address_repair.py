"""Repair of cluster IPs: every service's address has its IPAddress, and no IPAddress is left without its service.

pkg/registry/core/service/ipallocator/controller/repairip.go. A request allocates an address before it stores the service,
so what refers to nothing is removed only when it is older than a request can last.
"""

from __future__ import annotations

import datetime
import ipaddress
import logging
from collections.abc import Iterable
from typing import Any

from workers.core.bootstrap.objects import Objects
from workers.core.bootstrap.recorder import Recorder
from workers.registry.service_ip import FAMILY_LABEL, GROUP, MANAGED_BY, MANAGED_BY_LABEL, family_of, ip_address_object

log = logging.getLogger(__name__)

Object = dict[str, Any]
ADDRESSES, CIDRS = "ipaddresses", "servicecidrs"
COMPONENT = "ipallocator-repair-controller"
GRACE = 60.0


class AddressRepair:
    """One server's repair of cluster IPs."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._services = Recorder(objects, COMPONENT, "ClusterIPAllocation")
        self._addresses = Recorder(objects, COMPONENT, "IPAddressAllocation")

    async def round(self) -> None:
        """Go through all services and all addresses. Raises ApiError."""
        networks = [
            ipaddress.ip_network(cidr)
            for found in self._objects.list(GROUP, CIDRS)
            for cidr in found["spec"].get("cidrs") or ()
        ]
        for service in self._objects.list("", "services"):
            if service["spec"].get("clusterIP") not in (None, "", "None"):
                for ip in service["spec"].get("clusterIPs") or ():
                    await self._check(service, ip, networks)
        for address in self._objects.list(GROUP, ADDRESSES):
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
            return
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
