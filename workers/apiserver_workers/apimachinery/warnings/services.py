"""Warnings about services and what they select (pkg/api/service/warnings.go, pkg/registry/discovery, networking)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation.field import each
from apiserver_workers.apimachinery.warnings.addresses import warn_of_cidr, warn_of_ip

Object = dict[str, Any]

MANAGED_SLICES = "endpointslice.kubernetes.io/managed-by"
MANAGED_ENDPOINTS = "endpoints.kubernetes.io/managed-by"
SLICE_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")

HINTS, MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
INGRESS_CLASS = "kubernetes.io/ingress.class"


def warn_of_service(service: Object) -> list[str]:
    spec, annotations = service.get("spec") or {}, service["metadata"].get("annotations") or {}
    kind, external = spec.get("type", ""), spec.get("externalIPs") or []
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    found = [f"annotation {HINTS} is deprecated, please use {MODE} instead"] if HINTS in annotations else []
    if spec.get("clusterIP") not in ("", None, "None"):
        for at, address in each("spec.clusterIPs", spec.get("clusterIPs")):
            found += warn_of_ip(address, at)
    if headless:
        ignored = (
            ("loadBalancerIP", spec.get("loadBalancerIP")),
            ("externalIPs", external),
            ("SessionAffinity", spec.get("sessionAffinity") != "None"),
        )
        found += [f"spec.{field} is ignored for headless services" for field, given in ignored if given]
    for at, address in each("spec.externalIPs", external):
        found += warn_of_ip(address, at)
    if external and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if address := spec.get("loadBalancerIP"):
        found += warn_of_ip(address, "spec.loadBalancerIP")
    for at, cidr in each("spec.loadBalancerSourceRanges", spec.get("loadBalancerSourceRanges")):
        found += warn_of_cidr(cidr, at)
    if kind == "ExternalName" and external:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def warn_of_new_endpoint_slice(obj: Object) -> list[str]:
    found = ["spec.addressType: FQDN endpoints are deprecated"] if obj.get("addressType") == "FQDN" else []
    return found + warn_of_endpoint_slice(obj)


def warn_of_endpoint_slice(obj: Object) -> list[str]:
    """Addresses, unless a controller made them, which mends what it is given."""
    if _managed_by(obj, MANAGED_SLICES) in SLICE_CONTROLLERS:
        return []
    return [
        warning
        for path, endpoint in each("endpoints", obj.get("endpoints"))
        for at, address in each(f"{path}.addresses", endpoint.get("addresses"))
        for warning in warn_of_ip(address, at)
    ]


def warn_of_balancer(obj: Object) -> list[str]:
    """Of the addresses in the status of a service or an ingress."""
    ingress = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return [
        warning
        for at, entry in each("status.loadBalancer.ingress", ingress)
        for warning in warn_of_ip(entry.get("ip", ""), at)
    ]


def _managed_by(obj: Object, label: str) -> str:
    found: str = (obj["metadata"].get("labels") or {}).get(label, "")
    return found


def warn_of_endpoints(obj: Object) -> list[str]:
    if _managed_by(obj, MANAGED_ENDPOINTS) == "endpoint-controller":
        return []
    return [
        warning
        for path, subset in each("subsets", obj.get("subsets"))
        for field in ("addresses", "notReadyAddresses")
        for at, address in each(f"{path}.{field}", subset.get(field))
        for warning in warn_of_ip(address.get("ip", ""), f"{at}.ip")
    ]


def warn_of_network_policy(obj: Object) -> list[str]:
    found: list[str] = []
    spec = obj.get("spec") or {}
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for path, rule in each(f"spec.{direction}", spec.get(direction)):
            for at, peer in each(f"{path}.{peers}", rule.get(peers)):
                block = peer.get("ipBlock") or {}
                found += warn_of_cidr(block.get("cidr", ""), f"{at}.ipBlock.cidr")
                for place, cidr in each(f"{at}.ipBlock.except", block.get("except")):
                    found += warn_of_cidr(cidr, place)
    return found


def warn_of_ingress(obj: Object) -> list[str]:
    annotated = INGRESS_CLASS in (obj["metadata"].get("annotations") or {})
    if not annotated or (obj.get("spec") or {}).get("ingressClassName") is not None:
        return []
    return [f"annotation \"{INGRESS_CLASS}\" is deprecated, please use 'spec.ingressClassName' instead"]
