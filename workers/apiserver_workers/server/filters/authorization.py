"""WithAuthorization: the request goes on if its user may do what it asks, or is answered Forbidden."""

from __future__ import annotations

import html
from time import perf_counter

from apiserver_workers.authorization.attributes import (
    Authorizer,
    Decision,
    EvaluationError,
    forbidden_error,
    of_request,
    quote,
)
from apiserver_workers.server.http.messages import Handler, Request, Response, text_response
from apiserver_workers.server.metrics import AUTHORIZATION_ATTEMPTS, AUTHORIZATION_SECONDS

ERROR = ("error",)
ALLOWED = ("allowed",)
RESULTS = {Decision.DENY: ("denied",), Decision.NO_OPINION: ("no-opinion",)}


class Authorization:
    """Asks the server's authorizer about every request."""

    def __init__(self, handler: Handler, authorizer: Authorizer) -> None:
        self._handler = handler
        self._authorizer = authorizer

    async def __call__(self, request: Request) -> Response:
        attributes = of_request(request)
        started, result = perf_counter(), ERROR
        try:
            decision, reason = await self._authorizer.authorize(attributes)
            result = ALLOWED if decision is Decision.ALLOW else RESULTS[decision]
        except EvaluationError as error:
            return internal_error(request, error.fault)
        finally:
            AUTHORIZATION_ATTEMPTS.inc(result)
            AUTHORIZATION_SECONDS.observe(perf_counter() - started, result)
        if decision is not Decision.ALLOW:
            raise forbidden_error(attributes, reason)
        return await self._handler(request)


def internal_error(request: Request, fault: str) -> Response:
    """What upstream's responsewriters.InternalError answers: plain text."""
    uri = f"{request.path}?{request.raw_query}" if request.raw_query else request.path
    return text_response(html.escape(f"Internal Server Error: {quote(uri)}: {fault}\n", quote=False), 500)
