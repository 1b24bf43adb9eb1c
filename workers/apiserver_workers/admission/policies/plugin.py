"""What both kinds of policies share: which writes they see, and their sources.

Upstream: policy/generic/plugin.go, pkg/kubeapiserver/admission/exclusion/resources.go.
"""

from __future__ import annotations

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import Plugin
from apiserver_workers.admission.policies.params import ParamSources
from apiserver_workers.admission.policies.source import PolicySource

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
    """Base of the two plugins."""

    subresources = None

    def __init__(self, initializer: Initializer, source: PolicySource) -> None:
        super().__init__(initializer)
        self.source = source
        self.params = ParamSources(initializer)

    async def start(self) -> None:
        """The policies that are there already are in force from the first request on."""
        self.source.force()

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        return (group, resource) not in EXEMPT and super().handles(operation, group, resource, subresource)
