"""CertificateApproval: who approves or denies a certificate request must be allowed to approve for its signer."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Plugin, forbidden
from apiserver_workers.admission.signers import REQUESTS, may_act_for
from apiserver_workers.registry.attributes import UPDATE, Attributes


class CertificateApproval(Plugin):
    """Sees updates of the approval subresource."""

    name = "CertificateApproval"
    operations = frozenset((UPDATE,))
    resources = frozenset((REQUESTS,))
    subresources = frozenset(("approval",))

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        signer = (attributes.obj.get("spec") or {}).get("signerName", "")
        if not await may_act_for(self.initializer.authorizer, attributes.user, "approve", signer):
            raise forbidden(attributes, f'user not permitted to approve requests with signerName "{signer}"')
