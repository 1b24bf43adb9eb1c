"""Service account tokens of old: signed by the controller manager and kept in secrets (pkg/serviceaccount/legacy.go).

They have no end; they die with their secret, which tells by a label on which day its token was used last: the controller
manager cleans up what nobody uses.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import hmac
import logging
from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.service_account import (
    Claims,
    check_account,
    group_names,
    split_user_name,
    user_name,
)
from apiserver_workers.authentication.stored import NamedObjects
from apiserver_workers.server.metrics import LEGACY_TOKENS
from apiserver_workers.storage.interface import StorageError

ISSUER = "kubernetes/serviceaccount"
PREFIX = "kubernetes.io/serviceaccount/"
REQUIRED = {
    "namespace": "namespace",
    "secret.name": "secretName",
    "service-account.name": "serviceAccountName",
    "service-account.uid": "serviceAccountUID",
}
INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
LAST_USED = "kubernetes.io/legacy-token-last-used"

log = logging.getLogger(__name__)


class LegacyTokens:
    """The validator of such tokens. Without `lookup` (--service-account-lookup=false) the claims are believed."""

    def __init__(self, objects: NamedObjects, *, lookup: bool) -> None:
        self._objects = objects
        self._lookup = lookup

    async def validate(self, token: str, claims: Claims) -> UserInfo:
        namespace, secret, name, uid = _private(claims)
        if self._lookup:
            kept = check_secret(await self._objects.get("secrets", namespace, secret), token)
            account = await self._objects.get("serviceaccounts", namespace, name)
            check_account(account, namespace, name, uid, float("inf"))
            await self._mark_used(kept, namespace, secret)
            check_marked(kept, namespace, secret, name)
        LEGACY_TOKENS.inc()
        return UserInfo(user_name(namespace, name), uid, group_names(namespace))

    async def _mark_used(self, secret: dict[str, Any], namespace: str, name: str) -> None:
        """Once a day. That it fails is no reason to refuse the token."""
        today = datetime.datetime.now(datetime.UTC).date()
        known = (secret["metadata"].get("labels") or {}).get(LAST_USED)
        if known in (str(today), str(today + datetime.timedelta(days=1))):
            return
        try:
            await self._objects.label("secrets", namespace, name, LAST_USED, str(today))
        except StorageError as error:
            log.error("cannot label a service account token's secret as used: %s", error)


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


def check_secret(secret: dict[str, Any] | None, token: str) -> dict[str, Any]:
    """The secret. Raises AuthenticationError unless it is there, stays, and holds this token."""
    if secret is None or secret["metadata"].get("deletionTimestamp"):
        raise AuthenticationError("service account token has been invalidated")
    try:
        kept = base64.b64decode((secret.get("data") or {}).get("token", ""))
    except binascii.Error:
        kept = b""
    if not hmac.compare_digest(kept, token.encode()):
        raise AuthenticationError("service account token does not match server's copy")
    return secret


def check_marked(secret: dict[str, Any], namespace: str, name: str, account: str) -> None:
    """Raises AuthenticationError if the secret is marked as unused for too long."""
    if (secret["metadata"].get("labels") or {}).get(INVALID_SINCE):
        raise AuthenticationError(
            f"the token in secret {namespace}/{name} for service account {namespace}/{account} has been marked "
            "invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the "
            f"'{INVALID_SINCE}' label from the secret to temporarily allow use of this token"
        )
