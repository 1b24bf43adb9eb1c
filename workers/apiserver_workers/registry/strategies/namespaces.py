"""Namespaces: they live until nothing is in them (pkg/registry/core/namespace).

Deleting one marks it Terminating; who finalizes it (the namespace controller) empties spec.finalizers through the
finalize subresource, and the last finalizer takes the namespace along.
"""

from __future__ import annotations

from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy, now, take_over

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy):
    """Phase and spec.finalizers are the server's."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        obj["status"] = {"phase": "Active"}
        spec = obj["spec"] = dict(obj.get("spec") or {})
        finalizers = spec.get("finalizers") or []
        if FINALIZER not in finalizers:
            spec["finalizers"] = [*finalizers, FINALIZER]

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        if context.subresource == "finalize":
            take_over(new, old, "status")
            return
        if context.subresource == "status":
            take_over(new, old, "spec")
            return
        take_over(new, old, "spec")
        take_over(new, old, "status")

    def canonicalize(self, obj: Object) -> None:
        metadata = obj["metadata"]
        if (metadata.get("labels") or {}).get(NAME_LABEL) != metadata["name"]:
            # the defaults do not know a name that is generated
            metadata["labels"] = dict(sorted({**(metadata.get("labels") or {}), NAME_LABEL: metadata["name"]}.items()))

    def holds(self, obj: Object) -> bool:
        return bool((obj.get("spec") or {}).get("finalizers"))

    def mark_as_deleting(self, obj: Object) -> None:
        obj["metadata"].setdefault("deletionTimestamp", now())
        obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}

    def should_delete_during_update(self, new: Object, old: Object) -> bool:
        return not self.holds(new)


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {("", "namespaces"): NamespaceStrategy}
