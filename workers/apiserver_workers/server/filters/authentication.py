"""WithAuthentication: the request gets its user, or is answered Unauthorized."""

from __future__ import annotations

import logging
from time import perf_counter

from apiserver_workers.apimachinery.errors import ApiError, unauthorized
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.union import ServerAuthenticator
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.metrics import AUTHENTICATED_USERS, AUTHENTICATION_ATTEMPTS, AUTHENTICATION_SECONDS

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

SUCCESS, FAILURE, ERROR = ("success",), ("failure",), ("error",)

log = logging.getLogger(__name__)


class Authentication:
    """Sets request.user. Why credentials were refused goes to the log, never to the client."""

    def __init__(self, handler: Handler, authenticator: ServerAuthenticator) -> None:
        self._handler = handler
        self._authenticator = authenticator

    async def __call__(self, request: Request) -> Response:
        started, result = perf_counter(), ERROR
        try:
            request.user = await self._authenticator.authenticate(request)
            result = SUCCESS if request.user is not None else FAILURE
        except AuthenticationError as error:
            log.warning("unable to authenticate the request: %s", error)
        finally:
            AUTHENTICATION_ATTEMPTS.inc(result)
            AUTHENTICATION_SECONDS.observe(perf_counter() - started, result)
        if request.user is None:
            raise self._refusal()
        name = request.user.name
        AUTHENTICATED_USERS.inc((name if name in NAMED_USERS else "other",))
        return await self._handler(request)

    def _refusal(self) -> ApiError:
        error = unauthorized()
        if self._authenticator.challenge:
            error.headers = [("WWW-Authenticate", self._authenticator.challenge)]
        return error
