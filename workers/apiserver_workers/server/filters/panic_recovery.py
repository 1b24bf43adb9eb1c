"""WithPanicRecovery: whatever the chain raises becomes an answer. This is the one place where an ApiError does."""

from __future__ import annotations

import logging

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.endpoints.respond import error_response
from apiserver_workers.server.http.messages import Handler, Request, Response, text_response

PANIC = "This request caused apiserver to panic. Look in the logs for details.\n"

log = logging.getLogger(__name__)


class PanicRecovery:
    """Answers errors of the filters and handlers behind it: an ApiError by its Status, in the media type that the request
    accepts; any other with a text that tells nothing."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, request: Request) -> Response:
        try:
            return await self._handler(request)
        except ApiError as error:
            return error_response(request, error)
        except Exception:
            log.exception("request %s failed: %s %s", request.audit_id, request.method, request.path)
            return text_response(PANIC, 500)
