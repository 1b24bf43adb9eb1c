"""The JWT authenticators of a server: those of --authentication-config, followed as the file changes, or the flags' one.

A new file counts once all its issuers have been found; until then, and if it is not sound, the last good one does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from apiserver_workers.authentication.configuration import (
    JwtConfig,
    load_authentication_config,
    parse_authentication_config,
)
from apiserver_workers.authentication.interface import Audiences, AuthenticationError, Response
from apiserver_workers.authentication.oidc import JwtTokens
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.config_reload import AUTHENTICATION, FollowedFile, NotYet

READY_WITHIN = 60.0
READY_CHECK = 0.1


class JwtSet:
    """Asks the authenticator of a token's issuer. `start` before the first question, `stop` after the last."""

    def __init__(self, jwt: Sequence[JwtConfig], api_audiences: Audiences) -> None:
        self._api_audiences = api_audiences
        self._current = self._build(jwt)

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        errors = []
        for tokens in self._current:
            try:
                response = await tokens.authenticate_token(token, audiences)
            except AuthenticationError as error:
                errors.append(error)
            else:
                if response is not None:
                    return response
        if errors:
            raise errors[0]
        return None

    async def start(self) -> None:
        for tokens in self._current:
            tokens.start()

    async def stop(self) -> None:
        for tokens in self._current:
            tokens.stop()

    def _build(self, jwt: Sequence[JwtConfig]) -> list[JwtTokens]:
        return [JwtTokens(config, self._api_audiences) for config in jwt]


class FileJwtSet(JwtSet):
    """A set that follows its file. `anonymous` is what the file said of that at the start; it may not change."""

    def __init__(self, config: ServerConfig, api_audiences: Audiences) -> None:
        """Raises OSError, or ValueError that names the file."""
        path = config.authentication_config
        self._issuers = config.service_account_issuer
        self._file = FollowedFile(path, config, AUTHENTICATION, self._change)
        found = load_authentication_config(path, self._issuers)
        self.anonymous = found.anonymous
        super().__init__(found.jwt, api_audiences)

    async def start(self) -> None:
        await super().start()
        self._file.start()

    async def stop(self) -> None:
        await self._file.stop()
        await super().stop()

    async def _change(self, content: bytes) -> None:
        """Raises ValueError for a file that is not sound, NotYet while not all issuers are found."""
        found = await asyncio.to_thread(parse_authentication_config, content, self._issuers)
        if found.anonymous != self.anonymous:
            raise ValueError("anonymous: Forbidden: changed from initial configuration file")
        fresh = self._build(found.jwt)
        for tokens in fresh:
            tokens.start()
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not all(tokens.ready for tokens in fresh):
                    await asyncio.sleep(READY_CHECK)
        except BaseException as error:
            for tokens in fresh:
                tokens.stop()
            if isinstance(error, TimeoutError):
                raise NotYet("not all issuers were found in time") from None
            raise
        self._current, old = fresh, self._current
        for tokens in old:
            tokens.stop()
