"""Bearer tokens: where a request carries one, and the union of authenticators that judge it."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from apiserver_workers.authentication.interface import (
    INVALID_TOKEN,
    Audiences,
    AuthenticationError,
    Response,
    TokenAuthenticator,
    as_authenticated,
)
from apiserver_workers.authorization.rbac import aggregate
from apiserver_workers.server.http.messages import Request

PROTOCOLS = "sec-websocket-protocol"
PROTOCOL_PREFIX = "base64url.bearer.authorization.k8s.io."


class TokenUnion:
    """Asks each authenticator for a token's user."""

    def __init__(self, authenticators: Iterable[TokenAuthenticator]) -> None:
        self._authenticators = tuple(authenticators)

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        """Raises AuthenticationError with all that the authenticators said if none knows the token."""
        errors = [INVALID_TOKEN]
        for authenticator in self._authenticators:
            try:
                response = await authenticator.authenticate_token(token, audiences)
            except AuthenticationError as error:
                errors.append(str(error))
            else:
                if response is not None:
                    return Response(as_authenticated(response.user), response.audiences)
        raise AuthenticationError(aggregate(errors))


class BearerToken:
    """Authenticates `Authorization: Bearer TOKEN`, or the token among a WebSocket's protocols.

    The token is taken off a request that it authenticates: nothing behind may see or pass it on.
    """

    def __init__(self, tokens: TokenAuthenticator) -> None:
        self._tokens = tokens

    async def authenticate(self, request: Request) -> Response | None:
        headers = request.headers
        token = bearer_token(headers.get("authorization", ""))
        if token:
            response = await self._tokens.authenticate_token(token, None)
            del headers["authorization"]
            return response
        if PROTOCOLS in headers and headers.get("upgrade", "").lower() == "websocket":
            return await self._websocket(request)
        return None

    async def _websocket(self, request: Request) -> Response | None:
        others: list[str] = []
        encoded: list[str] = []
        for line in request.values(PROTOCOLS):
            for protocol in map(str.strip, line.split(",")):
                if protocol.startswith(PROTOCOL_PREFIX):
                    encoded.append(protocol.removeprefix(PROTOCOL_PREFIX))
                else:
                    others.append(protocol)
        if not encoded:
            return None
        if len(encoded) > 1:
            raise AuthenticationError("multiple base64.bearer.authorization tokens specified")
        if not others:
            raise AuthenticationError("missing additional subprotocol")
        try:
            token = base64.urlsafe_b64decode(encoded[0] + "=" * (-len(encoded[0]) % 4)).decode()
        except ValueError as error:
            raise AuthenticationError("invalid base64.bearer.authorization token encoding") from error
        response = await self._tokens.authenticate_token(token, None)
        request.replace_header(PROTOCOLS, ",".join(others))
        return response


def bearer_token(header: str) -> str:
    """The token of an Authorization header, "" if it carries none: empty, or of another scheme."""
    scheme, _, rest = header.strip().partition(" ")
    return rest.split(" ", 1)[0] if scheme.lower() == "bearer" else ""
