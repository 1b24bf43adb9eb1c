"""What a pod refers to: the secrets and config maps that its spec names (pkg/api/pod VisitPodSecretNames)."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver_workers.admission.plugin import Object

MIRROR = "kubernetes.io/config.mirror"
CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")

# volume source -> the field that refers to a secret, or to an object that names one
_SECRET_VOLUMES = {
    "azureFile": ("secretName",),
    "cephfs": ("secretRef", "name"),
    "cinder": ("secretRef", "name"),
    "csi": ("nodePublishSecretRef", "name"),
    "flexVolume": ("secretRef", "name"),
    "iscsi": ("secretRef", "name"),
    "rbd": ("secretRef", "name"),
    "scaleIO": ("secretRef", "name"),
    "secret": ("secretName",),
    "storageos": ("secretRef", "name"),
}


def is_mirror(pod: Object) -> bool:
    """Whether the pod only shows what a kubelet runs by itself."""
    return MIRROR in (pod["metadata"].get("annotations") or {})


def containers(spec: Object) -> Iterator[Object]:
    """All containers: initial ones, the main ones, ephemeral ones."""
    for field in CONTAINER_LISTS:
        yield from spec.get(field) or ()


def uses_secrets(spec: Object) -> bool:
    """Whether the pod refers to any secret."""
    return (
        bool(spec.get("imagePullSecrets"))
        or any(_environment_refers(container, "secretKeyRef", "secretRef") for container in containers(spec))
        or any(_is_secret_volume(volume) for volume in spec.get("volumes") or ())
        or any("secret" in source for source in projected_sources(spec))
    )


def uses_config_maps(spec: Object) -> bool:
    """Whether the pod refers to any config map."""
    return (
        any(_environment_refers(container, "configMapKeyRef", "configMapRef") for container in containers(spec))
        or any("configMap" in volume for volume in spec.get("volumes") or ())
        or any("configMap" in source for source in projected_sources(spec))
    )


def projected_sources(spec: Object) -> Iterator[Object]:
    """The sources of all projected volumes."""
    for volume in spec.get("volumes") or ():
        yield from (volume.get("projected") or {}).get("sources") or ()


def _environment_refers(container: Object, key: str, whole: str) -> bool:
    return any(whole in source for source in container.get("envFrom") or ()) or any(
        key in (variable.get("valueFrom") or {}) for variable in container.get("env") or ()
    )


def _is_secret_volume(volume: Object) -> bool:
    for source, path in _SECRET_VOLUMES.items():
        found = volume.get(source)
        for field in path:
            found = (found or {}).get(field)
        if found:
            return True
    return False
