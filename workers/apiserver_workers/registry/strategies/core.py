"""The smaller kinds of the core group: secrets, events, volumes and claims, nodes."""

from __future__ import annotations

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.served_kind import FaultsToCome, ServedKind
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy, now, take_over


class SecretStrategy(Strategy):
    """An update that names no type keeps the one there is."""

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        if not new.get("type"):
            take_over(new, old, "type")
        super().prepare_for_update(new, old, context)


class EventStrategy(Strategy):
    """Events expire; those of events.k8s.io have stricter rules than those of the core group."""

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        return self._requested(context).validate_create(obj)

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        return self._requested(context).validate_update(new, old, context.subresource)

    def _requested(self, context: Context) -> ServedKind:
        return context.kind or self.kind

    def ttl(self, obj: Object) -> float:
        return self.registry.settings.event_ttl


class VolumeStrategy(Strategy):
    """A new volume waits to be bound."""

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": now()}

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if context.subresource == "status":
            status, before = new.setdefault("status", {}), old.get("status") or {}
            if status.get("phase") != before.get("phase"):
                if status.get("lastPhaseTransitionTime") == before.get("lastPhaseTransitionTime"):
                    status["lastPhaseTransitionTime"] = now()


class ClaimStrategy(Strategy):
    """A new claim waits to be bound; what it is filled from is named in two fields that agree."""

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {"phase": "Pending"}

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        spec = obj["spec"]
        drop_foreign_source(spec, {})
        drop_unknown_source(spec)
        normalise_data_sources(spec)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if context.subresource:
            return
        spec = new["spec"]
        drop_foreign_source(spec, old["spec"])
        normalise_data_sources(spec)


def drop_foreign_source(spec: Object, before: Object) -> None:
    """A reference to another namespace needs its gate, or one that the claim has already; else it goes whole."""

    def foreign(claim: Object) -> bool:
        return bool((claim.get("dataSourceRef") or {}).get("namespace"))

    if foreign(spec) and not (foreign(before) or feature_gates.enabled("CrossNamespaceVolumeDataSource")):
        del spec["dataSourceRef"]


def drop_unknown_source(spec: Object) -> None:
    """EnforceDataSourceBackwardsCompatibility: dataSource only ever names a claim or a snapshot."""
    source = spec.get("dataSource")
    if source is None or "dataSourceRef" in spec:
        return
    kind, group = source.get("kind"), source.get("apiGroup") or ""
    if (kind, group) not in (("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io")):
        del spec["dataSource"]


def normalise_data_sources(spec: Object) -> None:
    """NormalizeDataSources: either field implies the other, unless another namespace is meant."""
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        spec["dataSourceRef"] = dict(source)
    elif source is None and reference is not None and not reference.get("namespace"):
        spec["dataSource"] = {name: value for name, value in reference.items() if name != "namespace"}


class QuotaStrategy(Strategy):
    """Nobody has used anything of a new quota."""

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    ("", "secrets"): SecretStrategy,
    ("", "events"): EventStrategy,
    ("", "persistentvolumes"): VolumeStrategy,
    ("", "persistentvolumeclaims"): ClaimStrategy,
    ("", "resourcequotas"): QuotaStrategy,
}
