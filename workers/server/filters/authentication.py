"""WithAuthentication: the request gets its user, or is answered Unauthorized."""

from __future__ import annotations

import logging

from workers.apimachinery.errors import ApiError, unauthorized
from workers.server.authentication.interface import AuthenticationError
from workers.server.authentication.union import ServerAuthenticator
from workers.server.http import Handler, Request, Response
from workers.server.metrics import AUTHENTICATED_USERS, AUTHENTICATION_ATTEMPTS

# users with a label of their own; others would be too many
NAMED_USERS = frozenset(
    {
        "system:anonymous",
        "system:apiserver",
        "system:kube-controller-manager",
        "system:kube-scheduler",
        "system:kube-proxy",
    }
)

log = logging.getLogger(__name__)


class Authentication:
    """Sets request.user. Why credentials were refused goes to the log, never to the client."""

    def __init__(self, handler: Handler, authenticator: ServerAuthenticator) -> None:
        self._handler = handler
        self._authenticator = authenticator

    async def __call__(self, request: Request) -> Response:
        try:
            request.user = await self._authenticator.authenticate(request)
        except AuthenticationError as error:
            log.warning("unable to authenticate the request: %s", error)
            AUTHENTICATION_ATTEMPTS.inc(("error",))
            raise self._refusal() from None
        if request.user is None:
            AUTHENTICATION_ATTEMPTS.inc(("failure",))
            raise self._refusal()
        AUTHENTICATION_ATTEMPTS.inc(("success",))
        name = request.user.name
        AUTHENTICATED_USERS.inc((name if name in NAMED_USERS else "other",))
        return await self._handler(request)

    def _refusal(self) -> ApiError:
        error = unauthorized()
        if self._authenticator.challenge:
            error.headers = [("WWW-Authenticate", self._authenticator.challenge)]
        return error
