"""Everybody is the same user: authentication on the insecure port (upstream 1.12: pkg/server.insecureSuperuser)."""

from __future__ import annotations

from workers.apimachinery.user import UserInfo
from workers.server.authentication.interface import AUTHENTICATED
from workers.server.authorization.attributes import MASTERS
from workers.server.http import Handler, Request, Response

UNSECURED = UserInfo("system:unsecured", "", (MASTERS, AUTHENTICATED))


class FixedUser:
    """Sets request.user, whatever credentials the request carries."""

    def __init__(self, handler: Handler, user: UserInfo = UNSECURED) -> None:
        self._handler = handler
        self._user = user

    async def __call__(self, request: Request) -> Response:
        request.user = self._user
        return await self._handler(request)
