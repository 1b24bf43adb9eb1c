"""Plugins that write a value where an object says nothing, or what protects it."""

from __future__ import annotations

from typing import Any

from workers.admission.plugin import Object, Plugin, on
from workers.registry.attributes import CREATE, UPDATE, Attributes

STORAGE, NETWORKING = "storage.k8s.io", "networking.k8s.io"
DEFAULT_STORAGE = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
STORAGE_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_INGRESS = "ingressclass.kubernetes.io/is-default-class"
INGRESS_ANNOTATION = "kubernetes.io/ingress.class"
TOLERATION_SECONDS = 300
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
PROTECTION = {
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "persistentvolumes": "kubernetes.io/pv-protection",
    "volumeattributesclasses": "kubernetes.io/vac-protection",
}


def newest_default(entries: Any, annotations: tuple[str, ...]) -> str | None:
    """The name of the default class; of several, that of the youngest."""
    found = []
    for entry in entries:
        metadata = entry.obj["metadata"]
        given = metadata.get("annotations") or {}
        if any(given.get(annotation) == "true" for annotation in annotations):
            found.append(metadata)
    found.sort(key=lambda metadata: metadata["name"])
    youngest = max(found, key=lambda metadata: metadata.get("creationTimestamp", ""), default=None)
    return youngest["name"] if youngest else None


class DefaultStorageClass(Plugin):
    """plugin/pkg/admission/storage/storageclass/setdefault."""

    operations = frozenset((CREATE,))
    resources = on("persistentvolumeclaims")

    async def admit(self, attributes: Attributes) -> None:
        claim = attributes.obj
        assert claim is not None
        spec = claim["spec"]
        if "storageClassName" in spec or STORAGE_ANNOTATION in (claim["metadata"].get("annotations") or {}):
            return
        name = newest_default(self.entries(STORAGE, "storageclasses"), DEFAULT_STORAGE)
        if name is not None:
            spec["storageClassName"] = name


class DefaultIngressClass(Plugin):
    """plugin/pkg/admission/network/defaultingressclass."""

    operations = frozenset((CREATE,))
    resources = on(f"ingresses.{NETWORKING}")

    async def admit(self, attributes: Attributes) -> None:
        ingress = attributes.obj
        assert ingress is not None
        spec = ingress["spec"]
        if spec.get("ingressClassName") is not None:
            return
        if INGRESS_ANNOTATION in (ingress["metadata"].get("annotations") or {}):
            return
        name = newest_default(self.entries(NETWORKING, "ingressclasses"), (DEFAULT_INGRESS,))
        if name is not None:
            spec["ingressClassName"] = name


class StorageObjectInUseProtection(Plugin):
    """plugin/pkg/admission/storage/storageobjectinuseprotection."""

    operations = frozenset((CREATE,))
    resources = on("persistentvolumeclaims", "persistentvolumes", f"volumeattributesclasses.{STORAGE}")

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        metadata, finalizer = attributes.obj["metadata"], PROTECTION[attributes.info.resource]
        finalizers = metadata.get("finalizers") or []
        if finalizer not in finalizers:
            metadata["finalizers"] = [*finalizers, finalizer]


class DefaultTolerationSeconds(Plugin):
    """plugin/pkg/admission/defaulttolerationseconds."""

    operations = frozenset((CREATE, UPDATE))
    resources = on("pods")

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        tolerations = spec.get("tolerations") or []
        missing = [key for key in (NOT_READY, UNREACHABLE) if not any(_covers(one, key) for one in tolerations)]
        if missing:
            spec["tolerations"] = [*tolerations, *map(_tolerate, missing)]


def _covers(toleration: Object, key: str) -> bool:
    return toleration.get("key", "") in ("", key) and toleration.get("effect", "") in ("", "NoExecute")


def _tolerate(key: str) -> Object:
    return {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}


class TaintNodesByCondition(Plugin):
    """plugin/pkg/admission/nodetaint: a new node takes no pods until it is ready."""

    operations = frozenset((CREATE,))
    resources = on("nodes")

    async def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(taint.get("key") == NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            spec["taints"] = [*taints, {"key": NOT_READY, "effect": "NoSchedule"}]
