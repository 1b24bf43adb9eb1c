"""The three endpoint reconcilers: lease, master-count and none. Each round makes the stored endpoints right.

What is to be listed is decided after the endpoints were read, and written only if they are as they were then. So a server
that has just left is never listed again by another that looked at the leases before that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from apiserver_supervisor.reconcilers.endpoints import (
    ENDPOINTS_KEY,
    SLICE_KEY,
    addresses,
    endpoints_update,
    lease_value,
    publishable,
    slice_update,
    within_count,
)
from apiserver_supervisor.reconcilers.store import Conflict, Store

log = logging.getLogger(__name__)

LEASE_TTL = 15
_ATTEMPTS = 5
# The addresses to be listed, from the Endpoints as they are.
Choose = Callable[[dict[str, Any] | None], Sequence[str]]


class ReconcileError(Exception):
    """A round could not be done; the next one tries again."""


class Reconciler(Protocol):
    """Keeps this server listed while it serves. Every method raises ReconcileError, StoreError."""

    def reconcile(self) -> None:
        """One round."""

    def remove(self, *, stopping: bool) -> None:
        """This server does not serve: before its first round, or because it stops."""


class LeaseReconciler:
    """Every server has a key with a TTL below masterleases/; the endpoints are the servers whose keys are alive."""

    def __init__(self, store: Store, ip: str, port: int) -> None:
        self._store, self._ip, self._port = store, ip, port
        self._key = f"masterleases/{ip}"

    def reconcile(self) -> None:
        previous, _ = self._store.get(self._key)
        self._store.put_for(self._key, lease_value(self._ip, previous), LEASE_TTL)
        _publish(self._store, self._alive, self._port, ports=False)

    def remove(self, *, stopping: bool) -> None:
        found = self._store.delete(self._key)
        if stopping:
            _publish(self._store, self._listed, self._port, ports=True)
        elif found:
            log.warning("found stale data, removed previous endpoints: the server did not exit successfully before")
            _publish(self._store, self._alive, self._port, ports=True)

    def _alive(self, current: dict[str, Any] | None) -> Sequence[str]:
        """The servers that there are. None at all is no reason to empty the endpoints, unless the last one stops."""
        listed = self._listed(current)
        if not listed:
            raise ReconcileError("no master IPs were listed in storage, refusing to erase all endpoints")
        return listed

    def _listed(self, _: dict[str, Any] | None) -> Sequence[str]:
        leases = self._store.list("masterleases/")
        return list(dict.fromkeys(found[0] for lease in leases if (found := addresses(lease))))


class MasterCountReconciler:
    """A fixed number of servers is expected; nothing is removed when one dies."""

    def __init__(self, store: Store, ip: str, port: int, count: int) -> None:
        self._store, self._ip, self._port, self._count = store, ip, port, count

    def reconcile(self) -> None:
        _publish(self._store, self._with_us, self._port, ports=False)

    def remove(self, *, stopping: bool) -> None:
        _publish(self._store, self._without_us, self._port, ports=False)

    def _with_us(self, current: dict[str, Any] | None) -> Sequence[str]:
        shaped = current is not None and len(current.get("subsets") or []) == 1
        return within_count(addresses(current) if shaped else [], self._ip, self._count)

    def _without_us(self, current: dict[str, Any] | None) -> Sequence[str]:
        return [ip for ip in addresses(current) if ip != self._ip]


class NoneReconciler:
    """Never touches the endpoints."""

    def reconcile(self) -> None:
        """Nothing."""

    def remove(self, *, stopping: bool) -> None:
        """Nothing."""


def _publish(store: Store, choose: Choose, port: int, *, ports: bool) -> None:
    """Make the Endpoints and the EndpointSlice hold the chosen addresses."""
    for _ in range(_ATTEMPTS):
        present, slice_revision = store.get(SLICE_KEY)
        current, revision = store.get(ENDPOINTS_KEY)
        ips = choose(current)
        refused = [ip for ip in ips if not publishable(ip)]
        if refused:
            raise ReconcileError(f"endpoints may not hold {', '.join(refused)}: use another --advertise-address")
        if current is None and not ips:
            return
        try:
            changed = endpoints_update(current, ips, port, ports=ports)
            if changed:
                store.write(ENDPOINTS_KEY, changed, revision)
            mirrored = slice_update(present, changed or current or {})
            if mirrored:
                store.write(SLICE_KEY, mirrored, slice_revision)
            return
        except Conflict:
            continue
    raise ReconcileError("the endpoints changed under every attempt")
