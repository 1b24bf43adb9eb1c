"""--token-auth-file: a CSV of token, user, uid and optionally groups (k8s.io/apiserver/.../token/tokenfile)."""

from __future__ import annotations

import hashlib
import logging

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.csv_file import parse_users
from apiserver_workers.authentication.interface import Audiences, Response
from apiserver_workers.server.tls.watched_files import WatchedFiles

log = logging.getLogger(__name__)


def parse_token_file(content: bytes) -> dict[bytes, UserInfo]:
    """Users by their token's hash; of a token that stands there twice the last line counts. Raises ValueError."""
    users: dict[bytes, UserInfo] = {}
    for line, token, user in parse_users(content, "token"):
        if not token:
            log.warning("empty token has been found in token file, line %d", line)
            continue
        key = hash_token(token)
        if key in users:
            log.warning("duplicate token has been found in token file, line %d", line)
        users[key] = user
    return users


def hash_token(token: str) -> bytes:
    """What stands for a token in memory: looking up hashes leaks nothing through timing, and holds no secret."""
    return hashlib.sha256(token.encode()).digest()


class TokenFile:
    """Authenticates the tokens of a file; they are good for the server's own audiences."""

    def __init__(self, path: str, api_audiences: Audiences) -> None:
        self._users = WatchedFiles([path], parse_token_file)
        self._api_audiences = api_audiences

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        user = self._users.current().get(hash_token(token))
        return for_audiences(user, self._api_audiences, audiences) if user else None


class FixedToken:
    """One token of one user: the server's own loopback credentials."""

    def __init__(self, token: str, user: UserInfo, api_audiences: Audiences) -> None:
        self._hash = hash_token(token)
        self._user = user
        self._api_audiences = api_audiences

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        if hash_token(token) != self._hash:
            return None
        return for_audiences(self._user, self._api_audiences, audiences)


def for_audiences(user: UserInfo, api_audiences: Audiences, wanted: Audiences | None) -> Response | None:
    """A token that knows of no audiences is good for the server's own, and for no other."""
    if wanted is None:
        return Response(user, api_audiences)
    common = tuple(audience for audience in wanted if audience in api_audiences)
    return Response(user, common) if common else None
