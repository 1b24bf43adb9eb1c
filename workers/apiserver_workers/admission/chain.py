"""The admission chain: the plugins in upstream's order, all mutating ones before all validating ones.

Which plugins have anything to do with a write depends only on its operation, resource and subresource: that is worked out
once for each such combination, so that a plugin that is not concerned costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from apiserver_workers.admission.certificate_approval import CertificateApproval
from apiserver_workers.admission.certificate_signing import CertificateSigning
from apiserver_workers.admission.certificate_subject_restriction import CertificateSubjectRestriction
from apiserver_workers.admission.claim_resize import PersistentVolumeClaimResize
from apiserver_workers.admission.cluster_trust_bundle_attest import ClusterTrustBundleAttest
from apiserver_workers.admission.default_ingress_class import DefaultIngressClass
from apiserver_workers.admission.default_storage_class import DefaultStorageClass
from apiserver_workers.admission.default_toleration_seconds import DefaultTolerationSeconds
from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.limit_ranger import LimitRanger
from apiserver_workers.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver_workers.admission.node_restriction import NodeRestriction
from apiserver_workers.admission.node_taint import TaintNodesByCondition
from apiserver_workers.admission.plugin import Pending, Plugin
from apiserver_workers.admission.pod_resize_validator import PodResizeValidator
from apiserver_workers.admission.pod_security import PodSecurity
from apiserver_workers.admission.pod_topology_labels import PodTopologyLabels
from apiserver_workers.admission.priority import Priority
from apiserver_workers.admission.resource_quota import ResourceQuota
from apiserver_workers.admission.runtime_class import RuntimeClass
from apiserver_workers.admission.service_account import ServiceAccount
from apiserver_workers.admission.storage_object_protection import StorageObjectInUseProtection
from apiserver_workers.registry.attributes import Attributes

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

ON, OFF = True, False

# In upstream's order (AllOrderedPlugins), with whether a plugin is on unless it is disabled.
PLUGINS: tuple[tuple[type[Plugin], bool], ...] = (
    (NamespaceLifecycle, ON),
    (LimitRanger, ON),
    (ServiceAccount, ON),
    (NodeRestriction, OFF),
    (TaintNodesByCondition, ON),
    (PodSecurity, ON),
    (Priority, ON),
    (DefaultTolerationSeconds, ON),
    (DefaultStorageClass, ON),
    (StorageObjectInUseProtection, ON),
    (PersistentVolumeClaimResize, ON),
    (RuntimeClass, ON),
    (CertificateApproval, ON),
    (CertificateSigning, ON),
    (ClusterTrustBundleAttest, ON),
    (CertificateSubjectRestriction, ON),
    (DefaultIngressClass, ON),
    (PodTopologyLabels, ON),
    (PodResizeValidator, ON),
    (ResourceQuota, ON),
)

Step = Callable[[Attributes], Pending]


class Plan(NamedTuple):
    """What one kind of write passes through."""

    mutating: tuple[Step, ...]
    validating: tuple[Step, ...]


def unknown_plugins(names: Iterable[str]) -> list[str]:
    """Those of the names that no plugin has."""
    return sorted(set(names) - {plugin.name for plugin, _ in PLUGINS})


def enabled_plugins(enable: Iterable[str] = (), disable: Iterable[str] = ()) -> list[type[Plugin]]:
    """The plugins that are on: those of the default set without `disable`, and those of `enable`, in order.

    Raises ValueError for a name that no plugin has.
    """
    enable, disable = set(enable), set(disable)
    if unknown := unknown_plugins(enable | disable):
        raise ValueError(f"unknown admission plugins: {', '.join(unknown)}")
    return [plugin for plugin, default in PLUGINS if plugin.name in enable or (default and plugin.name not in disable)]


class AdmissionChain:
    """All plugins that are on (registry.attributes.Admission); `registry` is where they look things up."""

    def __init__(self, registry: Registry, *, enable: Iterable[str] = (), disable: Iterable[str] = ()) -> None:
        initializer = self.initializer = Initializer(registry)
        self.plugins = [plugin(initializer) for plugin in enabled_plugins(enable, disable)]

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission. Raises ApiError."""
        for step in self._plan(attributes).mutating:
            pending = step(attributes)
            if pending is not None:
                await pending

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission. Raises ApiError."""
        for step in self._plan(attributes).validating:
            pending = step(attributes)
            if pending is not None:
                await pending

    def _plan(self, attributes: Attributes) -> Plan:
        key = (self, attributes.operation, attributes.subresource)
        compiled = attributes.stored.compiled
        plan: Plan | None = compiled.get(key)
        if plan is None:
            info = attributes.info
            kind_of_write = (attributes.operation, info.group, info.resource, attributes.subresource)
            concerned = [plugin for plugin in self.plugins if plugin.handles(*kind_of_write)]
            plan = compiled[key] = Plan(_steps(concerned, "admit"), _steps(concerned, "validate"))
        return plan


def _steps(plugins: Iterable[Plugin], method: str) -> tuple[Step, ...]:
    return tuple(getattr(plugin, method) for plugin in plugins if hasattr(plugin, method))
