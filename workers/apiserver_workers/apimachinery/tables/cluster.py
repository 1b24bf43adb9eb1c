"""Cells of nodes, components and what extends a cluster."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.tables.cells import NONE, Cell, Object, condition, get, items, name

ROLE_LABEL_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"


def component(obj: Object, now: float) -> list[Any]:
    """The row of a ComponentStatus."""
    for found in obj.get("conditions") or ():
        if found.get("type") == "Healthy":
            health = "Healthy" if found.get("status") == "True" else "Unhealthy"
            return [name(obj, now), health, found.get("message", ""), found.get("error", "")]
    return [name(obj, now), "Unknown", "", ""]


def node_status(node: Object, now: float) -> str:
    ready = condition(node, "Ready")
    text = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{text},SchedulingDisabled" if get(node, "spec.unschedulable") else text


def node_roles(node: Object, now: float) -> str:
    roles = set()
    for key, role in (get(node, "metadata.labels") or {}).items():
        if key.startswith(ROLE_LABEL_PREFIX):
            roles.add(key.removeprefix(ROLE_LABEL_PREFIX))
        elif key == ROLE_LABEL:
            roles.add(role)
    return ",".join(sorted(roles - {""})) or NONE


def node_address(kind: str) -> Cell:
    """The node's first address of a type."""

    def cell(node: Object, now: float) -> str:
        for address in items(node, "status.addresses"):
            if address.get("type") == kind:
                return address.get("address", "")
        return NONE

    return cell


def claim_state(claim: Object, now: float) -> str:
    """The state of a resource claim."""
    deleted = get(claim, "metadata.deletionTimestamp")
    states = ["deleted"] if deleted else []
    if get(claim, "status.allocation") is not None:
        states.append("allocated")
        states += ["reserved"] if items(claim, "status.reservedFor") else []
    elif not deleted:
        states.append("pending")
    return ",".join(states)


def service_of(api_service: Object, now: float) -> str:
    """Who serves an APIService's group and version."""
    service = get(api_service, "spec.service")
    return "Local" if service is None else f"{service.get('namespace', '')}/{service.get('name', '')}"


def available(api_service: Object, now: float) -> str:
    found = condition(api_service, "Available")
    if found is None:
        return "Unknown"
    status, reason = found.get("status", ""), found.get("reason")
    return f"{status} ({reason})" if status != "True" and reason else status


def storage_versions(obj: Object, now: float) -> str:
    """Which version each server stores: three of them, and how many more there are."""
    found = items(obj, "status.storageVersions")
    shown = ",".join(f"{one.get('apiServerID', '')}={one.get('encodingVersion', '')}" for one in found[:3])
    return f"{shown} + {len(found) - 3} more..." if len(found) > 3 else shown
