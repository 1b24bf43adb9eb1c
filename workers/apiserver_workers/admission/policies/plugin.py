"""What both kinds of policies share: which writes they see, and their sources.

Upstream: policy/generic/plugin.go, pkg/kubeapiserver/admission/exclusion/resources.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.manifests import GATE, configured_folder
from apiserver_workers.admission.plugin import Plugin
from apiserver_workers.admission.policies.params import ParamSources
from apiserver_workers.admission.policies.source import Candidate, Hook, PolicySource
from apiserver_workers.admission.policies.static import Folder, Kinds
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.registry.attributes import Attributes

ADMISSION = "admissionregistration.k8s.io"
# Policies of the API do not decide about policies: else they could not be mended any more. Those of files do.
POLICIES = frozenset(
    (
        (ADMISSION, "validatingadmissionpolicies"),
        (ADMISSION, "validatingadmissionpolicybindings"),
        (ADMISSION, "mutatingadmissionpolicies"),
        (ADMISSION, "mutatingadmissionpolicybindings"),
    )
)
# Without reviews nobody could be let in.
EXEMPT = frozenset(
    (
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
    )
)
NO_HOOKS: Sequence[Hook] = ()


class PolicyPlugin(Plugin):
    """Base of the two plugins. With `gate` off, policies that are stored already do nothing."""

    subresources = None
    gate: ClassVar[str] = ""
    kinds: ClassVar[Kinds]
    config: Folder | None

    @classmethod
    def configured(cls, given: Any) -> Folder | None:
        """The policies of the folder that --admission-control-config-file names."""
        folder = configured_folder(given, f"{cls.name}Configuration")
        if not folder:
            return None
        try:
            return Folder(folder, cls.kinds)
        except (OSError, ValueError) as error:
            raise ValueError(f'failed to load static policy manifests from "{folder}": {error}') from None

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        self.source = PolicySource(initializer, *self.kinds, self._static)
        self.params = ParamSources(initializer)
        self._following: asyncio.Task[None] | None = None

    def _static(self) -> Sequence[Hook]:
        return NO_HOOKS if self.config is None else self.config.hooks

    async def start(self) -> None:
        """The policies that are there already are in force from the first request on."""
        self.source.force()
        if self.config is not None:
            following = self.config.follow(self.name, self.initializer.registry.settings)
            self._following = asyncio.create_task(following, name=f"manifests of {self.name}")

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    def candidates(self, attributes: Attributes) -> Sequence[Candidate]:
        """The policies that can match a write."""
        info = attributes.info
        return self.source.candidates(attributes, static_only=(info.group, info.resource) in POLICIES)

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        if (group, resource) in EXEMPT or (cls.gate and not feature_gates.enabled(cls.gate)):
            return False
        if (group, resource) in POLICIES and not feature_gates.enabled(GATE):
            return False
        return super().handles(operation, group, resource, subresource)
