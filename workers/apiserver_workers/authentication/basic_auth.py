"""--basic-auth-file: user names and passwords in plain text (1.12's passwordfile and basicauth; gone since 1.19)."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.csv_file import parse_users
from apiserver_workers.authentication.interface import AuthenticationError, Response
from apiserver_workers.authentication.token_file import hash_token
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.tls.watched_files import WatchedFiles

INVALID = "invalid username/password combination"
NOBODY = hash_token("")

log = logging.getLogger(__name__)


def parse_basic_auth_file(content: bytes) -> dict[str, tuple[bytes, UserInfo]]:
    """Hashed password and user by user name; of a name that stands there twice the last line counts. Raises ValueError."""
    users: dict[str, tuple[bytes, UserInfo]] = {}
    for line, password, user in parse_users(content, "password"):
        if user.name in users:
            log.warning("duplicate username '%s' has been found in password file, line %d", user.name, line)
        users[user.name] = (hash_token(password), user)
    return users


class BasicAuth:
    """Authenticates `Authorization: Basic`. A wrong pair is refused, other schemes are left to the next authenticator."""

    def __init__(self, path: str) -> None:
        """Raises OSError or ValueError for a file that cannot be read."""
        self._users = WatchedFiles([path], parse_basic_auth_file)

    async def authenticate(self, request: Request) -> Response | None:
        given = credentials(request.headers.get("authorization", ""))
        if given is None:
            return None
        name, password = given
        expected, user = self._users.current().get(name, (NOBODY, None))
        # compared also for names that do not exist: how long it takes tells nothing
        if not hmac.compare_digest(expected, hash_token(password)) or user is None:
            raise AuthenticationError(INVALID)
        del request.headers["authorization"]
        return Response(user)


def credentials(header: str) -> tuple[str, str] | None:
    """User name and password of an Authorization header, None if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (name, password) if colon else None
