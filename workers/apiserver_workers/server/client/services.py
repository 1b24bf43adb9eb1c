"""Where a service is reached: for API services and for webhooks (kube-aggregator/pkg/apiserver/resolvers.go)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, not_found, service_unavailable
from apiserver_workers.registry.interpret import interpret
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.proxy.endpoints import shuffled, subset_of
from apiserver_workers.storage.interface import Entry, StorageError

Object = dict[str, Any]

SERVICE_LABEL = "kubernetes.io/service-name"
OWN_SERVICE = ("default", "kubernetes", 443)
WITH_CLUSTER_IP = ("ClusterIP", "LoadBalancer", "NodePort")


class Unresolvable(Exception):
    """No address for a service; the message says why."""


class ServiceResolver:
    """The address of a service: its cluster IP, or with `by_endpoints` one ready endpoint.

    `own` is where this server itself listens, which is what the service default/kubernetes stands for. The cache must follow
    services, and with `by_endpoints` endpointslices.
    """

    def __init__(self, registry: Registry, *, by_endpoints: bool = False, own: tuple[str, int] | None = None) -> None:
        self._registry = registry
        self._by_endpoints = by_endpoints
        self._own = own

    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        """Host and port to dial. Raises Unresolvable."""
        if self._own is not None and (namespace, name, port) == OWN_SERVICE:
            return self._own
        try:
            service = await self._service(namespace, name)
            return await self._endpoint(service, port) if self._by_endpoints else _cluster_ip(service, port)
        except ApiError as error:
            raise Unresolvable(error.message) from None

    async def _service(self, namespace: str, name: str) -> Object:
        services = self._registry.store("", "services")
        key = f"{services.root}{namespace}/{name}"
        entry = services.cache.get(key) or await services.latest(key)
        if entry is None:
            raise not_found("service", "", name)
        return entry.obj

    async def _endpoint(self, service: Object, port: int) -> tuple[str, int]:
        """A ready endpoint of the service's port; of several families those of the service's first one before others."""
        kind, name = service["spec"].get("type", ""), service["metadata"]["name"]
        if kind not in WITH_CLUSTER_IP:
            raise Unresolvable(f'unsupported service type "{kind}"')
        called = _port(service, port).get("name", "")
        slices = [entry.obj for entry in await self._slices(service["metadata"]["namespace"])]
        slices = [one for one in slices if (one["metadata"].get("labels") or {}).get(SERVICE_LABEL) == name]
        family = next(iter(service["spec"].get("ipFamilies") or ()), "")
        for wanted in (True, False):
            subsets = [subset_of(one) for one in slices if (one.get("addressType") == family) is wanted]
            for endpoint in shuffled(subsets, called):
                return endpoint.ip, endpoint.port
        raise service_unavailable(f'no endpoints available for service "{name}"')

    async def _slices(self, namespace: str) -> list[Entry]:
        slices = self._registry.store("discovery.k8s.io", "endpointslices")
        try:
            await slices.catch_up()
        except StorageError as error:
            raise interpret(error, slices.info, "list") from error
        return list(slices.cache.list(f"{slices.root}{namespace}/"))


def _port(service: Object, number: int) -> Object:
    for port in service["spec"].get("ports") or ():
        if port["port"] == number:
            found: Object = port
            return found
    raise service_unavailable(f'no service port {number} found for service "{service["metadata"]["name"]}"')


def _cluster_ip(service: Object, number: int) -> tuple[str, int]:
    spec = service["spec"]
    kind, address = spec.get("type", ""), spec.get("clusterIP", "")
    if kind == "ExternalName":
        return spec.get("externalName", ""), number
    if kind not in WITH_CLUSTER_IP:
        raise Unresolvable(f'unsupported service type "{kind}"')
    if kind == "ClusterIP" and address == "None":
        raise Unresolvable('cannot route to service with ClusterIP "None"')
    return address, _port(service, number)["port"]
