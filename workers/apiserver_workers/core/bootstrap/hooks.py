"""The core server's post-start hooks, by upstream's names: one table of what runs, how often, and after what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources
from apiserver_workers.authorization.configuration import authorizer_types
from apiserver_workers.core.api_services.hooks import api_service_hooks
from apiserver_workers.core.bootstrap import (
    authentication_info,
    flow_control,
    identity_lease,
    rbac,
    service_repair,
    system,
)
from apiserver_workers.core.bootstrap.changes import Changes
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.registry.node_ports import NodePorts
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.hooks import Hook

NAMESPACES = "start-system-namespaces-controller"
SERVICE_CIDR = "start-kubernetes-service-cidr-controller"
SERVICE = "bootstrap-controller"
ROLES = "rbac/bootstrap-roles"
FLOW_CONTROL = "priority-and-fairness-config-producer"
IDENTITY = "start-kube-apiserver-identity-lease-controller"
IDENTITY_COLLECTOR = "start-kube-apiserver-identity-lease-garbage-collector"
STORAGE_READY = "storage-readiness"

# Hooks that write objects of a resource: where it is not served they have nothing to do. (The system namespaces are made
# all the same, because other resources' objects lie in them.)
NEEDS = {
    "priority-and-fairness-config-consumer": (flow_control.GROUP, flow_control.SCHEMAS),
    "start-cluster-authentication-info-controller": ("", "configmaps"),
    IDENTITY: ("coordination.k8s.io", "leases"),
    IDENTITY_COLLECTOR: ("coordination.k8s.io", "leases"),
    "start-legacy-token-tracking-controller": ("", "configmaps"),
    "start-service-ip-repair-controllers": ("", "services"),
    ROLES: ("rbac.authorization.k8s.io", "clusterroles"),
    "scheduling/bootstrap-system-priority-classes": (system.SCHEDULING, "priorityclasses"),
    FLOW_CONTROL: (flow_control.GROUP, flow_control.SCHEMAS),
    SERVICE: ("", "services"),
    SERVICE_CIDR: ("", "services"),  # versions that do not serve its object keep it all the same
}
# Hooks that a feature gate switches.
GATES = {
    IDENTITY: "APIServerIdentity",
    IDENTITY_COLLECTOR: "APIServerIdentity",
    STORAGE_READY: "WatchCacheInitializationPostStartHook",
}


def bootstrap_hooks(
    config: ServerConfig, registry: Registry, served: Iterable[ResourceInfo] | None = None
) -> list[Hook]:
    """Those that the resources served allow; `registry` must reach every built-in resource."""
    infos = list(served if served is not None else builtin_resources().values())
    hooks = _all_hooks(config, registry, infos)
    if "RBAC" not in authorizer_types(config):
        hooks = [hook for hook in hooks if hook.name != ROLES]
    return list(_runnable(hooks, infos))


def _runnable(hooks: list[Hook], served: list[ResourceInfo]) -> Iterator[Hook]:
    """The hooks whose resource is served and whose gate is on; what is left out is waited for by nobody."""
    have = {(info.group, info.resource) for info in served}
    left_out = {name for name, need in NEEDS.items() if need not in have}
    left_out |= {name for name, gate in GATES.items() if not feature_gates.enabled(gate)}
    for hook in hooks:
        if hook.name not in left_out:
            yield replace(hook, after=tuple(name for name in hook.after if name not in left_out))


def _all_hooks(config: ServerConfig, registry: Registry, served: list[ResourceInfo]) -> list[Hook]:
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
        Hook(
            "priority-and-fairness-config-consumer",
            partial(flow_control.mark_dangling, objects),
            60,
            (FLOW_CONTROL,),
            Changes(registry, flow_control.RESOURCES).wait,
        ),
        Hook("storage-object-count-tracker-hook", cache_is_followed),
        Hook(NAMESPACES, partial(system.ensure_namespaces, objects), 60),
        Hook(
            "start-cluster-authentication-info-controller",
            partial(authentication_info.ensure_authentication_info, objects, config),
            authentication_info.INTERVAL,
            **in_system,
        ),
        Hook(IDENTITY, lease.renew, 10, **in_system),
        Hook(IDENTITY_COLLECTOR, partial(identity_lease.collect_expired, objects), 3600, **in_system),
        Hook(STORAGE_READY, storage_answers),
        Hook("start-legacy-token-tracking-controller", partial(system.ensure_token_tracking, objects), 30, **in_system),
        Hook("start-service-ip-repair-controllers", repair.run, service_repair.INTERVAL, (SERVICE,)),
        Hook(ROLES, partial(rbac.ensure_policy, objects), **in_system),
        Hook("scheduling/bootstrap-system-priority-classes", partial(system.ensure_priority_classes, objects)),
        Hook(FLOW_CONTROL, partial(flow_control.ensure_configuration, objects), 60),
        Hook(SERVICE, partial(system.ensure_kubernetes_service, objects, config), 10, (NAMESPACES, SERVICE_CIDR)),
        Hook(SERVICE_CIDR, partial(system.ensure_service_cidr, objects, config), 60),
        *api_service_hooks(config, registry, objects, served),
    ]
