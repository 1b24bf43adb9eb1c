"""Answers about tokens, kept for a while (k8s.io/apiserver/pkg/authentication/token/cache).

Tokens are kept by their hash only. Those who ask about one token at the same time share one question.
"""

from __future__ import annotations

import asyncio
import time

from apiserver_workers.authentication.interface import Audiences, AuthenticationError, Response, TokenAuthenticator
from apiserver_workers.authentication.token_file import hash_token
from apiserver_workers.server.metrics import TOKEN_CACHE_FETCHES, TOKEN_CACHE_REQUESTS

MAX_CACHED = 8192

Key = tuple[bytes, Audiences | None]


class TokenCache:
    """An authenticator whose answers are kept: good ones for `success` seconds, "not mine" for `failure`; errors never."""

    def __init__(self, authenticator: TokenAuthenticator, *, success: float, failure: float = 0.0) -> None:
        self._authenticator = authenticator
        self._success = success
        self._failure = failure
        self._kept: dict[Key, tuple[float, Response | None]] = {}
        self._asking: dict[Key, asyncio.Future[Response | None]] = {}

    async def authenticate_token(self, token: str, audiences: Audiences | None = None) -> Response | None:
        key = (hash_token(token), audiences)
        kept = self._kept.get(key)
        if kept is not None and kept[0] > time.monotonic():
            TOKEN_CACHE_REQUESTS.inc(("hit",))
            return kept[1]
        TOKEN_CACHE_REQUESTS.inc(("miss",))
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, token, audiences))
            asking.add_done_callback(_retrieved)
        # whoever gives up leaves the others their answer
        return await asyncio.shield(asking)

    async def _ask(self, key: Key, token: str, audiences: Audiences | None) -> Response | None:
        try:
            response = await self._authenticator.authenticate_token(token, audiences)
        except AuthenticationError:
            TOKEN_CACHE_FETCHES.inc(("error",))
            raise
        finally:
            del self._asking[key]
        TOKEN_CACHE_FETCHES.inc(("ok",))
        self._keep(key, response)
        return response

    def _keep(self, key: Key, response: Response | None) -> None:
        seconds = self._success if response is not None else self._failure
        if seconds > 0:
            self._kept.pop(key, None)
            if len(self._kept) >= MAX_CACHED:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (time.monotonic() + seconds, response)


def _retrieved(asking: asyncio.Future[Response | None]) -> None:
    """An error that nobody waits for any more is no fault of the program."""
    if not asking.cancelled():
        asking.exception()
