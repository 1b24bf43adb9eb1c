"""API priority and fairness: its configuration objects, and the condition that says whether a FlowSchema dangles.

The mandatory objects always are as the server needs them. The suggested ones follow it as long as their annotation says
so; without the annotation they are the administrator's (pkg/registry/flowcontrol/ensurer).
"""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import Any

from apiserver_workers.apimachinery.validation.flow_control import MANDATORY_SPECS
from apiserver_workers.core.bootstrap.objects import Objects

Object = dict[str, Any]

GROUP = "flowcontrol.apiserver.k8s.io"
LEVELS, SCHEMAS = "prioritylevelconfigurations", "flowschemas"
RESOURCES = (GROUP, LEVELS), (GROUP, SCHEMAS)
MANDATORY = {"exempt", "catch-all"}
CONSUMER = "api-priority-and-fairness-config-consumer-v1"
AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"
DATA = Path(__file__).parent / "data" / "flow_control.json"


@functools.cache
def specs() -> dict[str, dict[str, Object]]:
    """The specs by resource and name: the mandatory ones, which validation knows too, and those suggested."""
    suggested = json.loads(DATA.read_text())
    return {resource: {**MANDATORY_SPECS[resource], **suggested[resource]} for resource in MANDATORY_SPECS}


async def ensure_configuration(objects: Objects) -> None:
    """Create what is missing and bring back what was changed. Raises ApiError."""
    for resource in (LEVELS, SCHEMAS):
        await asyncio.gather(*(_ensure(objects, resource, name, spec) for name, spec in specs()[resource].items()))
    await objects.fresh(GROUP, SCHEMAS)


async def _ensure(objects: Objects, resource: str, name: str, spec: Object) -> None:
    if objects.get(GROUP, resource, name) is None:
        metadata = {"name": name, "annotations": {AUTOUPDATE: "true"}}
        await objects.create(GROUP, resource, {"metadata": metadata, "spec": spec})
    else:
        await objects.update(GROUP, resource, name, lambda live: corrected(live, spec))


def corrected(existing: Object, spec: Object) -> Object | None:
    """The object as it has to be; None if it is so, or is its administrator's."""
    metadata = existing["metadata"]
    annotations = metadata.get("annotations", {})
    mandatory = metadata["name"] in MANDATORY
    if annotations.get(AUTOUPDATE) != "true" and not mandatory:
        return None
    annotated = annotations.get(AUTOUPDATE) == "true"
    if existing["spec"] == spec and annotated:
        return None
    return {**existing, "metadata": {**metadata, "annotations": {**annotations, AUTOUPDATE: "true"}}, "spec": spec}


async def mark_dangling(objects: Objects) -> None:
    """Set every FlowSchema's condition to whether its priority level exists. Raises ApiError."""
    levels = {level["metadata"]["name"] for level in objects.list(GROUP, LEVELS)}
    changes = []
    for schema in objects.list(GROUP, SCHEMAS):
        wanted = dangling(schema["spec"]["priorityLevelConfiguration"]["name"], levels)
        changes.append(objects.apply_condition(GROUP, SCHEMAS, schema["metadata"]["name"], wanted, manager=CONSUMER))
    await asyncio.gather(*changes)


def dangling(level: str, levels: set[str]) -> Object:
    """The condition of a FlowSchema that refers to `level`."""
    refers = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
    if level in levels:
        return {"type": "Dangling", "status": "False", "reason": "Found", "message": f"{refers} and it exists"}
    return {
        "type": "Dangling", "status": "True", "reason": "NotFound",
        "message": f"{refers} but there is no such object",
    }  # fmt: skip
