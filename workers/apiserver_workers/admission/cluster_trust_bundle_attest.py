"""ClusterTrustBundleAttest: who writes a trust bundle of a signer must be allowed to attest for that signer."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Plugin, forbidden
from apiserver_workers.admission.signers import GROUP, may_act_for
from apiserver_workers.registry.attributes import Attributes


class ClusterTrustBundleAttest(Plugin):
    """Sees cluster trust bundles."""

    name = "ClusterTrustBundleAttest"
    resources = frozenset(((GROUP, "clustertrustbundles"),))

    async def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = attributes.obj.get("spec") or {}
        signer = spec.get("signerName", "")
        unchanged = attributes.old_obj is not None and spec == attributes.old_obj.get("spec")
        if not signer or unchanged:
            return
        if not await may_act_for(self.initializer.authorizer, attributes.user, "attest", signer):
            raise forbidden(attributes, f'user not permitted to attest for signerName "{signer}"')
