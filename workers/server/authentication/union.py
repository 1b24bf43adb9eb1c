"""The authenticator of a server: the ways that its configuration opens, asked in upstream's order.

A front proxy's headers, a client certificate, a bearer token; and if the request carries no credentials at all, anonymous.
Credentials that are not good are never passed over: they make the request unauthorized.
"""

from __future__ import annotations

from collections.abc import Sequence

from workers.apimachinery.user import UserInfo
from workers.server.authentication.certificates import CertificateVerifier, ClientCertificates
from workers.server.authentication.interface import (
    ANONYMOUS,
    UNAUTHENTICATED,
    Audiences,
    AuthenticationError,
    RequestAuthenticator,
    Response,
    TokenAuthenticator,
    as_authenticated,
)
from workers.server.authentication.request_header import RequestHeader
from workers.server.authentication.service_account import Getter, ServiceAccountTokens
from workers.server.authentication.token_file import FixedToken, TokenFile
from workers.server.authentication.tokens import BearerToken, TokenUnion
from workers.server.authorization.attributes import MASTERS
from workers.server.config import ServerConfig
from workers.server.http import Request
from workers.storage.interface import Storage

LOOPBACK_USER = UserInfo("system:apiserver", "", (MASTERS,))
ANONYMOUS_USER = UserInfo(ANONYMOUS, "", (UNAUTHENTICATED,))
STORAGE_PREFIXES = {"nodes": "minions"}


class ServerAuthenticator:
    """Finds the user of a request; `tokens` also answers TokenReviews."""

    def __init__(
        self,
        authenticators: Sequence[RequestAuthenticator],
        tokens: TokenUnion,
        *,
        anonymous: bool,
        api_audiences: Audiences,
    ) -> None:
        self._authenticators = tuple(authenticators)
        self._tokens = tokens
        self._anonymous = anonymous
        self.api_audiences = api_audiences

    async def authenticate(self, request: Request) -> UserInfo | None:
        """The user, None if the request shows no credentials and anonymous requests are not allowed.

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
        return ANONYMOUS_USER if self._anonymous else None

    async def review_token(self, token: str, audiences: Audiences | None) -> Response:
        """Who a token is, for these audiences (None: the server's own). Raises AuthenticationError if it is nobody."""
        return await self._tokens.authenticate_token(token, audiences)


def server_authenticator(config: ServerConfig, get: Getter | None = None) -> ServerAuthenticator:
    """The authenticator that the configuration asks for; `get` finds what service account tokens name.

    Raises OSError or ValueError for files that cannot be read.
    """
    audiences = config.api_audiences or config.service_account_issuer[:1]
    tokens: list[TokenAuthenticator] = []
    if config.loopback_token:
        tokens.append(FixedToken(config.loopback_token, LOOPBACK_USER, audiences))
    if config.token_auth_file:
        tokens.append(TokenFile(config.token_auth_file, audiences))
    key_files = config.service_account_key_file or tuple(filter(None, [config.service_account_signing_key_file]))
    if config.service_account_issuer and key_files:
        tokens.append(ServiceAccountTokens(config.service_account_issuer, key_files, audiences, get))
    union = TokenUnion(tokens)
    authenticators: list[RequestAuthenticator] = []
    if config.requestheader_client_ca_file:
        authenticators.append(_request_header(config))
    if config.client_ca_file:
        authenticators.append(ClientCertificates(CertificateVerifier(config.client_ca_file)))
    authenticators.append(BearerToken(union))
    return ServerAuthenticator(authenticators, union, anonymous=config.anonymous_auth, api_audiences=audiences)


def _request_header(config: ServerConfig) -> RequestHeader:
    return RequestHeader(
        CertificateVerifier(config.requestheader_client_ca_file),
        allowed_names=config.requestheader_allowed_names,
        username_headers=config.requestheader_username_headers,
        group_headers=config.requestheader_group_headers,
        extra_prefixes=config.requestheader_extra_headers_prefix,
    )


def stored_objects(storage: Storage, prefix: str) -> Getter:
    """A Getter that reads etcd: for servers that do not keep service accounts, pods and secrets in their cache.

    `prefix` is config.etcd_prefix. A token's answer is kept for a while, so this costs little.
    """

    async def get(resource: str, namespace: str, name: str) -> dict | None:
        parts = (prefix, STORAGE_PREFIXES.get(resource, resource), *((namespace,) if namespace else ()), name)
        if not name or "/" in namespace or "/" in name:
            return None
        entry = await storage.get("/".join(parts))
        return entry.obj if entry else None

    return get
