"""The clients of admission webhooks, made of this server's own settings."""

from __future__ import annotations

from typing import Any

from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.client.hooks import HookClients
from apiserver_workers.server.client.services import ServiceResolver
from apiserver_workers.server.client.tls import TlsConfig
from apiserver_workers.server.client.users import HookUser, HookUsers, load_hook_users

LOOPBACK_NAME = "apiserver-loopback-client"
ANY_ADDRESS = ("", "0.0.0.0", "::")


def hook_clients(registry: Registry, kubeconfig: str = "") -> HookClients:
    """Clients for webhooks that services of the registry stand for; `kubeconfig` says who we are to them.

    Raises OSError or ValueError for a kubeconfig that cannot be used.
    """
    settings = registry.settings
    users = load_hook_users(kubeconfig) if kubeconfig else HookUsers()
    own = _own_address(settings)
    services = ServiceResolver(registry, by_endpoints=settings.enable_aggregator_routing, own=own)
    return HookClients(services, users.with_own(_own_user(settings) if own else None))


def _own_address(settings: Any) -> tuple[str, int] | None:
    """Where this server listens itself; None if it has no certificate for itself."""
    if not settings.loopback_certificate:
        return None
    address = settings.bind_address
    return ("127.0.0.1" if address in ANY_ADDRESS else address), settings.secure_port


def _own_user(settings: Any) -> HookUser:
    tls = TlsConfig(ca_data=settings.loopback_certificate, server_name=LOOPBACK_NAME)
    return HookUser(tls=tls, token=settings.loopback_token)
