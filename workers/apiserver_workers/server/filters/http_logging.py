"""WithHTTPLogging: one line for each request that is over, from -v=3 on, in the words of
k8s.io/apiserver/pkg/server/httplog."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable
from time import perf_counter

from apiserver_workers.server.http.messages import Handler, Request, Response

log = logging.getLogger("apiserver.http")


class RequestLog:
    """Whether the requests of this process have lines in its log now."""

    VERBOSITY = 3

    def __init__(self) -> None:
        self.on = False

    def set_verbosity(self, v: int) -> None:
        """As much as -v says now."""
        self.on = v >= self.VERBOSITY


REQUEST_LOG = RequestLog()


class HTTPLogging:
    """Writes the lines while they are wanted."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    def __call__(self, request: Request) -> Awaitable[Response]:
        if REQUEST_LOG.on:
            request.on_complete(_write)
        return self._handler(request)


def _write(request: Request, whole: bool) -> None:
    verb = request.info.verb if request.info is not None else request.method.lower()
    uri = request.path + ("?" + request.raw_query if request.raw_query else "")
    fields = {
        "verb": verb.upper(),
        "URI": uri,
        "latency": f"{(perf_counter() - request.received) * 1000:.3f}ms",
        "userAgent": request.headers.get("user-agent", ""),
        "audit-ID": request.audit_id,
        "srcIP": request.client,
        "resp": request.status,
    }
    # JSON's quoting, so that a client cannot write lines of its own into the log
    log.info('"HTTP" %s', " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items()))
