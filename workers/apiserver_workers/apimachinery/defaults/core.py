"""Defaults of the core group's kinds that rules cannot say."""

from __future__ import annotations

from apiserver_workers.apimachinery.defaults.pods import set_template, set_volume_source
from apiserver_workers.apimachinery.defaults.resource_lists import round_list
from apiserver_workers.apimachinery.defaults.rules import Object

AFFINITY_TIMEOUT = {"clientIP": {"timeoutSeconds": 10800}}
WITH_CLUSTER_IP = ("ClusterIP", "NodePort", "LoadBalancer")


def set_service(service: Object) -> None:
    spec = service.setdefault("spec", {})
    spec["sessionAffinity"] = spec.get("sessionAffinity") or "None"
    spec["type"] = spec.get("type") or "ClusterIP"
    _set_session_affinity(spec)
    for port in spec.get("ports") or ():
        port["protocol"] = port.get("protocol") or "TCP"
        port["targetPort"] = port.get("targetPort") or port.get("port", 0)
    if _externally_accessible(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in WITH_CLUSTER_IP:
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        balancer = (service.get("status") or {}).get("loadBalancer") or {}
        for ingress in balancer.get("ingress") or ():
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def _set_session_affinity(spec: Object) -> None:
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        client = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
        if "timeoutSeconds" not in client:
            spec["sessionAffinityConfig"] = {"clientIP": dict(AFFINITY_TIMEOUT["clientIP"])}


def _externally_accessible(spec: Object) -> bool:
    kind = spec["type"]
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def set_replication_controller(controller: Object) -> None:
    spec = controller.setdefault("spec", {})
    template = spec.get("template")
    labels = ((template or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        metadata = controller.setdefault("metadata", {})
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)
    spec.setdefault("replicas", 1)
    set_template(spec)


def set_limit_range_item(item: Object) -> None:
    if item.get("type") == "Container":
        limits = {**(item.get("max") or {}), **(item.get("default") or {})}
        requests = {**(item.get("min") or {}), **limits, **(item.get("defaultRequest") or {})}
        for field, resources in (("default", limits), ("defaultRequest", requests)):
            if resources:
                item[field] = resources
    for field in ("max", "min", "default", "defaultRequest", "maxLimitRequestRatio"):
        round_list(item.get(field))


def set_namespace(namespace: Object) -> None:
    metadata = namespace.setdefault("metadata", {})
    if metadata.get("name"):
        if not metadata.get("labels"):
            metadata["labels"] = {}
        metadata["labels"]["kubernetes.io/metadata.name"] = metadata["name"]
    status = namespace.setdefault("status", {})
    status["phase"] = status.get("phase") or "Active"


def set_node_status(status: Object) -> None:
    if "allocatable" not in status and status.get("capacity"):
        status["allocatable"] = dict(status["capacity"])
    round_list(status.get("capacity"))
    round_list(status.get("allocatable"))


def set_persistent_volume_spec(spec: Object) -> None:
    """Defaults of a persistent volume's spec, which volume attachments hold too."""
    set_volume_source(spec)
    round_list(spec.get("capacity"))
