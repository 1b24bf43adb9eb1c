"""Who may act for a signer (pkg/apis/certificates authorization of signer names)."""

from __future__ import annotations

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes, Authorizer, allowed

GROUP = "certificates.k8s.io"
REQUESTS = (GROUP, "certificatesigningrequests")


async def may_act_for(authorizer: Authorizer, user: UserInfo, verb: str, signer: str) -> bool:
    """Whether the user may `verb` for the signer, or for all signers of its domain (`example.com/*`)."""
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        question = Attributes(user, verb, api_group=GROUP, api_version="*", resource="signers", name=name)
        if (await allowed(authorizer, question))[0]:
            return True
    return False
