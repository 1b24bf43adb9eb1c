"""start-service-ip-repair-controllers: cluster IPs and node ports, each at its own pace."""

from __future__ import annotations

import time

from apiserver_workers.core.bootstrap.address_repair import AddressRepair
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.core.bootstrap.port_repair import PortRepair
from apiserver_workers.registry.node_ports import NodePorts

INTERVAL = 10.0  # of looking whether cluster IPs have changed
PORTS_INTERVAL = 180.0


class ServiceRepair:
    """Both repairs of one server."""

    def __init__(self, objects: Objects, ports: NodePorts) -> None:
        self._addresses, self._ports = AddressRepair(objects), PortRepair(objects, ports)
        self._ports_due = 0.0

    async def run(self) -> None:
        """A round of what is due. Raises ApiError, StorageError."""
        await self._addresses.round()
        if time.monotonic() >= self._ports_due:
            await self._ports.round()
            self._ports_due = time.monotonic() + PORTS_INTERVAL
