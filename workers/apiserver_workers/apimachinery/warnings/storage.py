"""Warnings about storage (pkg/api/persistentvolume, persistentvolumeclaim and storage; pkg/registry/storage/csidriver)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation.field import each, key, section
from apiserver_workers.apimachinery.warnings.nodes import DEPRECATED_LABELS, warn_of_node_selector_term
from apiserver_workers.apimachinery.warnings.pods import VOLUMES, warn_of_claim_spec

Object = dict[str, Any]

CLASS, MOUNT_OPTIONS = "volume.beta.kubernetes.io/storage-class", "volume.beta.kubernetes.io/mount-options"
ANNOTATIONS = {
    CLASS: 'deprecated since v1.8; use "storageClassName" attribute instead',
    MOUNT_OPTIONS: 'deprecated since v1.31; use "mountOptions" attribute instead',
}
RECYCLE = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
TOKENS = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible"
    " logging of tokens in volume attributes"
)
SOURCES = ("cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd")
SHOWN_AS = {"storageos": "storageOS"}


def _annotations(obj: Object, *names: str) -> list[str]:
    given = obj["metadata"].get("annotations") or {}
    return [f"{key('metadata.annotations', name)}: {ANNOTATIONS[name]}" for name in names if name in given]


def warn_of_volume(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    found = _annotations(obj, CLASS, MOUNT_OPTIONS)
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        found.append(f"spec.persistentVolumeReclaimPolicy: {RECYCLE}")
    terms = section(spec, "nodeAffinity", "required").get("nodeSelectorTerms")
    for at, term in each("spec.nodeAffinity.required.nodeSelectorTerms", terms):
        found += warn_of_node_selector_term(term, at)
    given = [name for name in SOURCES if name in spec][:1]
    return found + [f"spec.{SHOWN_AS.get(name, name)}: {VOLUMES[name]}" for name in given]


def warn_of_claim(obj: Object) -> list[str]:
    return [*_annotations(obj, CLASS), *warn_of_claim_spec(obj.get("spec") or {}, "spec")]


def warn_of_storage_class(obj: Object) -> list[str]:
    return [
        f"{at}.key: {DEPRECATED_LABELS[expression['key']]}"
        for path, term in each("allowedTopologies", obj.get("allowedTopologies"))
        for at, expression in each(f"{path}.matchLabelExpressions", term.get("matchLabelExpressions"))
        if expression.get("key") in DEPRECATED_LABELS
    ]


def warn_of_storage_capacity(obj: Object) -> list[str]:
    topology, path = obj.get("nodeTopology") or {}, "nodeTopology"
    found = [
        f"{key(f'{path}.matchLabels', name)}: {DEPRECATED_LABELS[name]}"
        for name in sorted(topology.get("matchLabels") or ())
        if name in DEPRECATED_LABELS
    ]
    for at, expression in each(f"{path}.matchExpressions", topology.get("matchExpressions")):
        name = expression.get("key", "")
        if name in DEPRECATED_LABELS:
            found.append(f"{at}.key: {name} is {DEPRECATED_LABELS[name]}")
    return found


def warn_of_driver(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    return [TOKENS] if spec.get("tokenRequests") and spec.get("serviceAccountTokenInSecrets") is None else []
