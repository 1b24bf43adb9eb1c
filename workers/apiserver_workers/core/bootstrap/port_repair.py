"""Repair of node ports: the bitmap in etcd says which ports services have (portallocator/controller/repair.go).

A port that no service has may be one whose service is just being stored, so it is freed only when it was seen so in
several rounds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from apiserver_workers.core.bootstrap.address_repair import others_first
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.core.bootstrap.recorder import Recorder
from apiserver_workers.registry.node_ports import NodePorts

log = logging.getLogger(__name__)

Object = dict[str, Any]
COMPONENT = "portallocator-repair-controller"
ROUNDS_BEFORE_FREED = 3


class PortRepair:
    """One server's repair of node ports."""

    def __init__(self, objects: Objects, ports: NodePorts) -> None:
        self._objects, self._ports = objects, ports
        self._recorder = Recorder(objects, COMPONENT)
        self._seen: dict[int, int] = {}  # rounds in which a port belonged to nobody

    async def round(self) -> None:
        """Make the bitmap right. Raises ApiError, StorageError."""
        leaks: dict[int, int] = {}

        async def wanted(stored: frozenset[int]) -> Iterable[int]:
            # the services are read after the bitmap, so that a port taken in between makes the write fail
            await self._objects.fresh("", "services")
            used = await self._used(stored)
            leaks.clear()
            leaks.update({port: self._seen.get(port, 0) + 1 for port in stored - used})
            return used | {port for port, rounds in leaks.items() if rounds < ROUNDS_BEFORE_FREED}

        await self._ports.rebuild(wanted)
        for port, rounds in leaks.items():
            freed = rounds >= ROUNDS_BEFORE_FREED
            log.warning("the node port %d %s", port, "has leaked: freed" if freed else "may have leaked")
        self._seen = leaks

    async def _used(self, stored: frozenset[int]) -> set[int]:
        used: set[int] = set()
        for number, service in enumerate(self._objects.list("", "services")):
            await others_first(number)
            for port in node_ports_of(service["spec"]):
                if not self._ports.first <= port <= self._ports.last:
                    text = f"Port {port} is not within the port range {self._ports.text}; please recreate service"
                    await self._warn(service, "PortOutOfRange", text)
                elif port in used:
                    text = f"Port {port} was assigned to multiple services; please recreate service"
                    await self._warn(service, "PortAlreadyAllocated", text)
                elif port not in stored:
                    await self._warn(service, "PortNotAllocated", f"Port {port} is not allocated; repairing")
                used.add(port)
        return used

    async def _warn(self, service: Object, reason: str, message: str) -> None:
        log.warning("service %s/%s: %s", service["metadata"]["namespace"], service["metadata"]["name"], message)
        await self._recorder.warn("Service", service, reason, message)


def node_ports_of(spec: Object) -> list[int]:
    """The ports that a service holds; one that two protocols share counts once, one used twice by the same counts twice."""
    found: list[int] = []
    seen: set[tuple[int, str]] = set()
    for port in spec.get("ports") or ():
        number, protocol = port.get("nodePort") or 0, port.get("protocol", "TCP")
        if number and (number not in found or (number, protocol) in seen):
            found.append(number)
        seen.add((number, protocol))
    health = spec.get("healthCheckNodePort") or 0
    if health and (health not in found or (health, "TCP") in seen):
        found.append(health)
    return found
