"""Bootstrap tokens: `ID.SECRET`, kept in kube-system secrets (plugin/pkg/auth/authenticator/token/bootstrap)."""

from __future__ import annotations

import base64
import binascii
import datetime
import hmac
import logging
import re
from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import Audiences, AuthenticationError, Response
from apiserver_workers.authentication.service_account import Getter
from apiserver_workers.authentication.token_file import for_audiences
from apiserver_workers.storage.interface import StorageError

TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
GROUP_NAME = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
SECRET_TYPE = "bootstrap.kubernetes.io/token"
NAMESPACE, NAME_PREFIX = "kube-system", "bootstrap-token-"
USER_PREFIX, GROUP = "system:bootstrap:", "system:bootstrappers"

log = logging.getLogger(__name__)


class BootstrapTokens:
    """Authenticates tokens of secrets of type bootstrap.kubernetes.io/token; every other token is not for it."""

    def __init__(self, get: Getter, api_audiences: Audiences) -> None:
        self._get = get
        self._api_audiences = api_audiences

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        match = TOKEN.fullmatch(token)
        if match is None:
            return None
        token_id, secret = match.groups()
        try:
            found = await self._get("secrets", NAMESPACE, NAME_PREFIX + token_id)
        except StorageError as error:
            raise AuthenticationError(f"cannot look up the bootstrap token: {error}") from error
        if found is None:
            return None
        data = decoded(found.get("data") or {})
        fault = fault_of(found, data, token_id, secret)
        if fault:
            log.info("Bootstrap secret %s/%s matching bearer token %s", NAMESPACE, NAME_PREFIX + token_id, fault)
            return None
        groups = tuple(sorted({GROUP, *extra_groups(data)}))
        return for_audiences(UserInfo(USER_PREFIX + token_id, "", groups), self._api_audiences, audiences)


def decoded(data: dict[str, str]) -> dict[str, str]:
    """A secret's data as text; what is no text is left out."""
    found = {}
    for key, value in data.items():
        try:
            found[key] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found


def extra_groups(data: dict[str, str]) -> list[str]:
    given = data.get("auth-extra-groups", "")
    return given.split(",") if given else []


def fault_of(obj: dict[str, Any], data: dict[str, str], token_id: str, secret: str) -> str:
    """Why the secret does not make the token good, "" if it does."""
    if obj["metadata"].get("deletionTimestamp"):
        return "is deleted and awaiting removal"
    if obj.get("type") != SECRET_TYPE:
        return f"has invalid type, expected {SECRET_TYPE}"
    if not hmac.compare_digest(data.get("token-secret", "").encode(), secret.encode()):
        return "has invalid value for key token-secret"
    if data.get("token-id") != token_id:
        return "has invalid value for key token-id"
    if has_expired(data.get("expiration", "")):
        return "has expired"
    if data.get("usage-bootstrap-authentication") != "true":
        return "not marked usage-bootstrap-authentication=true"
    if not all(map(GROUP_NAME.fullmatch, extra_groups(data))):
        return "has invalid value for key auth-extra-groups"
    return ""


def has_expired(expiration: str) -> bool:
    """Whether that moment has passed; one that cannot be read has."""
    if not expiration:
        return False
    try:
        moment = datetime.datetime.fromisoformat(expiration)
    except ValueError:
        return True
    return moment.tzinfo is None or moment <= datetime.datetime.now(datetime.UTC)
