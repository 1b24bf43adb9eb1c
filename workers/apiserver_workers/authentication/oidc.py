"""JWTs of other issuers (k8s.io/apiserver/plugin/pkg/authenticator/token/oidc): claims become a user."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication import expressions
from apiserver_workers.authentication.configuration import NO_EXPRESSIONS, JwtConfig
from apiserver_workers.authentication.expressions import cel_value, user_value
from apiserver_workers.authentication.interface import Audiences, AuthenticationError, Response
from apiserver_workers.authentication.issuer import Issuer
from apiserver_workers.authentication.jwt_claims import REGISTERED, Claims, WrongType, shaped, unverified
from apiserver_workers.authentication.token_file import for_audiences
from apiserver_workers.server.client.http import ClientError, HttpClient
from apiserver_workers.server.client.tls import TlsConfig
from apiserver_workers.server.metrics import JWT_SECONDS

NOT_BEFORE_LEEWAY = 60.0
CLAIM_NAMES, CLAIM_SOURCES = "_claim_names", "_claim_sources"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"
GOOGLE = "accounts.google.com"

log = logging.getLogger(__name__)


class JwtTokens:
    """Authenticates the tokens of one issuer. They are good for the server's own audiences.

    Call `start` before, and `stop` after; tokens are refused until the issuer was found.
    """

    def __init__(self, config: JwtConfig, api_audiences: Audiences) -> None:
        """Raises ValueError for an authority that is none."""
        self._config = config
        self._api_audiences = api_audiences
        self._client = HttpClient(TlsConfig(ca_data=config.authority))
        self._issuer = Issuer(config.issuer, self._client, config.algorithms, config.discovery_url)
        self._sources: dict[str, Issuer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._label = "sha256:" + hashlib.sha256(config.issuer.encode()).hexdigest()

    @property
    def ready(self) -> bool:
        """Whether the issuer was found."""
        return self._issuer.discovered

    def start(self) -> None:
        """Begin to look for the issuer."""
        self._run(self._issuer)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._client.close()

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        """None for tokens of others; AuthenticationError for one of this issuer that is not good."""
        if untrusted_issuer(token) != self._config.issuer:
            return None
        start = time.perf_counter()
        result = "failure"
        try:
            user = await self._user(token)
            result = "success"
        finally:
            JWT_SECONDS.observe(time.perf_counter() - start, (result, self._label))
        return for_audiences(user, self._api_audiences, audiences)

    def _run(self, issuer: Issuer) -> None:
        task = asyncio.ensure_future(issuer.discover())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _user(self, token: str) -> UserInfo:
        config = self._config
        claims = await self._issuer.verify(token)
        check(claims, config, time.time())
        if config.groups is not None and config.groups.claim not in claims and CLAIM_NAMES in claims:
            await self._expand(claims, config.groups.claim)
        return await user_of(claims, config)

    async def _expand(self, claims: Claims, claim: str) -> None:
        """A claim that the token leaves to another place (OpenID Connect Core, 5.6.2) is fetched from there."""
        prefix = "oidc: could not expand distributed claims: "
        names, sources = claims[CLAIM_NAMES], claims.get(CLAIM_SOURCES)
        if not isinstance(names, dict) or claim not in names:
            return
        named = names[claim]
        if not isinstance(named, str) or not isinstance(sources, dict) or not isinstance(sources.get(named), dict):
            raise AuthenticationError(f"{prefix}id token _claim_names contained a source missing in _claims_sources")
        source = sources[named]
        endpoint, access_token = source.get("endpoint"), source.get("access_token")
        if not endpoint or not isinstance(endpoint, str):
            return
        found = await self._distributed(endpoint, access_token, prefix)
        if claim not in found:
            raise AuthenticationError(
                f'{prefix}jwt returned by distributed claim endpoint "{endpoint}" did not contain claim: {claim}'
            )
        claims[claim] = found[claim]

    async def _distributed(self, endpoint: str, access_token: Any, prefix: str) -> Claims:
        headers = [("Authorization", f"Bearer {access_token}")] if access_token else []
        try:
            reply = await self._client.get(endpoint, headers=headers)
        except ClientError as error:
            raise AuthenticationError(f"{prefix}while getting distributed claim: {error}") from None
        if not 200 <= reply.status <= 226:
            raise AuthenticationError(f"{prefix}error while getting distributed claim JWT: {reply.status}")
        token = reply.body.decode("utf-8", "replace").strip()
        issuer = self._source(untrusted_issuer(token))
        if not issuer.discovered:
            raise AuthenticationError(f'{prefix}verifier not initialized for issuer: "{issuer.url}"')
        found = await issuer.verify(token)
        check(found, self._config, time.time())
        return found

    def _source(self, url: str) -> Issuer:
        if url == self._config.issuer:
            return self._issuer
        issuer = self._sources.get(url)
        if issuer is None:
            issuer = self._sources[url] = Issuer(url, self._client, self._config.algorithms)
            self._run(issuer)
        return issuer


def untrusted_issuer(token: str) -> str:
    """The issuer that a token names, without looking at its signature; "" if it is no JWT or names none."""
    said = unverified(token)
    if said is None:
        return ""
    return f"https://{GOOGLE}" if said.issuer == GOOGLE else said.issuer


def check(claims: Claims, config: JwtConfig, now: float) -> None:
    """Types, audience and dates. Raises AuthenticationError."""
    try:
        claims = shaped(claims, REGISTERED)
    except WrongType as error:
        raise AuthenticationError(f"oidc: verify token: oidc: failed to unmarshal claims: {error}") from None
    meant_for = claims.get("aud", [])
    audiences = meant_for if isinstance(meant_for, list) else [meant_for]
    if not any(audience in config.audiences for audience in audiences):
        raise AuthenticationError(
            f"oidc: verify token: oidc: expected audience in {_listed(config.audiences)} got {_listed(audiences)}"
        )
    expiry, not_before = claims.get("exp"), claims.get("nbf")
    if expiry is None or expiry < now:
        raise AuthenticationError("oidc: verify token: oidc: token is expired")
    if not_before is not None and now + NOT_BEFORE_LEEWAY < not_before:
        raise AuthenticationError("oidc: verify token: oidc: current time before the nbf (not before) time")


def _listed(names: Any) -> str:
    return "[" + " ".join(f'"{name}"' for name in names) + "]"


def _text(claims: Claims, name: str, what: str) -> str:
    if name not in claims:
        raise AuthenticationError(f'oidc: parse {what} "{name}": claim not present')
    if not isinstance(claims[name], str):
        raise AuthenticationError(f'oidc: parse {what} "{name}": not a string')
    return claims[name]


async def user_of(claims: Claims, config: JwtConfig) -> UserInfo:
    """The user that checked claims name. Raises AuthenticationError, also if a rule is not met."""
    rules = config.expressions
    seen = {"claims": cel_value(claims)} if rules is not NO_EXPRESSIONS else {}
    if rules.username is None:
        name = username(claims, config)
    else:
        name = await expressions.username(rules.username, seen)
    held = groups(claims, config) if rules.groups is None else await expressions.groups(rules.groups, seen)
    identity = uid(claims, config) if rules.uid is None else await expressions.text(rules.uid, seen, "uid")
    user = UserInfo(name, identity, held, credential(claims) | await expressions.extra(rules.extra, seen))
    check_required(claims, config)
    await expressions.check_rules(rules.claim_rules, seen, "claim validation expression")
    if rules.user_rules:
        await expressions.check_rules(rules.user_rules, user_value(user), "user info validation rule")
    return user


def credential(claims: Claims) -> dict[str, list[str]]:
    """What audit knows the token by: its id, if it has one."""
    identifier = claims.get("jti")
    return {CREDENTIAL_ID: [f"JTI={identifier}"]} if identifier and isinstance(identifier, str) else {}


def username(claims: Claims, config: JwtConfig) -> str:
    name = _text(claims, config.username.claim, "username claims")
    if config.username.claim == "email" and "email_verified" in claims:
        verified = claims["email_verified"]
        if not isinstance(verified, bool):
            raise AuthenticationError("oidc: parse 'email_verified' claim: not a boolean")
        if not verified:
            raise AuthenticationError("oidc: email not verified")
    return config.username.prefix + name


def groups(claims: Claims, config: JwtConfig) -> tuple[str, ...]:
    """The groups claim, which may be one string."""
    mapping = config.groups
    if mapping is None or mapping.claim not in claims:
        return ()
    value = claims[mapping.claim]
    names = [value] if isinstance(value, str) else value
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise AuthenticationError(f'oidc: parse groups claim "{mapping.claim}": not a string or a list of strings')
    return tuple(mapping.prefix + name for name in names)


def uid(claims: Claims, config: JwtConfig) -> str:
    return _text(claims, config.uid_claim, "uid claim") if config.uid_claim else ""


def check_required(claims: Claims, config: JwtConfig) -> None:
    """Raises AuthenticationError unless every required claim has its value."""
    for claim, wanted in config.required_claims:
        if claim not in claims:
            raise AuthenticationError(f"oidc: required claim {claim} not present in ID token")
        value = claims[claim]
        if not isinstance(value, str):
            raise AuthenticationError(f"oidc: parse claim {claim}: not a string")
        if value != wanted:
            raise AuthenticationError(
                f"oidc: required claim {claim} value does not match. Got = {value}, want = {wanted}"
            )
