"""The endpoints of the `kubernetes` service as plain data: what they are, what they should be. No I/O.

An Endpoints object and an EndpointSlice say the same. Each function takes the object as it is (or None) and returns what
to write instead, or None when it is right.
"""

from __future__ import annotations

import ipaddress
import time
import uuid
from collections.abc import Sequence
from typing import Any

Object = dict[str, Any]

ENDPOINTS_KEY = "services/endpoints/default/kubernetes"
SLICE_KEY = "endpointslices/default/kubernetes"
SKIP_MIRROR = {"endpointslice.kubernetes.io/skip-mirror": "true"}
SERVICE_NAME = {"kubernetes.io/service-name": "kubernetes"}
_MANAGER = "kube-apiserver"


def addresses(endpoints: Object | None) -> list[str]:
    """The addresses in an Endpoints object's subsets."""
    subsets = (endpoints or {}).get("subsets") or []
    return [address["ip"] for subset in subsets for address in subset.get("addresses") or [] if address.get("ip")]


def endpoints_update(current: Object | None, wanted: Sequence[str], port: int, *, ports: bool) -> Object | None:
    """The Endpoints with exactly these addresses, sorted as text as upstream does.

    Ports make a difference only if `ports`; else what one subset says of them stays, also when its addresses change.
    """
    ordered = sorted(wanted)
    if current and _endpoints_right(current, ordered, port, ports=ports):
        return None
    own_ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    subsets = (current or {}).get("subsets") or []
    kept = subsets[0].get("ports") if len(subsets) == 1 and not ports else None
    subset = {"addresses": [{"ip": ip} for ip in ordered], "ports": kept or own_ports}
    fields = {"f:metadata": _label_fields(SKIP_MIRROR), "f:subsets": {}}
    metadata = _metadata(current, SKIP_MIRROR, "v1", fields)
    found: Object = {"kind": "Endpoints", "apiVersion": "v1", "metadata": metadata}
    return found | ({"subsets": [subset]} if ordered else {})


def slice_update(current: Object | None, endpoints: Object) -> Object | None:
    """The EndpointSlice that says what the Endpoints say."""
    ips = addresses(endpoints)
    family = "IPv6" if ips and all(ipaddress.ip_address(ip).version == 6 for ip in ips) else "IPv4"
    listed = [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips]
    subsets = endpoints.get("subsets") or []
    ports = [
        {"name": port.get("name", ""), "port": port["port"], "protocol": port.get("protocol", "TCP")}
        for port in (subsets[0].get("ports") or [] if subsets else [])
    ]
    wanted: Object = {"addressType": family, "endpoints": listed or None, "ports": ports or None}
    if (
        current
        and all(current.get(name) == value for name, value in wanted.items())
        and _labelled(current, SERVICE_NAME)
    ):
        return None
    # the address type cannot change: such a slice is a new object
    kept = current if current and current.get("addressType") == family else None
    fields = {"f:addressType": {}, "f:endpoints": {}, "f:metadata": _label_fields(SERVICE_NAME), "f:ports": {}}
    metadata = _metadata(kept, SERVICE_NAME, "discovery.k8s.io/v1", fields)
    metadata["generation"] = metadata.get("generation", 0) + 1
    return {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": metadata} | wanted


def lease_value(ip: str, previous: Object | None) -> Object:
    """A server's masterlease: the generation rises, so that each refresh is a write."""
    generation = ((previous or {}).get("metadata") or {}).get("generation", 0) + 1
    metadata = {"generation": generation}
    return {"kind": "Endpoints", "apiVersion": "v1", "metadata": metadata, "subsets": [{"addresses": [{"ip": ip}]}]}


def within_count(present: Sequence[str], own: str, count: int) -> list[str]:
    """master-count's choice: at most `count` addresses; those that follow our own, wrapping around, go first."""
    kept = sorted({*present, own})
    while len(kept) > count and len(kept) > 1:
        following = kept.index(own) + 1
        del kept[following % len(kept)]
    return kept


def publishable(ip: str) -> bool:
    """Whether endpoints may hold this address; validation refuses loopback, link-local and the like."""
    address = ipaddress.ip_address(ip)
    return not (address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast)


def _endpoints_right(current: Object, ordered: list[str], port: int, *, ports: bool) -> bool:
    subsets = current.get("subsets") or []
    if len(subsets) != (1 if ordered else 0) or set(addresses(current)) != set(ordered):
        return False
    if not _labelled(current, SKIP_MIRROR):
        return False
    listed = [(p.get("name"), p.get("port"), p.get("protocol", "TCP")) for s in subsets for p in s.get("ports") or []]
    return not ports or not ordered or listed == [("https", port, "TCP")]


def _labelled(current: Object, labels: dict[str, str]) -> bool:
    present = current["metadata"].get("labels") or {}
    return all(present.get(name) == value for name, value in labels.items())


def _label_fields(labels: dict[str, str]) -> Object:
    return {"f:labels": {".": {}, **{f"f:{name}": {} for name in labels}}}


def _metadata(current: Object | None, labels: dict[str, str], version: str, fields: Object) -> Object:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    fresh: Object = {
        "name": "kubernetes",
        "namespace": "default",
        "uid": str(uuid.uuid4()),
        "creationTimestamp": now,
    }
    kept = {k: v for k, v in (current["metadata"] if current else fresh).items() if k != "resourceVersion"}
    kept["labels"] = (kept.get("labels") or {}) | labels
    ours = {
        "manager": _MANAGER,
        "operation": "Update",
        "apiVersion": version,
        "time": now,
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
    }
    others = [entry for entry in kept.pop("managedFields", None) or [] if entry.get("manager") != _MANAGER]
    return kept | {"managedFields": [*others, ours]}
