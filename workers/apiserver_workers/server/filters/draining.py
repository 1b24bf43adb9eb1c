"""WithRetryAfter and WithWaitGroup: what is answered to new requests while the server ends those that run.

A probe is answered as before. Long-running requests are refused too, unlike upstream's: they would be ended at once.
"""

from __future__ import annotations

from collections.abc import Awaitable

from apiserver_workers.apimachinery.errors import service_unavailable
from apiserver_workers.server.health import is_health_path
from apiserver_workers.server.http.messages import Handler, Request, Response, text_response

METRICS = "/metrics"


class Lifecycle:
    """How far the server of this worker is."""

    def __init__(self) -> None:
        self.draining = False  # it ends: requests that run are finished, no new ones are begun


class RetryAfter:
    """Tells clients to come again, with --shutdown-send-retry-after: then the server still accepts connections."""

    def __init__(self, handler: Handler, lifecycle: Lifecycle) -> None:
        self._handler = handler
        self._lifecycle = lifecycle

    def __call__(self, request: Request) -> Awaitable[Response]:
        if self._lifecycle.draining and not _is_exempt(request):
            return _too_many_requests()
        return self._handler(request)


class WaitGroup:
    """Refuses requests that come on connections which are open still."""

    def __init__(self, handler: Handler, lifecycle: Lifecycle) -> None:
        self._handler = handler
        self._lifecycle = lifecycle

    def __call__(self, request: Request) -> Awaitable[Response]:
        if self._lifecycle.draining and not _is_exempt(request):
            error = service_unavailable("apiserver is shutting down")
            error.headers = [("Retry-After", "1"), ("X-Content-Type-Options", "nosniff")]
            raise error
        return self._handler(request)


def _is_exempt(request: Request) -> bool:
    return is_health_path(request.path) or request.path.startswith(METRICS)


async def _too_many_requests() -> Response:
    message = "The apiserver is shutting down, please try again later.\n"
    return text_response(message, 429, [("Retry-After", "5")])
