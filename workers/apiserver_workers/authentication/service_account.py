"""Service account tokens: signing them, and authenticating them (pkg/serviceaccount).

A token is a JWT that names a service account and, if bound, the pod, secret or node that it dies with. A signature
alone is not enough: what the token names must still exist, with the same uid.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import jwt

from apiserver_workers.apimachinery.errors import not_found
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import Audiences, AuthenticationError, Response
from apiserver_workers.authentication.jwt_claims import (
    NUMBER,
    REGISTERED,
    Claims,
    Unverified,
    WrongType,
    shaped,
    unverified,
    verified,
)
from apiserver_workers.authentication.keys import algorithm_of, key_id, parse_keys, parse_signing_key
from apiserver_workers.authorization.attributes import quote_list
from apiserver_workers.server.metrics import STALE_TOKENS, VALID_TOKENS
from apiserver_workers.server.tls.watched_files import WatchedFiles
from apiserver_workers.storage.interface import StorageError

USER_PREFIX = "system:serviceaccount:"
GROUP = "system:serviceaccounts"
EXTRA = "authentication.kubernetes.io/"
LEEWAY = 60.0

REFERENCE = {"name": str, "uid": str}
PRIVATE = {
    "namespace": str,
    **dict.fromkeys(("serviceaccount", "pod", "secret", "node"), REFERENCE),
    "warnafter": NUMBER,
}
SHAPE = {**REGISTERED, "kubernetes.io": PRIVATE}

# (resource, namespace, name) -> the stored object, None if there is none
Getter = Callable[[str, str, str], Awaitable[dict[str, Any] | None]]


def user_name(namespace: str, name: str) -> str:
    return f"{USER_PREFIX}{namespace}:{name}"


def split_user_name(user: str) -> tuple[str, str] | None:
    """Namespace and name of the service account that the user is, None if it is none."""
    if not user.startswith(USER_PREFIX):
        return None
    namespace, colon, name = user.removeprefix(USER_PREFIX).partition(":")
    return (namespace, name) if colon and namespace and name and ":" not in name else None


def group_names(namespace: str) -> tuple[str, str]:
    return GROUP, f"{GROUP}:{namespace}"


class TokenSigner:
    """Signs tokens with --service-account-signing-key-file in the name of the first issuer."""

    def __init__(self, key_file: str, issuer: str) -> None:
        """Raises OSError, or ValueError for what is no key."""
        self._key = key = parse_signing_key(Path(key_file).read_bytes())
        self._algorithm = algorithm_of(key.public_key())
        self._headers = {"kid": key_id(key.public_key()), "typ": None}
        self._issuer = issuer

    def sign(self, claims: dict[str, Any]) -> str:
        """The token with these claims, issued by us."""
        return jwt.encode({**claims, "iss": self._issuer}, self._key, self._algorithm, headers=self._headers)


class Validator(Protocol):
    """Decides whether what a token says is still true."""

    async def validate(self, token: str, claims: Claims) -> UserInfo:
        """The token's user. Raises AuthenticationError for a token that is no longer good, StorageError."""
        ...


class ServiceAccountTokens:
    """Authenticates tokens of these issuers. Keys are tried by the id in the token's header, all of them without one."""

    def __init__(
        self, issuers: Sequence[str], key_files: Sequence[str], api_audiences: Audiences, validator: Validator
    ) -> None:
        """Raises OSError or ValueError for a file without keys."""
        self._issuers = frozenset(issuers)
        self._files = [WatchedFiles([path], parse_keys) for path in key_files]
        self._api_audiences = api_audiences
        self._validator = validator

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        """None for what is not a token of ours; AuthenticationError for one that is not or no longer good."""
        said = unverified(token)
        if said is None or said.issuer not in self._issuers:
            return None
        claims = self._verify(token, said)
        meant_for = claims.get("aud") or list(self._api_audiences)
        token_audiences = [meant_for] if isinstance(meant_for, str) else meant_for
        wanted = self._api_audiences if audiences is None else audiences
        common = tuple(audience for audience in token_audiences if audience in wanted)
        if not common and self._api_audiences:
            raise AuthenticationError(
                f"token audiences {quote_list(token_audiences)} is invalid for the target audiences {quote_list(wanted)}"
            )
        try:
            return Response(await self._validator.validate(token, claims), common)
        except StorageError as error:
            raise AuthenticationError(f"cannot look up what the token names: {error}") from error

    def _verify(self, token: str, said: Unverified) -> Claims:
        keys = [key for file in self._files for key in file.current() if not said.key_id or key_id(key) == said.key_id]
        if not keys:
            raise AuthenticationError("invalid signature, no keys found")
        for key in keys:
            claims = verified(token, key, algorithm_of(key))
            if claims is not None:
                return _decoded(claims)
        raise AuthenticationError("go-jose/go-jose: error in cryptographic primitive")


