"""The resolver of APIServices' services, made of this server's own settings."""

from __future__ import annotations

from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.client.services import ServiceResolver
from apiserver_workers.server.config import ServerConfig

ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


def service_resolver(config: ServerConfig, registry: Registry) -> ServiceResolver:
    """Where services are reached; default/kubernetes is this server itself."""
    own = ANY_ADDRESS.get(config.bind_address, config.bind_address), config.secure_port
    return ServiceResolver(registry, by_endpoints=config.enable_aggregator_routing, own=own)
