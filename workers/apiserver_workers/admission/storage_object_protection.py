"""StorageObjectInUseProtection: volumes, claims and attribute classes are not removed while something uses them."""

from __future__ import annotations

from apiserver_workers.admission.plugin import CLAIMS, VOLUMES, Plugin
from apiserver_workers.registry.attributes import CREATE, Attributes

FINALIZERS = {
    VOLUMES: "kubernetes.io/pv-protection",
    CLAIMS: "kubernetes.io/pvc-protection",
    ("storage.k8s.io", "volumeattributesclasses"): "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection(Plugin):
    """Sees new volumes, claims and volume attributes classes."""

    name = "StorageObjectInUseProtection"
    operations = frozenset((CREATE,))
    resources = frozenset(FINALIZERS)

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        finalizer = FINALIZERS[attributes.info.group, attributes.info.resource]
        metadata = attributes.obj["metadata"]
        held = metadata.get("finalizers") or []
        if finalizer not in held:
            metadata["finalizers"] = [*held, finalizer]
