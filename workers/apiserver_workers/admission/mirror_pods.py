"""What a mirror pod refers to: it may not be a way to objects that its node could otherwise not read.

Upstream: HasAPIObjectReference of pkg/api/pod.
"""

from __future__ import annotations

from apiserver_workers.admission.plugin import Object
from apiserver_workers.admission.pod_references import uses_config_maps, uses_secrets

# The volumes that a kubelet mounts without asking for another object.
SELF_CONTAINED = frozenset(
    (
        *("awsElasticBlockStore", "azureDisk", "cephfs", "cinder", "downwardAPI", "emptyDir", "fc", "flexVolume"),
        *("flocker", "gcePersistentDisk", "gitRepo", "hostPath", "image", "iscsi", "nfs", "photonPersistentDisk"),
        *("portworxVolume", "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
    )
)
REFERRING = {
    "configMap": "configmaps (via configmap volumes)",
    "secret": "secrets (via secret volumes)",
    "csi": "csidrivers (via CSI volumes)",
    "glusterfs": "endpoints (via glusterFS volumes)",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "ephemeral": "persistentvolumeclaims (via ephemeral volumes)",
    "azureFile": "secrets (via azureFile volumes)",
}
PROJECTED = {
    "configMap": "configmaps (via projected volumes)",
    "secret": "secrets (via projected volumes)",
    "serviceAccountToken": "serviceaccounts (via projected volumes)",
    "clusterTrustBundle": "clustertrustbundles",
    "podCertificate": "podcertificates",
}


def reference_fault(node: str, spec: Object) -> str:
    """Why a pod with this spec is refused as a mirror pod of the node, "" if it is not."""
    what = _referred(spec)
    if not what:
        for volume in spec.get("volumes") or ():
            what, unknown = _referred_by_volume(volume)
            if unknown:
                return f"error checking mirror pod for API references: {unknown}"
            if what:
                break
    return f'node "{node}" can not create pods that reference {what}' if what else ""


def _referred(spec: Object) -> str:
    if spec.get("serviceAccountName"):
        return "serviceaccounts"
    if uses_secrets(spec):
        return "secrets"
    if uses_config_maps(spec):
        return "configmaps"
    return "resourceclaims" if spec.get("resourceClaims") else ""


def _referred_by_volume(volume: Object) -> tuple[str, str]:
    """What the volume refers to, and what of it is not known."""
    sources = [name for name, value in volume.items() if name != "name" and value is not None]
    if any(name in SELF_CONTAINED for name in sources):
        return "", ""
    for name in sources:
        if name in REFERRING:
            return REFERRING[name], ""
    if "projected" not in sources:
        return "", f'unknown volume type for volume  "{volume.get("name", "")}"'
    for source in volume["projected"].get("sources") or ():
        what = next((text for name, text in PROJECTED.items() if source.get(name) is not None), "")
        if what:
            return what, ""
        if source.get("downwardAPI") is None:
            return "", f'unknown source for projected volume "{volume.get("name", "")}"'
    return "", ""
