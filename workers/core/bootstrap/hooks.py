"""The core server's post-start hooks, by upstream's names: one table of what runs, how often, and after what."""

from __future__ import annotations

from functools import partial
from typing import Any

from workers.core.bootstrap import (
    api_services,
    authentication_info,
    flow_control,
    identity_lease,
    rbac,
    service_repair,
    system,
)
from workers.core.bootstrap.objects import Objects
from workers.registry.node_ports import NodePorts
from workers.registry.registry import Registry
from workers.server.config import ServerConfig
from workers.server.hooks import Hook

NAMESPACES = "start-system-namespaces-controller"
SERVICE_CIDR = "start-kubernetes-service-cidr-controller"
SERVICE = "bootstrap-controller"
FLOW_CONTROL = "priority-and-fairness-config-producer"
REGISTRATION = "kube-apiserver-autoregistration"


def bootstrap_hooks(config: ServerConfig, registry: Registry) -> list[Hook]:
    """All of them; `registry` must reach every built-in resource."""
    objects = Objects(registry)
    lease = identity_lease.IdentityLease(objects, config)
    repair = service_repair.ServiceRepair(objects, NodePorts(registry, config.service_node_port_range))
    in_system: Any = {"after": (NAMESPACES,)}

    async def cache_is_followed() -> None:
        if not registry.cache.healthy:
            raise ConnectionError("the watch on etcd is not established")

    async def storage_answers() -> None:
        await registry.storage.current_revision()

    return [
        Hook("start-apiserver-admission-initializer", cache_is_followed),
        Hook("generic-apiserver-start-informers", cache_is_followed),
        Hook("priority-and-fairness-config-consumer", partial(flow_control.mark_dangling, objects), 1, (FLOW_CONTROL,)),
        Hook("storage-object-count-tracker-hook", cache_is_followed),
        Hook(NAMESPACES, partial(system.ensure_namespaces, objects), 60),
        Hook(
            "start-cluster-authentication-info-controller",
            partial(authentication_info.ensure_authentication_info, objects, config),
            authentication_info.INTERVAL,
            **in_system,
        ),
        Hook("start-kube-apiserver-identity-lease-controller", lease.renew, 10, **in_system),
        Hook(
            "start-kube-apiserver-identity-lease-garbage-collector",
            partial(identity_lease.collect_expired, objects),
            3600,
            **in_system,
        ),
        Hook("storage-readiness", storage_answers),
        Hook("start-legacy-token-tracking-controller", partial(system.ensure_token_tracking, objects), 30, **in_system),
        Hook("start-service-ip-repair-controllers", repair.run, service_repair.INTERVAL, (SERVICE,)),
        Hook("rbac/bootstrap-roles", partial(rbac.ensure_policy, objects), **in_system),
        Hook("scheduling/bootstrap-system-priority-classes", partial(system.ensure_priority_classes, objects)),
        Hook(FLOW_CONTROL, partial(flow_control.ensure_configuration, objects), 60),
        Hook(SERVICE, partial(system.ensure_kubernetes_service, objects, config), 10, (NAMESPACES, SERVICE_CIDR)),
        Hook(SERVICE_CIDR, partial(system.ensure_service_cidr, objects, config), 60),
        Hook(REGISTRATION, partial(api_services.register, objects)),
        Hook(
            "apiservice-status-local-available-controller",
            partial(api_services.mark_available, objects),
            2,
            (REGISTRATION,),
        ),
    ]
