"""What both kinds of policies share: which writes they see, and their sources.

Upstream: policy/generic/plugin.go, pkg/kubeapiserver/admission/exclusion/resources.go.
"""

from __future__ import annotations

from typing import ClassVar

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import Plugin
from apiserver_workers.admission.policies.params import ParamSources
from apiserver_workers.admission.policies.source import PolicySource
from apiserver_workers.apimachinery import feature_gates

ADMISSION = "admissionregistration.k8s.io"
# Policies do not decide about policies, nor about reviews, without which nobody could be let in.
EXEMPT = frozenset(
    (
        (ADMISSION, "validatingadmissionpolicies"),
        (ADMISSION, "validatingadmissionpolicybindings"),
        (ADMISSION, "mutatingadmissionpolicies"),
        (ADMISSION, "mutatingadmissionpolicybindings"),
        ("authentication.k8s.io", "selfsubjectreviews"),
        ("authentication.k8s.io", "tokenreviews"),
        ("authorization.k8s.io", "localsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectaccessreviews"),
        ("authorization.k8s.io", "selfsubjectrulesreviews"),
        ("authorization.k8s.io", "subjectaccessreviews"),
    )
)


class PolicyPlugin(Plugin):
    """Base of the two plugins. With `gate` off, policies that are stored already do nothing."""

    subresources = None
    gate: ClassVar[str] = ""

    def __init__(self, initializer: Initializer, source: PolicySource) -> None:
        super().__init__(initializer)
        self.source = source
        self.params = ParamSources(initializer)

    async def start(self) -> None:
        """The policies that are there already are in force from the first request on."""
        self.source.force()

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        if (group, resource) in EXEMPT or (cls.gate and not feature_gates.enabled(cls.gate)):
            return False
        return super().handles(operation, group, resource, subresource)
