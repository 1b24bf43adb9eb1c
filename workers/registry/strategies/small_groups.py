"""Kinds of the smaller groups whose generation counts in ways of their own."""

from __future__ import annotations

from workers.registry.context import Context
from workers.registry.strategies.base import Object, Strategy


class EndpointSliceStrategy(Strategy):
    """Labels count as changes too (pkg/registry/discovery/endpointslice)."""

    def changed(self, new: Object, old: Object) -> bool:
        labels = new["metadata"].get("labels") or {}, old["metadata"].get("labels") or {}
        return labels[0] != labels[1] or super().changed(new, old)


class CSIDriverStrategy(Strategy):
    """Generation starts with the first change (pkg/registry/storage/csidriver)."""

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if self.changed(new, old):
            new["metadata"]["generation"] = new["metadata"].get("generation", 0) + 1


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
    ("storage.k8s.io", "csidrivers"): CSIDriverStrategy,
}
