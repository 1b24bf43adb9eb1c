"""WithAuthorization: the request goes on if its user may do what it asks, or is answered Forbidden."""

from __future__ import annotations

from workers.server.authorization.attributes import Authorizer, Decision, forbidden_error, of_request
from workers.server.http import Handler, Request, Response
from workers.server.metrics import AUTHORIZATION_ATTEMPTS

RESULTS = {Decision.ALLOW: ("allowed",), Decision.DENY: ("denied",), Decision.NO_OPINION: ("no-opinion",)}


class Authorization:
    """Asks the server's authorizer about every request."""

    def __init__(self, handler: Handler, authorizer: Authorizer) -> None:
        self._handler = handler
        self._authorizer = authorizer

    async def __call__(self, request: Request) -> Response:
        attributes = of_request(request)
        decision, reason = await self._authorizer.authorize(attributes)
        AUTHORIZATION_ATTEMPTS.inc(RESULTS[decision])
        if decision is not Decision.ALLOW:
            raise forbidden_error(attributes, reason)
        return await self._handler(request)
