"""The three endpoint reconcilers: lease, master-count and none. Each round makes the stored endpoints right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from supervisor.reconcilers.endpoints import (
    ENDPOINTS_KEY,
    SLICE_KEY,
    addresses,
    endpoints_update,
    lease_value,
    publishable,
    slice_update,
    within_count,
)
from supervisor.reconcilers.store import Conflict, Store

LEASE_TTL = 15
_ATTEMPTS = 5


class ReconcileError(Exception):
    """A round could not be done; the next one tries again."""


class Reconciler(Protocol):
    """Keeps this server listed while it serves."""

    def reconcile(self) -> None:
        """One round. Raises ReconcileError, StoreError."""

    def remove(self) -> None:
        """This server does not serve: before the first round, and at the stop."""


class LeaseReconciler:
    """Every server has a key with a TTL below masterleases/; the endpoints are the servers whose keys are alive."""

    def __init__(self, store: Store, ip: str, port: int) -> None:
        self._store, self._ip, self._port = store, ip, port
        self._key = f"masterleases/{ip}"

    def reconcile(self) -> None:
        previous, _ = self._store.get(self._key)
        self._store.put_for(self._key, lease_value(self._ip, previous), LEASE_TTL)
        alive = self._alive()
        if not alive:
            raise ReconcileError("no master IPs were listed in storage, refusing to erase all endpoints")
        _publish(self._store, alive, self._port, ports=False)

    def remove(self) -> None:
        self._store.delete(self._key)
        _publish(self._store, self._alive(), self._port, ports=True)

    def _alive(self) -> list[str]:
        leases = self._store.list("masterleases/")
        return list(dict.fromkeys(found[0] for lease in leases if (found := addresses(lease))))


class MasterCountReconciler:
    """A fixed number of servers is expected; nothing is removed when one dies."""

    def __init__(self, store: Store, ip: str, port: int, count: int) -> None:
        self._store, self._ip, self._port, self._count = store, ip, port, count

    def reconcile(self) -> None:
        current, _ = self._store.get(ENDPOINTS_KEY)
        shaped = current is not None and len(current.get("subsets") or []) == 1
        listed = addresses(current) if shaped else []
        _publish(self._store, within_count(listed, self._ip, self._count), self._port, ports=True)

    def remove(self) -> None:
        current, _ = self._store.get(ENDPOINTS_KEY)
        if current:
            _publish(self._store, [ip for ip in addresses(current) if ip != self._ip], self._port, ports=True)


class NoneReconciler:
    """Never touches the endpoints."""

    def reconcile(self) -> None:
        """Nothing."""

    def remove(self) -> None:
        """Nothing."""


def _publish(store: Store, ips: Sequence[str], port: int, *, ports: bool) -> None:
    """Make the Endpoints and the EndpointSlice hold these addresses."""
    refused = [ip for ip in ips if not publishable(ip)]
    if refused:
        raise ReconcileError(f"endpoints may not hold {', '.join(refused)}: use another --advertise-address")
    for _ in range(_ATTEMPTS):
        try:
            current, revision = store.get(ENDPOINTS_KEY)
            if current is None and not ips:
                return
            changed = endpoints_update(current, ips, port, ports=ports)
            if changed:
                store.write(ENDPOINTS_KEY, changed, revision)
            present, revision = store.get(SLICE_KEY)
            mirrored = slice_update(present, changed or current or {})
            if mirrored:
                store.write(SLICE_KEY, mirrored, revision)
            return
        except Conflict:
            continue
    raise ReconcileError("the endpoints changed under every attempt")
