"""The authenticator of a server: the ways that its configuration opens, asked in upstream's order.

A front proxy's headers, a client certificate, a bearer token; and if the request carries no credentials at all, anonymous.
Credentials that are not good are never passed over: they make the request unauthorized.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.basic_auth import BasicAuth
from apiserver_workers.authentication.bootstrap_token import BootstrapTokens
from apiserver_workers.authentication.certificates import CertificateVerifier, ClientCertificates
from apiserver_workers.authentication.configuration import Anonymous, flags_jwt
from apiserver_workers.authentication.interface import (
    ANONYMOUS,
    INVALID_TOKEN,
    UNAUTHENTICATED,
    Audiences,
    AuthenticationError,
    RequestAuthenticator,
    Response,
    TokenAuthenticator,
    as_authenticated,
)
from apiserver_workers.authentication.jwt_set import FileJwtSet, JwtSet
from apiserver_workers.authentication.legacy_service_account import ISSUER as LEGACY_ISSUER
from apiserver_workers.authentication.legacy_service_account import LegacyTokens
from apiserver_workers.authentication.request_header import RequestHeader
from apiserver_workers.authentication.service_account import BoundTokens, ServiceAccountTokens
from apiserver_workers.authentication.stored import NamedObjects
from apiserver_workers.authentication.token_cache import TokenCache
from apiserver_workers.authentication.token_file import FixedToken, TokenFile
from apiserver_workers.authentication.tokens import BearerToken, TokenUnion
from apiserver_workers.authentication.webhook import WebhookTokens
from apiserver_workers.authorization.attributes import MASTERS
from apiserver_workers.server.client.kubeconfig import load_kubeconfig
from apiserver_workers.server.client.webhook import Webhook
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http.messages import Request

CACHE_SECONDS = 10.0
BASIC_CHALLENGE = 'Basic realm="kubernetes-master"'
LOOPBACK_USER = UserInfo("system:apiserver", "", (MASTERS,))
ANONYMOUS_USER = UserInfo(ANONYMOUS, "", (UNAUTHENTICATED,))


class ServerAuthenticator:
    """Finds the user of a request; `tokens` also answers TokenReviews. `challenge` is what 401s ask clients for."""

    def __init__(
        self,
        authenticators: Sequence[RequestAuthenticator],
        tokens: TokenAuthenticator,
        *,
        anonymous: Anonymous,
        api_audiences: Audiences,
        jwt: JwtSet | None = None,
        challenge: str = "",
    ) -> None:
        self._authenticators = tuple(authenticators)
        self._tokens = tokens
        self._anonymous = anonymous
        self._jwt = jwt
        self.api_audiences = api_audiences
        self.challenge = challenge

    async def start(self) -> None:
        """Begin to look for token issuers. Requests may come before they are found."""
        if self._jwt is not None:
            await self._jwt.start()

    async def stop(self) -> None:
        if self._jwt is not None:
            await self._jwt.stop()

    async def authenticate(self, request: Request) -> UserInfo | None:
        """The user, None if the request shows no credentials and may not be anonymous.

        Raises AuthenticationError for credentials that no authenticator accepts.
        """
        refused: AuthenticationError | None = None
        for authenticator in self._authenticators:
            try:
                response = await authenticator.authenticate(request)
            except AuthenticationError as error:
                refused = refused or error
            else:
                if response is not None:
                    return as_authenticated(response.user)
        if refused is not None:
            raise refused
        return ANONYMOUS_USER if self._anonymous.allows(request.path) else None

    async def review_token(self, token: str, audiences: Audiences | None) -> Response:
        """Who a token is, for these audiences (None: the server's own). Raises AuthenticationError if it is nobody."""
        response = await self._tokens.authenticate_token(token, audiences)
        if response is None:
            raise AuthenticationError(INVALID_TOKEN)
        return response


def server_authenticator(config: ServerConfig, objects: NamedObjects | None = None) -> ServerAuthenticator:
    """The authenticator that the configuration asks for. Without `objects`, tokens that name any are nobody's.

    Raises OSError or ValueError for files that cannot be read.
    """
    audiences = config.api_audiences or config.service_account_issuer
    jwt = _jwt_set(config, audiences)
    tokens = TokenCache(TokenUnion(_token_authenticators(config, audiences, objects, jwt)), success=CACHE_SECONDS)
    authenticators: list[RequestAuthenticator] = []
    if config.requestheader_client_ca_file:
        authenticators.append(_request_header(config))
    if config.basic_auth_file:
        authenticators.append(BasicAuth(config.basic_auth_file))
    if config.client_ca_file:
        authenticators.append(ClientCertificates(CertificateVerifier(config.client_ca_file)))
    authenticators.append(BearerToken(tokens))
    of_file = jwt.anonymous if isinstance(jwt, FileJwtSet) else None
    return ServerAuthenticator(
        authenticators,
        tokens,
        anonymous=of_file or Anonymous(config.anonymous_auth),
        api_audiences=audiences,
        jwt=jwt,
        challenge=BASIC_CHALLENGE if config.basic_auth_file else "",
    )


def _token_authenticators(
    config: ServerConfig, audiences: Audiences, objects: NamedObjects | None, jwt: JwtSet | None
) -> Iterator[TokenAuthenticator]:
    """In upstream's order: what costs no request to others first."""
    if config.loopback_token:
        yield FixedToken(config.loopback_token, LOOPBACK_USER, audiences)
    if config.token_auth_file:
        yield TokenFile(config.token_auth_file, audiences)
    if objects is not None:
        key_files = config.service_account_key_file or tuple(filter(None, [config.service_account_signing_key_file]))
        if key_files:
            legacy = LegacyTokens(objects, lookup=config.service_account_lookup)
            yield ServiceAccountTokens((LEGACY_ISSUER,), key_files, audiences, legacy)
        if key_files and config.service_account_issuer:
            yield ServiceAccountTokens(config.service_account_issuer, key_files, audiences, BoundTokens(objects.get))
        if config.enable_bootstrap_token_auth:
            yield BootstrapTokens(objects.get, audiences)
    if jwt is not None:
        yield jwt
    if config.authentication_token_webhook_config_file:
        webhook = Webhook(load_kubeconfig(config.authentication_token_webhook_config_file))
        asking = WebhookTokens(webhook, config.authentication_token_webhook_version, audiences)
        kept = config.authentication_token_webhook_cache_ttl
        yield TokenCache(asking, success=kept, failure=kept)


def _jwt_set(config: ServerConfig, audiences: Audiences) -> JwtSet | None:
    if config.authentication_config:
        return FileJwtSet(config, audiences)
    flags = flags_jwt(config)
    return JwtSet([flags], audiences) if flags else None


def _request_header(config: ServerConfig) -> RequestHeader:
    return RequestHeader(
        CertificateVerifier(config.requestheader_client_ca_file),
        allowed_names=config.requestheader_allowed_names,
        username_headers=config.requestheader_username_headers,
        group_headers=config.requestheader_group_headers,
        uid_headers=config.requestheader_uid_headers if feature_gates.enabled("RemoteRequestHeaderUID") else (),
        extra_prefixes=config.requestheader_extra_headers_prefix,
    )
