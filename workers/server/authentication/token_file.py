"""--token-auth-file: a CSV of token, user, uid and optionally groups (k8s.io/apiserver/.../token/tokenfile)."""

from __future__ import annotations

import csv
import hashlib
import io

from workers.apimachinery.user import UserInfo
from workers.server.authentication.files import WatchedFile
from workers.server.authentication.interface import Audiences, Response


def parse_token_file(content: bytes) -> dict[bytes, UserInfo]:
    """Users by their token's hash. Raises ValueError for a line without token, user name and uid."""
    users: dict[bytes, UserInfo] = {}
    for number, row in enumerate(csv.reader(io.StringIO(content.decode()), skipinitialspace=True), 1):
        if not row:
            continue
        if len(row) < 3:
            raise ValueError(
                f"line {number}: expected at least 3 columns (token, user name, user uid), found {len(row)}"
            )
        if row[0]:
            groups = tuple(group.strip() for group in row[3].split(",")) if len(row) > 3 else ()
            users.setdefault(hash_token(row[0]), UserInfo(row[1], row[2], groups))
    return users


def hash_token(token: str) -> bytes:
    """What stands for a token in memory: looking up hashes leaks nothing through timing, and holds no secret."""
    return hashlib.sha256(token.encode()).digest()


class TokenFile:
    """Authenticates the tokens of a file; they are good for the server's own audiences."""

    def __init__(self, path: str, api_audiences: Audiences) -> None:
        self._users = WatchedFile(path, parse_token_file)
        self._api_audiences = api_audiences

    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        user = self._users.value.get(hash_token(token))
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
