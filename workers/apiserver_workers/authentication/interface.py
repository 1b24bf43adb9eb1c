"""The authenticators' contract (k8s.io/apiserver/pkg/authentication/authenticator).

An authenticator answers with a Response, with None when the request is not for it to judge, or raises
AuthenticationError when the request carries credentials that are not good.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.http.messages import Request

AUTHENTICATED = "system:authenticated"
UNAUTHENTICATED = "system:unauthenticated"
ANONYMOUS = "system:anonymous"
INVALID_TOKEN = "invalid bearer token"

Audiences = tuple[str, ...]


class AuthenticationError(Exception):
    """Credentials that are not good. Its text is for TokenReview and logs; clients see Unauthorized."""


@dataclass(slots=True, frozen=True)
class Response:
    """An authenticated user, with those of the requested audiences that the credentials are meant for."""

    user: UserInfo
    audiences: Audiences = ()


class RequestAuthenticator(Protocol):
    async def authenticate(self, request: Request) -> Response | None: ...


class TokenAuthenticator(Protocol):
    async def authenticate_token(self, token: str, audiences: Audiences | None) -> Response | None:
        """`audiences` are those that the token must be meant for; None stands for the server's own."""
        ...


def with_group(user: UserInfo, group: str) -> UserInfo:
    """The user as a member of `group`, too."""
    if group in user.groups:
        return user
    return UserInfo(user.name, user.uid, (*user.groups, group), user.extra)


def as_authenticated(user: UserInfo) -> UserInfo:
    """Every authenticated user is in system:authenticated, but for those who say that they are not authenticated."""
    if user.name == ANONYMOUS or UNAUTHENTICATED in user.groups:
        return user
    return with_group(user, AUTHENTICATED)
