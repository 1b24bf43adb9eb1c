"""How a node's kubelet is reached (pkg/kubelet/client): the node says where, the configuration says with which keys."""

from __future__ import annotations

import dataclasses
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.registry.store import Store
from apiserver_workers.server.client.tls import TlsConfig, WatchedTls
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.proxy.location import Location

Object = dict[str, Any]


class Kubelets:
    """The kubelets of the nodes in a store. Raises OSError (ssl.SSLError) for unusable certificate files."""

    def __init__(self, config: ServerConfig, nodes: Store) -> None:
        self._nodes = nodes
        self._address_types = config.kubelet_preferred_address_types
        self._port = config.kubelet_port
        self._timeout = config.kubelet_timeout
        self._scheme = "https" if config.kubelet_https else "http"
        unverified = TlsConfig(
            cert_file=config.kubelet_client_certificate, key_file=config.kubelet_client_key, insecure=True
        )
        self._unverified = self._tls = WatchedTls(unverified)
        if authority := config.kubelet_certificate_authority:
            self._tls = WatchedTls(dataclasses.replace(unverified, ca_file=authority, insecure=False))

    async def declares(self, name: str, feature: str) -> bool:
        """Whether the node says that its kubelet has the feature. Raises ApiError 404."""
        status = (await self._nodes.get("", name)).obj.get("status") or {}
        return feature in (status.get("declaredFeatures") or ())

    async def locate(self, name: str, *, verify: bool = True) -> Location:
        """The root of the node's kubelet. Raises ApiError: 404, 500 for a node without a usable address."""
        status = (await self._nodes.get("", name)).obj.get("status") or {}
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        tls = self._tls if verify else self._unverified
        return Location(
            self._scheme,
            preferred_address(status.get("addresses") or [], self._address_types),
            endpoint.get("Port") or self._port,
            tls=tls.context if self._scheme == "https" else None,
            timeout=self._timeout,
        )


def preferred_address(addresses: list[Object], preferred: tuple[str, ...]) -> str:
    """The first address of the first type that there is. Raises ApiError 500."""
    for kind in preferred:
        for address in addresses:
            if address.get("type") == kind and address.get("address"):
                return str(address["address"])
    known = " ".join(f"{{{one.get('type', '')} {one.get('address', '')}}}" for one in addresses)
    raise ApiError(500, "", f"no preferred addresses found; known addresses: [{known}]")
