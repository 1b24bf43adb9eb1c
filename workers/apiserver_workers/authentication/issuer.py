"""A token issuer as OpenID Connect describes it: where its keys are, and which of them signed a token.

Keys are fetched when they are needed and kept as long as the issuer allows; a token signed with a key that is not known
makes us look again, once for all who wait. Nothing waits for an issuer but those who bring its tokens.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from typing import Any

import jwt
import orjson

from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.jwt_claims import unverified, verified
from apiserver_workers.server.client.http import ClientError, HttpClient

WELL_KNOWN = "/.well-known/openid-configuration"
RETRY_SECONDS = 10.0
MAX_AGE = re.compile(r"max-age=(\d+)")

log = logging.getLogger(__name__)


class Issuer:
    """One issuer. Run `discover` beside other work; until it has found the issuer no token verifies."""

    def __init__(self, url: str, client: HttpClient, algorithms: Sequence[str], discovery_url: str = "") -> None:
        self.url = url
        self._client = client
        self._algorithms = tuple(algorithms)
        self._discovery_url = discovery_url or url.removesuffix("/") + WELL_KNOWN
        self._keys_url = ""
        self._keys: list[jwt.PyJWK] = []
        self._keys_until = 0.0
        self._fetching: asyncio.Future[list[jwt.PyJWK]] | None = None

    @property
    def discovered(self) -> bool:
        return bool(self._keys_url)

    async def discover(self) -> None:
        """Returns once the issuer has said where its keys are; asks every ten seconds until then."""
        while True:
            try:
                self._keys_url = await self._find_keys()
                return
            except (ClientError, ValueError) as error:
                log.error("oidc authenticator: initializing plugin: %s: %s", self.url, error)
            await asyncio.sleep(RETRY_SECONDS)

    async def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that this issuer signed. Raises AuthenticationError."""
        if not self.discovered:
            raise AuthenticationError("oidc: authenticator not initialized")
        said = unverified(token)
        if said is None:
            raise AuthenticationError("oidc: verify token: oidc: malformed jwt")
        algorithm, key_id = said.algorithm, said.key_id
        if algorithm not in self._algorithms:
            wanted = " ".join(f'"{name}"' for name in self._algorithms)
            raise AuthenticationError(
                "oidc: verify token: oidc: id token signed with unsupported algorithm, "
                f'expected [{wanted}] got "{algorithm}"'
            )
        claims = _verified(token, algorithm, key_id, self._keys)
        if claims is None and time.monotonic() >= self._keys_until:
            claims = _verified(token, algorithm, key_id, await self._fetch_once())
        if claims is None:
            raise AuthenticationError("oidc: verify token: failed to verify signature: no key of the issuer fits")
        return claims

    async def _find_keys(self) -> str:
        document = await self._json(self._discovery_url)
        if document.get("issuer") != self.url:
            raise ValueError(
                "oidc: issuer did not match the issuer returned by provider, "
                f'expected "{self.url}" got "{document.get("issuer")}"'
            )
        keys_url = document.get("jwks_uri")
        if not isinstance(keys_url, str) or not keys_url:
            raise ValueError("oidc: the provider has no jwks_uri")
        return keys_url

    async def _fetch_once(self) -> list[jwt.PyJWK]:
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        try:
            return await asyncio.shield(self._fetching)
        except (ClientError, ValueError) as error:
            raise AuthenticationError(
                f"oidc: verify token: failed to verify signature: fetching keys {error}"
            ) from None

    def _fetched(self, fetching: asyncio.Future[list[jwt.PyJWK]]) -> None:
        self._fetching = None
        if not fetching.cancelled():
            fetching.exception()

    async def _fetch(self) -> list[jwt.PyJWK]:
        reply = await self._client.get(self._keys_url)
        keys = parse_key_set(_as_object(reply.status, reply.body))
        age = MAX_AGE.search(reply.headers.get("cache-control", ""))
        self._keys, self._keys_until = keys, time.monotonic() + (int(age.group(1)) if age else 0)
        return keys

    async def _json(self, url: str) -> dict[str, Any]:
        reply = await self._client.get(url)
        return _as_object(reply.status, reply.body)


def parse_key_set(document: dict[str, Any]) -> list[jwt.PyJWK]:
    """The signing keys of a JWK set; those of other kinds are left out. Raises ValueError if it is no set."""
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise ValueError("oidc: failed to decode keys: no list of keys")
    keys = []
    for entry in entries:
        try:
            if entry.get("use", "sig") == "sig":
                keys.append(jwt.PyJWK(entry))
        except (jwt.PyJWTError, ValueError, AttributeError):
            continue
    return keys


def _as_object(status: int, body: bytes) -> dict[str, Any]:
    """Raises ValueError for an answer that is no JSON object."""
    if status != 200:
        raise ValueError(f"{status}: {body[:200].decode('utf-8', 'replace')}")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"oidc: failed to decode the answer: {error}") from None
    if not isinstance(document, dict):
        raise ValueError("oidc: failed to decode the answer: not an object")
    return document


def _verified(token: str, algorithm: str, key_id: str, keys: list[jwt.PyJWK]) -> dict[str, Any] | None:
    for key in keys:
        if key_id and key.key_id != key_id:
            continue
        claims = verified(token, key.key, algorithm)
        if claims is not None:
            return claims
    return None
