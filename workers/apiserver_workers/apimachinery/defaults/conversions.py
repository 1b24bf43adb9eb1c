"""What the way to upstream's internal types and back does to an object: one field implies another.

These run with the defaults because upstream does both while it decodes, before field managers look at the object.
"""

from __future__ import annotations

import base64
from typing import Any

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


def fold_string_data(secret: dict[str, Any]) -> None:
    """Convert_v1_Secret_To_core_Secret: stringData is written into data."""
    plain = secret.pop("stringData", None)
    if plain:
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in plain.items()}
        secret["data"] = {**(secret.get("data") or {}), **encoded}


def set_template_generation(daemon_set: dict[str, Any]) -> None:
    """Convert_apps_DaemonSet_To_v1_DaemonSet: a field that v1 only has as an annotation."""
    metadata = daemon_set["metadata"]
    annotations = metadata.get("annotations") or {}
    if TEMPLATE_GENERATION not in annotations:
        metadata["annotations"] = {**annotations, TEMPLATE_GENERATION: "0"}


def agree_on_pod_cidrs(node: dict[str, Any]) -> None:
    """Convert_v1_NodeSpec_To_core_NodeSpec: podCIDR is the first of podCIDRs."""
    _agree(node.get("spec") or {}, "podCIDR", "podCIDRs")


def agree_on_pod_addresses(pod: dict[str, Any]) -> None:
    """Convert_v1_PodStatus_To_core_PodStatus: podIP is the first of podIPs."""
    status = pod.get("status")
    if not status:
        return
    first, listed = status.get("podIP"), status.get("podIPs") or []
    if first and (not listed or listed[0].get("ip") != first):
        status["podIPs"] = [{"ip": first}]
    elif listed and not first:
        status["podIP"] = listed[0].get("ip", "")


def _agree(holder: dict[str, Any], one: str, many: str) -> None:
    first, listed = holder.get(one), holder.get(many)
    if first and (not listed or listed[0] != first):
        holder[many] = [first]
    elif listed and not first:
        holder[one] = listed[0]
