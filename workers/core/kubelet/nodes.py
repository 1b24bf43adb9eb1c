"""How a node's kubelet is reached (pkg/kubelet/client): the node says where, the configuration says with which keys."""

from __future__ import annotations

import ssl
from typing import Any

from workers.apimachinery.errors import ApiError
from workers.registry.store import Store
from workers.server.config import ServerConfig
from workers.server.proxy.location import Location

Object = dict[str, Any]


class Kubelets:
    """The kubelets of the nodes in a store. Raises OSError (ssl.SSLError) for unusable certificate files."""

    def __init__(self, config: ServerConfig, nodes: Store) -> None:
        self._nodes = nodes
        self._address_types = config.kubelet_preferred_address_types
        self._port = config.kubelet_port
        self._timeout = config.kubelet_timeout
        self._scheme = "https" if config.kubelet_https else "http"
        pair = (config.kubelet_client_certificate, config.kubelet_client_key)
        self._unverified = client_context(*pair)
        authority = config.kubelet_certificate_authority
        self._tls = client_context(*pair, authority=authority) if authority else self._unverified

    async def locate(self, name: str, *, verify: bool = True) -> Location:
        """The root of the node's kubelet. Raises ApiError: 404, 500 for a node without a usable address."""
        status = (await self._nodes.get("", name)).obj.get("status") or {}
        endpoint = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}
        tls = self._tls if verify else self._unverified
        return Location(
            self._scheme,
            preferred_address(status.get("addresses") or [], self._address_types),
            endpoint.get("Port") or self._port,
            tls=tls if self._scheme == "https" else None,
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


def client_context(certificate: str = "", key: str = "", *, authority: str = "") -> ssl.SSLContext:
    """TLS as a client; without an authority nothing is verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if authority:
        context.load_verify_locations(authority)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return context
