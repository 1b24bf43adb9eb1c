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


class ServiceAccountStrategy(Strategy):
    """Of the secrets that an account names, only their names are kept."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        clean_secrets(obj)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        clean_secrets(new)


def clean_secrets(account: Object) -> None:
    """cleanSecretReferences."""
    if secrets := account.get("secrets"):
        account["secrets"] = [{"name": secret["name"]} if secret.get("name") else {} for secret in secrets]


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


class NodeStrategy(Strategy):
    """Where a kubelet once took its configuration from is forgotten, except of nodes that say so already."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        (obj.get("spec") or {}).pop("configSource", None)
        (obj.get("status") or {}).pop("config", None)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if context.subresource:
            if "config" not in (old.get("status") or {}):
                (new.get("status") or {}).pop("config", None)
        elif "configSource" not in (old.get("spec") or {}):
            (new.get("spec") or {}).pop("configSource", None)


class QuotaStrategy(Strategy):
    """Nobody has used anything of a new quota."""

    def reset_status(self, obj: Object) -> None:
        obj["status"] = {}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    ("", "secrets"): SecretStrategy,
    ("", "serviceaccounts"): ServiceAccountStrategy,
    ("", "events"): EventStrategy,
    ("", "nodes"): NodeStrategy,
    ("", "persistentvolumes"): VolumeStrategy,
    ("", "persistentvolumeclaims"): ClaimStrategy,
    ("", "resourcequotas"): QuotaStrategy,
}