class BoundTokens:
    """Tokens that this server issues: the account, and what they are bound to, must exist with the same uid."""

    def __init__(self, get: Getter) -> None:
        self._get = get

    async def validate(self, token: str, claims: Claims) -> UserInfo:
        now = time.time()
        check_times(claims, now)
        private = claims.get("kubernetes.io") or {}
        namespace, account = private.get("namespace", ""), private.get("serviceaccount") or {}
        name, uid = account.get("name", ""), account.get("uid", "")
        check_account(await self._get("serviceaccounts", namespace, name), namespace, name, uid, now - LEEWAY)
        for field, resource in (("secret", "secrets"), ("pod", "pods")):
            await self._check_bound(private.get(field), field, resource, namespace, now)
        if "pod" not in private:
            await self._check_bound(private.get("node"), "node", "nodes", "", now)
        # a pod that did not read its token again when it should have goes on with the extended one
        stale = 0 < private.get("warnafter", 0) < now
        (STALE_TOKENS if stale else VALID_TOKENS).inc()
        return UserInfo(user_name(namespace, name), uid, group_names(namespace), extra_of(claims, private))

    async def _check_bound(
        self, reference: dict[str, str] | None, kind: str, resource: str, namespace: str, now: float
    ) -> None:
        if not reference:
            return
        found = await self._get(resource, namespace, reference.get("name", ""))
        if found is None or deleted_before(found, now - LEEWAY):
            raise AuthenticationError("service account token has been invalidated")
        uid, claimed = found["metadata"]["uid"], reference.get("uid", "")
        if uid != claimed:
            raise AuthenticationError(f"{kind} UID ({uid}) does not match service account {kind} ref claim ({claimed})")


def check_account(account: dict[str, Any] | None, namespace: str, name: str, uid: str, moment: float) -> None:
    """Raises AuthenticationError unless the account is there, was not being deleted at that moment, and has the uid."""
    if account is None:
        raise AuthenticationError(str(not_found("serviceaccounts", "", name)))
    if deleted_before(account, moment):
        raise AuthenticationError(f"service account {namespace}/{name} has been deleted")
    found = account["metadata"]["uid"]
    if found != uid:
        raise AuthenticationError(f"service account UID ({found}) does not match claim ({uid})")


def _decoded(claims: Claims) -> Claims:
    try:
        decoded: Claims = shaped(claims, SHAPE)
    except WrongType as error:
        raise AuthenticationError(f"service account token claims could not be decoded: {error}") from None
    return decoded


def check_times(claims: dict[str, Any], now: float) -> None:
    """Raises AuthenticationError for a token that has expired or is not valid yet."""
    if now - LEEWAY > claims.get("exp", now):
        raise AuthenticationError("service account token has expired")
    if now + LEEWAY < claims.get("nbf", now):
        raise AuthenticationError("service account token is not valid yet")
    if now + LEEWAY < claims.get("iat", now):
        raise AuthenticationError("service account token is issued in the future")


def deleted_before(obj: dict[str, Any], moment: float) -> bool:
    """Whether the object was already being deleted at that moment."""
    stamp = obj["metadata"].get("deletionTimestamp")
    return stamp is not None and datetime.fromisoformat(stamp).timestamp() < moment


def extra_of(claims: dict[str, Any], private: dict[str, Any]) -> dict[str, list[str]]:
    """What the user's extra says of the token and of what it is bound to."""
    extra: dict[str, list[str]] = {}
    if claims.get("jti"):
        extra[f"{EXTRA}credential-id"] = [f"JTI={claims['jti']}"]
    for kind in ("node", "pod"):
        reference = private.get(kind) or {}
        if reference.get("name"):
            extra[f"{EXTRA}{kind}-name"] = [reference["name"]]
            if reference.get("uid"):
                extra[f"{EXTRA}{kind}-uid"] = [reference["uid"]]
    return extra
