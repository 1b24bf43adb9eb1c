"""CertificateSigning: who sets a request's certificate or conditions must be allowed to sign for its signer."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Plugin, forbidden
from apiserver_workers.admission.signers import REQUESTS, may_act_for
from apiserver_workers.registry.attributes import UPDATE, Attributes


class CertificateSigning(Plugin):
    """Sees updates of the status subresource."""

    name = "CertificateSigning"
    operations = frozenset((UPDATE,))
    resources = frozenset((REQUESTS,))
    subresources = frozenset(("status",))

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None and attributes.old_obj is not None
        new, old = attributes.obj.get("status") or {}, attributes.old_obj.get("status") or {}
        if all(new.get(field) == old.get(field) for field in ("certificate", "conditions")):
            return
        signer = (attributes.old_obj.get("spec") or {}).get("signerName", "")
        if not await may_act_for(self.initializer.authorizer, attributes.user, "sign", signer):
            raise forbidden(attributes, f'user not permitted to sign requests with signerName "{signer}"')
