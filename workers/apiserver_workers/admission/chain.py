"""The admission chain: the plugins in upstream's order, all mutating ones before all validating ones.

Which plugins have anything to do with a write depends only on its operation, resource and subresource: that is worked out
once for each such combination, so that a plugin that is not concerned costs nothing.

Each plugin's `admit` runs in the order of the table, once it is awaited the next one. Where one of them has changed the
object and asks for it (`Attributes.rounds.wanted`), all of them run a second time, and never a third. When an object was
replaced, its managedFields are put back if they are broken, and owners that stand there twice are dropped. `validate` is
called with the object as it will be stored.

Whoever writes makes Attributes (registry/store.py `Store.attributes`, core/virtual.py for what is not stored) and calls
`admit`, then `validate`: creations, updates and patches with their subresources, deletions of one object and of each
object of a collection (obj None, old_obj the object), and CONNECT (obj the options, old_obj None).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

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
from apiserver_workers.admission.metrics import ADMIT, STEPS, VALIDATE, measured
from apiserver_workers.admission.namespace_lifecycle import NamespaceLifecycle
from apiserver_workers.admission.node_restriction import NodeRestriction
from apiserver_workers.admission.node_taint import TaintNodesByCondition
from apiserver_workers.admission.plugin import Pending, Plugin
from apiserver_workers.admission.pod_resize_validator import PodResizeValidator
from apiserver_workers.admission.pod_security import PodSecurity
from apiserver_workers.admission.pod_topology_labels import PodTopologyLabels
from apiserver_workers.admission.policies.validating import ValidatingAdmissionPolicy
from apiserver_workers.admission.priority import Priority
from apiserver_workers.admission.resource_quota import ResourceQuota
from apiserver_workers.admission.runtime_class import RuntimeClass
from apiserver_workers.admission.service_account import ServiceAccount
from apiserver_workers.admission.storage_object_protection import StorageObjectInUseProtection
from apiserver_workers.admission.webhook.mutating import MutatingAdmissionWebhook
from apiserver_workers.admission.webhook.validating import ValidatingAdmissionWebhook
from apiserver_workers.apimachinery.apply import entries
from apiserver_workers.registry.attributes import Attributes
from apiserver_workers.registry.metadata import AFTER_ADMISSION, drop_duplicate_owners

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
    # MutatingAdmissionPolicy
    (MutatingAdmissionWebhook, ON),
    (ValidatingAdmissionPolicy, ON),
    (ValidatingAdmissionWebhook, ON),
    (ResourceQuota, ON),
)

NOTHING: dict[str, Any] = {}
BROKEN_MANAGERS = (
    ".metadata.managedFields was in an invalid state after admission; this could be caused by an outdated mutating "
    "admission controller; please fix your requests: {}"
)


class Step(NamedTuple):
    """One plugin's part of a phase."""

    name: str
    call: Callable[[Attributes], Pending]


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


def followed_prefixes(enable: Iterable[str] = (), disable: Iterable[str] = ()) -> list[str]:
    """The storage prefixes that the cache of every server must follow for the plugins that are on."""
    prefixes = (prefix for plugin in enabled_plugins(enable, disable) for prefix in plugin.follows)
    return list(dict.fromkeys(prefixes))


class AdmissionChain:
    """All plugins that are on (registry.attributes.Admission); `registry` is where they look things up."""

    def __init__(self, registry: Registry, *, enable: Iterable[str] = (), disable: Iterable[str] = ()) -> None:
        initializer = self.initializer = Initializer(registry)
        self.plugins = [plugin(initializer) for plugin in enabled_plugins(enable, disable)]

    async def start(self) -> None:
        """Returns when every plugin is ready; the cache is full already."""
        for plugin in self.plugins:
            await plugin.start()

    async def stop(self) -> None:
        for plugin in self.plugins:
            await plugin.stop()

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission. Raises ApiError."""
        began = perf_counter()
        metadata = (attributes.obj or NOTHING).get("metadata") or NOTHING
        managers = metadata.get("managedFields")
        try:
            await _run(self._plan(attributes).mutating, attributes, ADMIT)
            rounds = attributes.reinvocation
            if rounds is not None and rounds.wanted:
                rounds.again = True
                await _run(self._plan(attributes).mutating, attributes, ADMIT)
        except BaseException:
            STEPS.observe(perf_counter() - began, (ADMIT, attributes.operation, "true"))
            raise
        if attributes.replaced:
            _settle(attributes, managers)
        STEPS.observe(perf_counter() - began, (ADMIT, attributes.operation, "false"))

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission. Raises ApiError."""
        began = perf_counter()
        try:
            await _run(self._plan(attributes).validating, attributes, VALIDATE)
        except BaseException:
            STEPS.observe(perf_counter() - began, (VALIDATE, attributes.operation, "true"))
            raise
        STEPS.observe(perf_counter() - began, (VALIDATE, attributes.operation, "false"))

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
    return tuple(Step(plugin.name, getattr(plugin, method)) for plugin in plugins if hasattr(plugin, method))


async def _run(steps: tuple[Step, ...], attributes: Attributes, phase: str) -> None:
    for name, call in steps:
        pending = call(attributes)
        if pending is not None:
            await measured(pending, name, phase, attributes.operation)


def _settle(attributes: Attributes, managers: Any) -> None:
    """What webhooks and policies may not leave behind: broken managedFields, and owners that stand there twice."""
    obj = attributes.obj
    assert obj is not None
    metadata = obj["metadata"]
    try:
        entries.decode(metadata.get("managedFields"))
    except entries.DecodeError as error:
        attributes.warnings.append(BROKEN_MANAGERS.format(error))
        metadata = obj["metadata"] = {key: value for key, value in metadata.items() if key != "managedFields"}
        if managers is not None:
            metadata["managedFields"] = managers
    drop_duplicate_owners(metadata, attributes.warnings, when=AFTER_ADMISSION)
