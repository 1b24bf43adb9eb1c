"""Service account tokens of old: signed by the controller manager and kept in secrets (pkg/serviceaccount/legacy.go).

They have no end; they die with their secret.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import Any

from workers.apimachinery.user import UserInfo
from workers.server.authentication.interface import AuthenticationError
from workers.server.authentication.service_account import (
    Claims,
    Getter,
    check_account,
    group_names,
    split_user_name,
    user_name,
)
from workers.server.metrics import LEGACY_TOKENS

ISSUER = "kubernetes/serviceaccount"
PREFIX = "kubernetes.io/serviceaccount/"
REQUIRED = {
    "namespace": "namespace",
    "secret.name": "secretName",
    "service-account.name": "serviceAccountName",
    "service-account.uid": "serviceAccountUID",
}
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"


class LegacyTokens:
    """The validator of such tokens. Without `lookup` (--service-account-lookup=false) the claims are believed."""

    def __init__(self, get: Getter, *, lookup: bool) -> None:
        self._get = get
        self._lookup = lookup

    async def validate(self, token: str, claims: Claims) -> UserInfo:
        namespace, secret, name, uid = _private(claims)
        if self._lookup:
            kept = await self._get("secrets", namespace, secret)
            check_secret(kept, token)
            account = await self._get("serviceaccounts", namespace, name)
            check_account(account, namespace, name, uid, float("inf"))
            check_marked(kept, namespace, secret, name)
        LEGACY_TOKENS.inc()
        return UserInfo(user_name(namespace, name), uid, group_names(namespace))


def _private(claims: Claims) -> tuple[str, str, str, str]:
    if not claims.get("sub"):
        raise AuthenticationError("sub claim is missing")
    values = []
    for claim, shown in REQUIRED.items():
        value = claims.get(PREFIX + claim)
        if not value or not isinstance(value, str):
            raise AuthenticationError(f"{shown} claim is missing")
        values.append(value)
    namespace, secret, name, uid = values
    if split_user_name(str(claims["sub"])) != (namespace, name):
        raise AuthenticationError("sub claim is invalid")
    return namespace, secret, name, uid


def check_secret(secret: dict[str, Any] | None, token: str) -> None:
    """Raises AuthenticationError unless the secret is there, stays, and holds this token."""
    if secret is None or secret["metadata"].get("deletionTimestamp"):
        raise AuthenticationError("service account token has been invalidated")
    try:
        kept = base64.b64decode((secret.get("data") or {}).get("token", ""))
    except binascii.Error:
        kept = b""
    if not hmac.compare_digest(kept, token.encode()):
        raise AuthenticationError("service account token does not match server's copy")


def check_marked(secret: dict[str, Any] | None, namespace: str, name: str, account: str) -> None:
    """Raises AuthenticationError if the secret is marked as unused for too long."""
    labels = (secret or {}).get("metadata", {}).get("labels") or {}
    if labels.get(INVALID_SINCE):
        raise AuthenticationError(
            f"the token in secret {namespace}/{name} for service account {namespace}/{account} has been marked "
            "invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the "
            f"'{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
        )
