"""Defaults of pods and of every pod template: a pod spec, its containers, their probes, its volumes.

Written out rather than as rules: this is what most writes pass through.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.defaults.images import pull_policy
from apiserver_workers.apimachinery.defaults.pod_resources import set_pod_level_resources
from apiserver_workers.apimachinery.defaults.resource_lists import round_list
from apiserver_workers.apimachinery.defaults.rules import Object

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
HOOKS = ("postStart", "preStop")

# What a volume source gets when the field is nil.
VOLUME_POINTERS: dict[str, dict[str, Any]] = {
    "secret": {"defaultMode": 0o644},
    "configMap": {"defaultMode": 0o644},
    "downwardAPI": {"defaultMode": 0o644},
    "projected": {"defaultMode": 0o644},
    "hostPath": {"type": ""},
    "azureDisk": {"cachingMode": "ReadWrite", "kind": "Shared", "fsType": "ext4", "readOnly": False},
}
# What a volume source gets when the field is empty.
VOLUME_VALUES: dict[str, dict[str, Any]] = {
    "iscsi": {"iscsiInterface": "default"},
    "rbd": {"pool": "rbd", "user": "admin", "keyring": "/etc/ceph/keyring"},
    "scaleIO": {"storageMode": "ThinProvisioned", "fsType": "xfs"},
}
VALIDITY_OF_PROJECTED_TOKENS = 3600


def set_pod(pod: Object) -> None:
    """Defaults that only pods get, not templates (they would change every object with a template)."""
    spec = pod.setdefault("spec", {})
    for containers in ("containers", "initContainers"):
        for container in spec.get(containers) or ():
            limits = (container.get("resources") or {}).get("limits")
            if limits:
                requests = container["resources"].setdefault("requests", {})
                for name, quantity in limits.items():
                    requests.setdefault(name, quantity)
            if spec.get("hostNetwork"):
                for port in container.get("ports") or ():
                    if not port.get("hostPort") and port.get("containerPort"):
                        port["hostPort"] = port["containerPort"]
    if spec.get("resources"):
        set_pod_level_resources(spec)
    if "enableServiceLinks" not in spec:
        spec["enableServiceLinks"] = True
    set_pod_spec(spec)
    status = pod.get("status")
    if status:
        _round_status(status)


def set_template(struct: Object) -> None:
    """Defaults of the pod template in struct["template"], when there is one."""
    template = struct.get("template")
    if template and template.get("spec") is not None:
        set_pod_spec(template["spec"])


def set_pod_spec(spec: Object) -> None:
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if "securityContext" not in spec:
        spec["securityContext"] = {}
    if "terminationGracePeriodSeconds" not in spec:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    if account := spec.get("serviceAccountName") or spec.get("serviceAccount"):  # one field under its old name too
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for volume in spec.get("volumes") or ():
        _set_volume(volume)
    for containers in CONTAINER_LISTS:
        for container in spec.get(containers) or ():
            _set_container(container)
    round_list(spec.get("overhead"))
    _round_requirements(spec.get("resources"))


def _set_container(container: Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(container.get("image") or "")
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    for port in container.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in container.get("env") or ():
        source = variable.get("valueFrom")
        if source:
            _set_field_version(source)
            if "fileKeyRef" in source:
                source["fileKeyRef"].setdefault("optional", False)
    if container.get("resources"):
        _round_requirements(container["resources"])
    for name in PROBES:
        if name in container:
            _set_probe(container[name])
    if "lifecycle" in container:
        for name in HOOKS:
            _set_http_get((container["lifecycle"].get(name) or {}).get("httpGet"))


def _set_probe(probe: Object) -> None:
    probe["timeoutSeconds"] = probe.get("timeoutSeconds") or 1
    probe["periodSeconds"] = probe.get("periodSeconds") or 10
    probe["successThreshold"] = probe.get("successThreshold") or 1
    probe["failureThreshold"] = probe.get("failureThreshold") or 3
    _set_http_get(probe.get("httpGet"))
    if "grpc" in probe:
        probe["grpc"]["service"] = probe["grpc"].get("service") or ""


def _set_http_get(action: Object | None) -> None:
    if action is not None:
        action["path"] = action.get("path") or "/"
        action["scheme"] = action.get("scheme") or "HTTP"


def _set_field_version(source: Object) -> None:
    reference = source.get("fieldRef")
    if reference is not None and not reference.get("apiVersion"):
        reference["apiVersion"] = "v1"


def set_volume_source(source: Object) -> None:
    """Defaults of a volume source, of a pod's volume or of a persistent volume alike."""
    for name in source:
        if name in VOLUME_POINTERS:
            for field, value in VOLUME_POINTERS[name].items():
                source[name].setdefault(field, value)
        elif name in VOLUME_VALUES:
            for field, value in VOLUME_VALUES[name].items():
                source[name][field] = source[name].get(field) or value


def _set_volume(volume: Object) -> None:
    if not volume.keys() - {"name"}:
        volume["emptyDir"] = {}
        return
    set_volume_source(volume)
    if "downwardAPI" in volume:
        _set_downward_items(volume["downwardAPI"])
    if "projected" in volume:
        for source in volume["projected"].get("sources") or ():
            if "downwardAPI" in source:
                _set_downward_items(source["downwardAPI"])
            if "serviceAccountToken" in source:
                source["serviceAccountToken"].setdefault("expirationSeconds", VALIDITY_OF_PROJECTED_TOKENS)
    if "ephemeral" in volume:
        set_claim_spec((volume["ephemeral"].get("volumeClaimTemplate") or {}).get("spec"))
    if "image" in volume and not volume["image"].get("pullPolicy"):
        volume["image"]["pullPolicy"] = pull_policy(volume["image"].get("reference") or "")


def _set_downward_items(projection: Object) -> None:
    for item in projection.get("items") or ():
        _set_field_version(item)


def set_claim_spec(spec: Object | None) -> None:
    """Defaults of a persistent volume claim's spec."""
    if spec is not None:
        spec.setdefault("volumeMode", "Filesystem")
        _round_requirements(spec.get("resources"))


def _round_requirements(requirements: Object | None) -> None:
    if requirements:
        round_list(requirements.get("limits"))
        round_list(requirements.get("requests"))


def _round_status(status: Object) -> None:
    for statuses in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for container in status.get(statuses) or ():
            round_list(container.get("allocatedResources"))
            _round_requirements(container.get("resources"))
    round_list(status.get("allocatedResources"))
    _round_requirements(status.get("resources"))
