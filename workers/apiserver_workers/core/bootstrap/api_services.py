"""APIService objects for the group versions that the server serves itself (kube-aggregator's autoregister).

They are made at each start. One that was deleted since stays deleted until the next start; one of an earlier start whose
group version is no longer served is removed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.versions import CUSTOM_PRIORITIES, api_service_priorities
from apiserver_workers.core.bootstrap.objects import Objects, with_condition
from apiserver_workers.registry.strategies.aggregation import LOCAL_AVAILABLE

Object = dict[str, Any]

GROUP, RESOURCE = "apiregistration.k8s.io", "apiservices"
AUTOMANAGED = {"kube-aggregator.kubernetes.io/automanaged": "onstart"}


async def register(objects: Objects, wanted: Iterable[Object]) -> None:
    """Create the missing ones, correct the others, and remove what an earlier start left. Raises ApiError."""
    services = {service["metadata"]["name"]: service for service in wanted}
    await asyncio.gather(*(_register(objects, service) for service in services.values()))
    spurious = [
        service
        for service in objects.list(GROUP, RESOURCE)
        if service["metadata"]["name"] not in services
        and AUTOMANAGED.items() <= service["metadata"].get("labels", {}).items()
    ]
    await asyncio.gather(*(objects.delete(GROUP, RESOURCE, service) for service in spurious))
    await objects.fresh(GROUP, RESOURCE)


async def _register(objects: Objects, wanted: Object) -> None:
    name = wanted["metadata"]["name"]
    if objects.get(GROUP, RESOURCE, name) is None:
        await objects.create(GROUP, RESOURCE, wanted)
    else:
        await objects.update(GROUP, RESOURCE, name, lambda live: corrected(live, wanted))


def local_services(served: Iterable[ResourceInfo]) -> list[Object]:
    """The APIService of each group version, but of the APIServices' own."""
    versions = dict.fromkeys((info.group, info.version) for info in served if info.group != GROUP)
    return [local_service(*version) for version in versions]


def local_service(group: str, version: str) -> Object:
    major, minor = api_service_priorities().get((group, version), CUSTOM_PRIORITIES)
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
