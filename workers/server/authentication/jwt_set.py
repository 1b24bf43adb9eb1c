"""The JWT authenticators of a server: those of --authentication-config, followed as the file changes, or the flags' one.

A new file counts once all its issuers have been found; until then, and if it is not sound, the last good one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from workers.server.authentication.configuration import (
    AuthenticationConfig,
    JwtConfig,
    load_authentication_config,
    parse_authentication_config,
)
from workers.server.authentication.interface import Audiences, AuthenticationError, Response
from workers.server.authentication.oidc import JwtTokens
from workers.server.config import ServerConfig
from workers.server.config_reload import AUTHENTICATION
from workers.server.server_id import server_id_hash

CHECK_SECONDS = 1.0
READY_WITHIN = 60.0

log = logging.getLogger(__name__)


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
        self._path = Path(config.authentication_config)
        self._issuers = config.service_account_issuer
        self._server = server_id_hash(config)
        self._content = self._path.read_bytes()
        self._fault = ""
        found = load_authentication_config(config.authentication_config, self._issuers)
        self.anonymous = found.anonymous
        self._following: asyncio.Task[None] | None = None
        super().__init__(found.jwt, api_audiences)

    async def start(self) -> None:
        await super().start()
        AUTHENTICATION.applied(self._server, self._content)
        self._following = asyncio.ensure_future(self._follow())

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._following
        await super().stop()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                content = self._path.read_bytes()
                if content != self._content:
                    await self._change(content)
            except (OSError, ValueError) as error:
                self._failed(error)

    async def _change(self, content: bytes) -> None:
        """Raises ValueError for a file that is not sound, which is not tried again."""
        self._content = content
        found = parse_authentication_config(content, self._issuers)
        self._check(found)
        fresh = self._build(found.jwt)
        for tokens in fresh:
            tokens.start()
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not all(tokens.ready for tokens in fresh):
                    await asyncio.sleep(CHECK_SECONDS / 10)
        except BaseException as error:
            for tokens in fresh:
                tokens.stop()
            if isinstance(error, TimeoutError):
                self._content = b""  # the issuers may be found later: tried again
                raise ValueError("not all issuers were found in time") from None
            raise
        self._current, old = fresh, self._current
        for tokens in old:
            tokens.stop()
        self._fault = ""
        AUTHENTICATION.reloaded(self._server, content)
        log.info("reloaded authentication config")

    def _check(self, found: AuthenticationConfig) -> None:
        if found.anonymous != self.anonymous:
            raise ValueError("anonymous: Forbidden: changed from initial configuration file")

    def _failed(self, error: Exception) -> None:
        if str(error) != self._fault:  # told once, however often it is tried
            self._fault = str(error)
            AUTHENTICATION.failed(self._server)
            log.error("failed to update authentication config: %s: %s", self._path, error)
