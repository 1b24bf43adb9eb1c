"""WithPanicRecovery: whatever goes wrong inside becomes an answer, and nothing of it leaks."""

from __future__ import annotations

import logging

from apiserver_workers.apimachinery.errors import ApiError, internal_error
from apiserver_workers.server.http.messages import Handler, Request, Response, status_response

log = logging.getLogger(__name__)


class PanicRecovery:
    """Answers errors of the filters and handlers behind it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except ApiError as error:
            return status_response(error)
        except Exception:
            log.exception("request %s failed: %s %s", request.audit_id, request.method, request.path)
            return status_response(internal_error("the request failed unexpectedly"))
