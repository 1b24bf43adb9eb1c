"""Kinds of the smaller groups whose generation counts in ways of their own."""

from __future__ import annotations

from apiserver_workers.apimachinery.validation.names import is_dns1123_subdomain
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy

HOSTNAME = "kubernetes.io/hostname"


class EndpointSliceStrategy(Strategy):
    """Labels count as changes too; v1 only reads the topology of old (pkg/registry/discovery/endpointslice)."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        drop_topology(obj, {})

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        if new.get("endpoints") != old.get("endpoints"):
            drop_topology(new, old)
        super().prepare_for_update(new, old, context)

    def changed(self, new: Object, old: Object) -> bool:
        labels = new["metadata"].get("labels") or {}, old["metadata"].get("labels") or {}
        return labels[0] != labels[1] or super().changed(new, old)


def drop_topology(new: Object, old: Object) -> None:
    """dropTopologyOnV1: the field goes, in place; a node that it named before becomes the endpoint's."""
    known = {topology.get(HOSTNAME) for topology in map(_topology, old.get("endpoints") or ())}
    if not any(map(_topology, new.get("endpoints") or ())):
        return
    endpoints = new["endpoints"] = [dict(endpoint) for endpoint in new["endpoints"]]
    for endpoint in endpoints:
        node = (endpoint.pop("deprecatedTopology", None) or {}).get(HOSTNAME)
        if node is not None and node in known and endpoint.get("nodeName") is None and not is_dns1123_subdomain(node):
            endpoint["nodeName"] = node


def _topology(endpoint: Object) -> Object:
    return endpoint.get("deprecatedTopology") or {}


class LeaseStrategy(Strategy):
    """Coordinated leader election is off: its fields are dropped unless they are stored already."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        drop_coordination(obj, {})

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        drop_coordination(new, old.get("spec") or {})


def drop_coordination(lease: Object, before: Object) -> None:
    """Remove fields that no stored lease has yet, in place."""
    dropped = [field for field in ("strategy", "preferredHolder") if field not in before]
    if any(field in (lease.get("spec") or {}) for field in dropped):
        lease["spec"] = {field: value for field, value in lease["spec"].items() if field not in dropped}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    ("coordination.k8s.io", "leases"): LeaseStrategy,
    ("discovery.k8s.io", "endpointslices"): EndpointSliceStrategy,
}
