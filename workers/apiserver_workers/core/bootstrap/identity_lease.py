"""The server's identity: a Lease in kube-system that says which servers there are, renewed while this one lives."""

from __future__ import annotations

import datetime
import hashlib
import socket
import uuid
from typing import Any

from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.server_id import server_id

Object = dict[str, Any]

GROUP, NAMESPACE = "coordination.k8s.io", "kube-system"
IDENTITY_LABEL, IDENTITY = "apiserver.kubernetes.io/identity", "kube-apiserver"
HOSTNAME_LABEL = "kubernetes.io/hostname"
PEER_ADDRESS = "kubernetes.io/peer-advertise-address"
DURATION = 3600
TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%fZ"


class IdentityLease:
    """This server's lease. Its name is the same after a restart, its holder is not."""

    def __init__(self, objects: Objects, config: ServerConfig) -> None:
        self._objects = objects
        self._address = f"{config.advertise_address}:{config.secure_port}"
        self._hostname = socket.gethostname()
        self.name = server_id(config)
        # of this start of the server, whichever of its workers renews the lease
        start = hashlib.sha256(b"holder" + config.loopback_token.encode()).digest()[:16]
        self._holder = f"{self.name}_{uuid.UUID(bytes=start, version=4)}"

    async def renew(self) -> None:
        """Create the lease or renew it. Raises ApiError."""
        if self._objects.get(GROUP, "leases", self.name, NAMESPACE) is None:
            metadata = {
                "name": self.name,
                "namespace": NAMESPACE,
                "labels": {IDENTITY_LABEL: IDENTITY, HOSTNAME_LABEL: self._hostname},
                "annotations": {PEER_ADDRESS: self._address},
            }
            await self._objects.create(GROUP, "leases", {"metadata": metadata, "spec": self._spec()})
        else:
            await self._objects.update(GROUP, "leases", self.name, self._renewed, namespace=NAMESPACE)

    def _renewed(self, live: Object) -> Object:
        return {**live, "spec": {**live.get("spec", {}), **self._spec()}}

    def _spec(self) -> Object:
        now = datetime.datetime.now(datetime.UTC).strftime(TIME_FORMAT)
        return {"holderIdentity": self._holder, "leaseDurationSeconds": DURATION, "renewTime": now}


async def collect_expired(objects: Objects) -> None:
    """Delete the leases of servers that have been gone for long. Raises ApiError."""
    now = datetime.datetime.now(datetime.UTC)
    for lease in objects.list(GROUP, "leases", NAMESPACE):
        if lease["metadata"].get("labels", {}).get(IDENTITY_LABEL) == IDENTITY and expired(lease, now):
            await objects.delete(GROUP, "leases", lease, unchanged=True)


def expired(lease: Object, now: datetime.datetime) -> bool:
    """Whether nobody renewed the lease in time; one that never was renewed counts as expired."""
    spec = lease.get("spec", {})
    renewed = spec.get("renewTime")
    if not renewed:
        return True
    return (
        datetime.datetime.fromisoformat(renewed) + datetime.timedelta(seconds=spec.get("leaseDurationSeconds", 0)) < now
    )
