"""Bearer tokens: where a request carries one, and the union of authenticators that judge it, with its cache."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence

from workers.server.authentication.interface import (
    INVALID_TOKEN,
    Audiences,
    AuthenticationError,
    Response,
    TokenAuthenticator,
    as_authenticated,
)
from workers.server.authentication.token_file import hash_token
from workers.server.authorization.rbac import aggregate
from workers.server.http import Request

CACHE_SECONDS = 10.0
MAX_CACHED = 8192
PROTOCOL_PREFIX = "base64url.bearer.authorization.k8s.io."


class TokenUnion:
    """Asks each authenticator for a token's user. Good answers are kept for ten seconds, by the token's hash."""

    def __init__(self, authenticators: Sequence[TokenAuthenticator]) -> None:
        self._authenticators = tuple(authenticators)
        self._cached: dict[tuple[bytes, Audiences | None], tuple[float, Response]] = {}

    async def authenticate_token(self, token: str, audiences: Audiences | None = None) -> Response:
        """Raises AuthenticationError with all that the authenticators said if none knows the token."""
        key = (hash_token(token), audiences)
        now = time.monotonic()
        cached = self._cached.get(key)
        if cached is not None and cached[0] > now:
            return cached[1]
        response = await self._ask(token, audiences)
        if len(self._cached) >= MAX_CACHED:
            self._cached.clear()
        self._cached[key] = (now + CACHE_SECONDS, response)
        return response

    async def _ask(self, token: str, audiences: Audiences | None) -> Response:
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

    def __init__(self, tokens: TokenUnion) -> None:
        self._tokens = tokens

    async def authenticate(self, request: Request) -> Response | None:
        headers = request.headers
        token = bearer_token(headers.get("authorization", ""))
        if token:
            response = await self._tokens.authenticate_token(token)
            del headers["authorization"]
            return response
        if "sec-websocket-protocol" in headers and headers.get("upgrade", "").lower() == "websocket":
            return await self._websocket(headers)
        return None

    async def _websocket(self, headers: dict[str, str]) -> Response | None:
        protocols = [protocol.strip() for protocol in headers["sec-websocket-protocol"].split(",")]
        others = [protocol for protocol in protocols if not protocol.startswith(PROTOCOL_PREFIX)]
        encoded = [protocol.removeprefix(PROTOCOL_PREFIX) for protocol in protocols if protocol not in others]
        if not encoded:
            return None
        if len(encoded) > 1:
            raise AuthenticationError("multiple base64.bearer.authorization tokens specified")
        if not others:
            raise AuthenticationError("missing additional subprotocol")
        try:
            token = base64.urlsafe_b64decode(encoded[0] + "=" * (-len(encoded[0]) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise AuthenticationError("invalid base64.bearer.authorization token encoding") from error
        response = await self._tokens.authenticate_token(token)
        headers["sec-websocket-protocol"] = ",".join(others)
        return response


def bearer_token(header: str) -> str:
    """The token of an Authorization header, "" if it carries none: empty, or of another scheme."""
    scheme, _, rest = header.strip().partition(" ")
    return rest.split(" ", 1)[0] if scheme.lower() == "bearer" else ""
