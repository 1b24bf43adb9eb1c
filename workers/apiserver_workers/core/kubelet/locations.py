"""What a request's path and query mean to a kubelet, a pod or a service (ResourceLocation of their strategies)."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode

from apiserver_workers.apimachinery.errors import bad_request, service_unavailable
from apiserver_workers.core.kubelet.nodes import Kubelets
from apiserver_workers.core.kubelet.parameters import (
    container_of,
    log_parameters,
    port_number,
    split_identifier,
    stream_parameters,
)
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.client.tls import TlsConfig
from apiserver_workers.server.endpoints.query import flag, text
from apiserver_workers.server.proxy.forward import unreachable
from apiserver_workers.server.proxy.guard import checked, resolved
from apiserver_workers.server.proxy.location import Location

Object = dict[str, Any]
Query = dict[str, list[str]]

MAX_PORT = 65535
DEFAULT_PORTS = {"http": 80, "https": 443}
WEBSOCKETS = "ExtendWebSocketsToKubelet"
SERVICE_LABEL = "kubernetes.io/service-name"


class Locations:
    """Locations of what the stores hold."""

    def __init__(self, registry: Registry, kubelets: Kubelets) -> None:
        self._kubelets = kubelets
        self._pods = registry.store("", "pods")
        self._services = registry.store("", "services")
        self._endpoints = registry.store("", "endpoints")
        self._slices = registry.store("discovery.k8s.io", "endpointslices")
        # What pods serve with certificates of their own making is not verified.
        self._tls = TlsConfig(insecure=True).context()

    async def log(self, namespace: str, name: str, query: Query) -> Location | None:
        """Where a container's log is; None for a pod that no node runs. Raises ApiError."""
        pod = (await self._pods.get(namespace, name)).obj
        container = container_of(pod, text(query, "container"))
        if not (node := pod["spec"].get("nodeName")):
            return None
        kubelet = await self._kubelets.locate(node, verify=not flag(query, "insecureSkipTLSVerifyBackend"))
        path = f"/containerLogs/{namespace}/{name}/{container}"
        return dataclasses.replace(kubelet, path=path, query=encoded(log_parameters(query)))

    async def stream(self, namespace: str, name: str, action: str, query: Query) -> tuple[Location, bool]:
        """Where exec, attach or portforward goes, and whether the kubelet there speaks WebSocket. Raises ApiError."""
        pod = (await self._pods.get(namespace, name)).obj
        path = f"/{'portForward' if action == 'portforward' else action}/{namespace}/{name}"
        if action != "portforward":
            path += "/" + container_of(pod, text(query, "container"))
        if not (node := pod["spec"].get("nodeName")):
            raise bad_request(f"pod {name} does not have a host assigned")
        kubelet = await self._kubelets.locate(node)
        location = dataclasses.replace(kubelet, path=path, query=encoded(stream_parameters(action, query)))
        return location, await self._kubelets.declares(node, WEBSOCKETS)

    async def proxied_pod(self, namespace: str, identifier: str) -> Location:
        """The root of a pod's server: `name`, `name:port` or `scheme:name:port`. Raises ApiError."""
        scheme, name, port = split_identifier("pod", identifier)
        pod = (await self._pods.get(namespace, name)).obj
        if not port:
            declared = (
                one for container in pod["spec"].get("containers") or () for one in container.get("ports") or ()
            )
            port = str(next((one["containerPort"] for one in declared), ""))
        address = next(iter(addresses_of(pod)), "")
        return self._location(scheme, address, port, (checked(address),))

    async def proxied_service(self, namespace: str, identifier: str) -> Location:
        """The root of a server behind a service, found like a pod's. Raises ApiError: 400, 404, 503."""
        scheme, name, port = split_identifier("service", identifier)
        service = (await self._services.get(namespace, name)).obj
        number = port_number(port)
        if number is not None:
            named = [one for one in service["spec"].get("ports") or () if one["port"] == number]
            if not named:
                raise service_unavailable(f'no service port {number} found for service "{name}"')
            port = named[0].get("name", "")
        groups = await self._endpoints_of(namespace, name)
        if not groups:
            raise self._services.not_found(name)
        for address, target_port in shuffled(groups, port):
            if await self._is_pod(address, namespace):
                return self._location(scheme, address["ip"], str(target_port), (checked(address["ip"]),))
        raise service_unavailable(f'no endpoints available for service "{identifier}"')

    async def proxied_node(self, identifier: str) -> Location:
        """The root of a node's kubelet, or of another of its ports. Raises ApiError."""
        scheme, name, port = split_identifier("node", identifier)
        kubelet = await self._kubelets.locate(name)
        addresses = await resolved(kubelet.host)
        if port in ("", str(kubelet.port)):
            return dataclasses.replace(kubelet, addresses=addresses)
        return self._location(scheme, kubelet.host, port, addresses)

    def _location(self, scheme: str, host: str, port: str, addresses: tuple[str, ...]) -> Location:
        scheme = scheme or "http"
        number = port_number(port) if port else DEFAULT_PORTS[scheme]
        if number is None:
            raise unreachable(f"dial tcp: lookup tcp/{port}: unknown port")
        if number > MAX_PORT:
            raise unreachable(f"dial tcp: address {number}: invalid port")
        return Location(scheme, host, number, tls=self._tls if scheme == "https" else None, addresses=addresses)

    async def _endpoints_of(self, namespace: str, service: str) -> list[Object]:
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

    async def _is_pod(self, address: Object, namespace: str) -> bool:
        """Whether the endpoint is a pod of the namespace with that address: else anybody could have anything reached."""
        target = address.get("targetRef") or {}
        if target.get("namespace") != namespace:
            return False
        pod = await self._pods.latest(self._pods.key(namespace, target.get("name", "")))
        return pod is not None and address["ip"] in addresses_of(pod.obj)


def subset_of(endpoint_slice: Object) -> Object:
    """An EndpointSlice as a subset of Endpoints: its ready addresses and its ports."""
    addresses = [
        {"ip": ip, "targetRef": endpoint.get("targetRef")}
        for endpoint in endpoint_slice.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready", True)
        for ip in endpoint.get("addresses") or ()
    ]
    return {"addresses": addresses, "ports": endpoint_slice.get("ports") or []}


def shuffled(subsets: list[Object], port: str) -> list[tuple[Object, int]]:
    """All addresses that serve the named port, in random order, with its number."""
    found = [
        (address, number["port"])
        for subset in subsets
        for number in subset.get("ports") or ()
        if (number.get("name") or "") == port
        for address in subset.get("addresses") or ()
    ]
    return random.sample(found, len(found))


def addresses_of(pod: Object) -> list[str]:
    """The pod's own addresses, the primary one first."""
    return [one["ip"] for one in (pod.get("status") or {}).get("podIPs") or () if one.get("ip")]


def encoded(parameters: Iterable[tuple[str, str]]) -> str:
    """A query sorted by its names; the values of one name, such as a command's words, keep their order."""
    return urlencode(sorted(parameters, key=itemgetter(0)))
