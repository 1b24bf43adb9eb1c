"""WithHTTPLogging: one line for each request, from -v=3 on, in the words of k8s.io/apiserver/pkg/server/httplog."""

from __future__ import annotations

import json
import logging

from apiserver_workers.server.filters.observer import Observer
from apiserver_workers.server.http.messages import Handler, Request

VERBOSITY = 3

log = logging.getLogger("apiserver.http")


def logged(handler: Handler, verbosity: int) -> Handler:
    """The handler, with a line for each request if -v is high enough."""
    return Observer(handler, _write) if verbosity >= VERBOSITY else handler


def _write(request: Request, status: int, seconds: float) -> None:
    verb = request.info.verb if request.info is not None else request.method.lower()
    uri = request.path + ("?" + request.raw_query if request.raw_query else "")
    fields = {
        "verb": verb.upper(),
        "URI": uri,
        "latency": f"{seconds * 1000:.3f}ms",
        "userAgent": request.headers.get("user-agent", ""),
        "audit-ID": request.audit_id,
        "srcIP": request.client,
        "resp": status,
    }
    # JSON's quoting, so that a client cannot write lines of its own into the log
    log.info('"HTTP" %s', " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items()))
