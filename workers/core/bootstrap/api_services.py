"""APIService objects for the group versions that the server serves itself (kube-aggregator's autoregister).

They are made at each start. One that was deleted since stays deleted until the next start.
"""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import Any

from workers.core.bootstrap.objects import Objects, with_condition
from workers.registry.strategies.aggregation import LOCAL_AVAILABLE

Object = dict[str, Any]

GROUP, RESOURCE = "apiregistration.k8s.io", "apiservices"
AUTOMANAGED = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
DATA = Path(__file__).parent / "data" / "apiservices.json"


@functools.cache
def priorities() -> dict[tuple[str, str], tuple[int, int]]:
    """(group, version) of what the server serves: priority of the group, priority of the version within it."""
    return {(group, version): (major, minor) for group, version, major, minor in json.loads(DATA.read_text())}


async def register(objects: Objects) -> None:
    """Create the missing ones and correct the others. Raises ApiError."""
    await asyncio.gather(*(_register(objects, local_service(*key)) for key in priorities()))
    await objects.fresh(GROUP, RESOURCE)


async def _register(objects: Objects, wanted: Object) -> None:
    name = wanted["metadata"]["name"]
    if objects.get(GROUP, RESOURCE, name) is None:
        await objects.create(GROUP, RESOURCE, wanted)
    else:
        await objects.update(GROUP, RESOURCE, name, lambda live: corrected(live, wanted))


def local_service(group: str, version: str) -> Object:
    major, minor = priorities()[(group, version)]
    spec: Object = {"version": version, "groupPriorityMinimum": major, "versionPriority": minor}
    if group:
        spec["group"] = group
    return {"metadata": {"name": f"{version}.{group}", "labels": dict(AUTOMANAGED)}, "spec": spec}


def corrected(existing: Object, wanted: Object) -> Object | None:
    """The APIService as it has to be; None if it is so."""
    metadata = existing["metadata"]
    labels = {**metadata.get("labels", {}), **AUTOMANAGED}
    if existing["spec"] == wanted["spec"] and labels == metadata.get("labels"):
        return None
    return {**existing, "metadata": {**metadata, "labels": labels}, "spec": wanted["spec"]}


async def mark_available(objects: Objects) -> None:
    """APIServices without a service are served by this server, so they are available. Raises ApiError."""
    await asyncio.gather(
        *(
            objects.update(
                GROUP,
                RESOURCE,
                service["metadata"]["name"],
                lambda live: with_condition(live, LOCAL_AVAILABLE),
                subresource="status",
            )
            for service in objects.list(GROUP, RESOURCE)
            if service["spec"].get("service") is None and with_condition(service, LOCAL_AVAILABLE) is not None
        )
    )
