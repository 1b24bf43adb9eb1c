"""WithConstrainedImpersonation: the request goes on as the user that its Impersonate-* headers name."""

from __future__ import annotations

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.request_header import extra_of
from apiserver_workers.authorization.attributes import Authorizer, of_request, quote
from apiserver_workers.authorization.impersonation import impersonate
from apiserver_workers.server.http.messages import Handler, Request, Response

PREFIX = "impersonate-"
USER_HEADER = "impersonate-user"
UID_HEADER = "impersonate-uid"
GROUP_HEADER = "impersonate-group"
EXTRA_PREFIX = "impersonate-extra-"


class Impersonation:
    """Replaces request.user. The requesting user is kept in request.context["impersonator"]."""

    def __init__(self, handler: Handler, authorizer: Authorizer) -> None:
        self._handler = handler
        self._authorizer = authorizer

    async def __call__(self, request: Request) -> Response:
        wanted = wanted_user(request)
        if wanted is not None:
            attributes = of_request(request)
            request.context["impersonator"] = request.user
            request.user = await impersonate(self._authorizer, wanted, attributes)
        return await self._handler(request)


def wanted_user(request: Request) -> UserInfo | None:
    """The user that the request's headers ask to be, None without such headers; takes them off.

    Raises ApiError (400) for headers that name no user.
    """
    headers = request.headers
    if not any(header.startswith(PREFIX) for header in headers):
        return None
    extra = extra_of(request, (EXTRA_PREFIX,))
    groups = tuple(request.values(GROUP_HEADER))
    wanted = UserInfo(headers.get(USER_HEADER, ""), headers.get(UID_HEADER, ""), groups, extra)
    if not wanted.name:
        if wanted.uid or groups or extra:
            raise bad_request(f"requested {_go_syntax(wanted)} without impersonating a user name")
        return None
    for header in [header for header in headers if header.startswith(EXTRA_PREFIX)]:
        del headers[header]
    for header in (USER_HEADER, UID_HEADER, GROUP_HEADER):
        headers.pop(header, None)
    return wanted


def _go_syntax(user: UserInfo) -> str:
    """Go's %#v of the user, which the error shows."""
    groups = "[]string{" + ", ".join(map(quote, user.groups)) + "}" if user.groups else "[]string(nil)"
    extra = "map[string][]string(nil)"
    if user.extra:
        items = (f"{quote(key)}:[]string{{{', '.join(map(quote, user.extra[key]))}}}" for key in sorted(user.extra))
        extra = "map[string][]string{" + ", ".join(items) + "}"
    return f"&user.DefaultInfo{{Name:{quote(user.name)}, UID:{quote(user.uid)}, Groups:{groups}, Extra:{extra}}}"
