"""The admission chain: plugins in upstream's order, mutating admission first, then validating admission.

A plugin is one class (plugin.py) and one row of `PLUGINS`. Which plugins a write has to pass is worked out once for each
operation on each resource; a write that concerns none of them passes without a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from workers.admission.certificates import CertificateSubjectRestriction
from workers.admission.defaults import (
    DefaultIngressClass,
    DefaultStorageClass,
    DefaultTolerationSeconds,
    StorageObjectInUseProtection,
    TaintNodesByCondition,
)
from workers.admission.namespace_lifecycle import NamespaceLifecycle
from workers.admission.plugin import Plugin
from workers.admission.priority import Priority
from workers.admission.runtime_class import RuntimeClass
from workers.admission.service_account import ServiceAccount
from workers.admission.volume_resize import PersistentVolumeClaimResize
from workers.apimachinery.resources import ResourceInfo
from workers.registry.attributes import Attributes

if TYPE_CHECKING:
    from workers.registry.registry import Registry

# (class, on by default), in the order of kubeapiserver/options/plugins.go. A plugin's name is its class's.
PLUGINS: tuple[tuple[type[Plugin], bool], ...] = (
    (NamespaceLifecycle, True),
    (ServiceAccount, True),
    (TaintNodesByCondition, True),
    (Priority, True),
    (DefaultTolerationSeconds, True),
    (DefaultStorageClass, True),
    (StorageObjectInUseProtection, True),
    (PersistentVolumeClaimResize, True),
    (RuntimeClass, True),
    (CertificateSubjectRestriction, True),
    (DefaultIngressClass, True),
)

Steps = tuple[tuple[Plugin, ...], tuple[Plugin, ...]]


class AdmissionChain:
    """All plugins that are on (registry.attributes.Admission); `registry` is where they look things up."""

    def __init__(self, registry: Registry, *, enable: Iterable[str] = (), disable: Iterable[str] = ()) -> None:
        wanted, unwanted = set(enable), set(disable)
        self.plugins = [
            plugin(registry)
            for plugin, default in PLUGINS
            if (default or plugin.__name__ in wanted) and plugin.__name__ not in unwanted
        ]
        self._steps: dict[tuple[str, ResourceInfo, str], Steps] = {}

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission. Raises ApiError."""
        for plugin in self._steps_of(attributes)[0]:
            await plugin.admit(attributes)  # type: ignore[attr-defined]

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission. Raises ApiError."""
        for plugin in self._steps_of(attributes)[1]:
            await plugin.validate(attributes)  # type: ignore[attr-defined]

    def _steps_of(self, attributes: Attributes) -> Steps:
        key = (attributes.operation, attributes.info, attributes.subresource)
        steps = self._steps.get(key)
        if steps is None:
            steps = self._steps[key] = self._work_out(*key)
        return steps

    def _work_out(self, operation: str, info: ResourceInfo, subresource: str) -> Steps:
        name = (info.group, info.resource, subresource)
        concerned = [
            plugin
            for plugin in self.plugins
            if operation in plugin.operations and (plugin.resources is None or name in plugin.resources)
        ]
        mutating = tuple(plugin for plugin in concerned if hasattr(plugin, "admit"))
        return mutating, tuple(plugin for plugin in concerned if hasattr(plugin, "validate"))
