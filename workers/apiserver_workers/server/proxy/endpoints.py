"""Which addresses stand behind a service: for the proxy of services, for API services and for webhooks.

A service's endpoints are in its slices, or in an Endpoints object that somebody wrote by hand.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

from apiserver_workers.apimachinery.errors import service_unavailable
from apiserver_workers.registry.registry import Registry

Object = dict[str, Any]

SERVICE_LABEL = "kubernetes.io/service-name"


class Endpoint(NamedTuple):
    """One address behind a service. `target` is the reference to what has the address, {} if nobody said."""

    ip: str
    port: int
    target: Object


class ServiceEndpoints:
    """The endpoints of the services that the stores hold. The cache must follow services, endpoints and endpointslices."""

    def __init__(self, registry: Registry) -> None:
        self._services = registry.store("", "services")
        self._endpoints = registry.store("", "endpoints")
        self._slices = registry.store("discovery.k8s.io", "endpointslices")

    async def port_name(self, namespace: str, service: str, number: int | None, name: str) -> str:
        """What the endpoints call a port that is given by its number in the service, or else by its `name`.

        Raises ApiError: 404 for no such service, 503 for a number that it does not have.
        """
        found = (await self._services.get(namespace, service)).obj
        if number is None:
            return name
        named = [one for one in found["spec"].get("ports") or () if one["port"] == number]
        if not named:
            raise service_unavailable(f'no service port {number} found for service "{service}"')
        called: str = named[0].get("name", "")
        return called

    async def ready(self, namespace: str, service: str, port_name: str) -> list[Endpoint]:
        """The ready endpoints that serve the port of that name, in random order. Raises ApiError: 404 where the service
        has no endpoints object at all."""
        subsets = await self._subsets(namespace, service)
        if not subsets:
            raise self._services.not_found(service)
        return shuffled(subsets, port_name)

    async def _subsets(self, namespace: str, service: str) -> list[Object]:
        """The service's endpoints as subsets: of its slices, else those that somebody wrote by hand."""
        await self._slices.cache.fresh()
        slices = [
            entry.obj
            for entry in self._slices.cache.list(self._slices.prefix(namespace))
            if (entry.obj["metadata"].get("labels") or {}).get(SERVICE_LABEL) == service
        ]
        if slices:
            return [subset_of(one) for one in slices]
        entry = await self._endpoints.latest(self._endpoints.key(namespace, service))
        return [{}, *(entry.obj.get("subsets") or ())] if entry is not None else []


def subset_of(endpoint_slice: Object) -> Object:
    """An EndpointSlice as a subset of Endpoints: its ready addresses and its ports."""
    addresses = [
        {"ip": ip, "targetRef": endpoint.get("targetRef")}
        for endpoint in endpoint_slice.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for ip in endpoint.get("addresses") or ()
    ]
    return {"addresses": addresses, "ports": endpoint_slice.get("ports") or []}


def shuffled(subsets: Sequence[Object], port_name: str) -> list[Endpoint]:
    """All addresses of the subsets that serve the named port, in random order."""
    found = [
        Endpoint(address["ip"], port["port"], address.get("targetRef") or {})
        for subset in subsets
        for port in subset.get("ports") or ()
        if (port.get("name") or "") == port_name
        for address in subset.get("addresses") or ()
    ]
    return random.sample(found, len(found))
