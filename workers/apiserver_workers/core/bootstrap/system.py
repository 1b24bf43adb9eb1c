"""What every cluster has: the system namespaces, priority classes, the `kubernetes` service and its addresses."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.server.config import ServerConfig

Object = dict[str, Any]

NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "default")
NETWORKING, SCHEDULING = "networking.k8s.io", "scheduling.k8s.io"
PRIORITY_CLASSES = {
    "system-node-critical": (
        2000001000,
        "Used for system critical pods that must not be moved from their current node.",
    ),
    "system-cluster-critical": (
        2000000000,
        "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    ),
}
CIDR_READY = {
    "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes default Service CIDR is ready",
}  # fmt: skip
CIDR_CONTROLLER = "kubernetes-service-cidr-controller"
TOKEN_TRACKING = "kube-apiserver-legacy-service-account-token-tracking"


async def ensure_namespaces(objects: Objects) -> None:
    await asyncio.gather(*(objects.ensure("", "namespaces", {"metadata": {"name": name}}) for name in NAMESPACES))


async def ensure_priority_classes(objects: Objects) -> None:
    for name, (value, description) in PRIORITY_CLASSES.items():
        obj = {"metadata": {"name": name}, "value": value, "description": description}
        await objects.ensure(SCHEDULING, "priorityclasses", obj)


async def ensure_service_cidr(objects: Objects, config: ServerConfig) -> None:
    """The ServiceCIDR of the server's own range. One that exists is not changed but for its condition."""
    cidrs = [cidr.strip() for cidr in config.service_cluster_ip_range.split(",") if cidr.strip()]
    await objects.ensure(NETWORKING, "servicecidrs", {"metadata": {"name": "kubernetes"}, "spec": {"cidrs": cidrs}})
    await objects.apply_condition(NETWORKING, "servicecidrs", "kubernetes", CIDR_READY, manager=CIDR_CONTROLLER)


async def ensure_kubernetes_service(objects: Objects, config: ServerConfig) -> None:
    """default/kubernetes, by which pods reach the server. One that exists is not changed."""
    port = {"name": "https", "protocol": "TCP", "port": 443, "targetPort": config.secure_port}
    node_port = config.kubernetes_service_node_port
    if node_port:
        port["nodePort"] = node_port
    metadata = {
        "name": "kubernetes",
        "namespace": "default",
        "labels": {"component": "apiserver", "provider": "kubernetes"},
    }
    spec = {
        "type": "NodePort" if node_port else "ClusterIP",
        "clusterIP": config.service_ip,
        "ipFamilyPolicy": "SingleStack",
        "ports": [port],
        "sessionAffinity": "None",
    }
    await objects.ensure("", "services", {"metadata": metadata, "spec": spec})


async def ensure_token_tracking(objects: Objects) -> None:
    """The day since which the server tells whether legacy service account tokens are in use."""
    data = {"since": time.strftime("%Y-%m-%d", time.gmtime())}
    metadata = {"name": TOKEN_TRACKING, "namespace": "kube-system"}
    await objects.ensure("", "configmaps", {"metadata": metadata, "data": data})
