"""Everybody is the same user: authentication on the insecure port (upstream 1.12: pkg/server.insecureSuperuser)."""

from __future__ import annotations

from collections.abc import Awaitable

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import AUTHENTICATED
from apiserver_workers.authorization.attributes import MASTERS
from apiserver_workers.server.http.messages import Handler, Request, Response

UNSECURED = UserInfo("system:unsecured", "", (MASTERS, AUTHENTICATED))


class FixedUser:
    """Sets request.user, whatever credentials the request carries."""

    def __init__(self, handler: Handler, user: UserInfo = UNSECURED) -> None:
        self._handler = handler
        self._user = user

    def __call__(self, request: Request) -> Awaitable[Response]:
        request.user = self._user
        return self._handler(request)
