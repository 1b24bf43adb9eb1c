"""Whoever is not authenticated gets one answer and has to connect again, as upstream: HTTP/2 is easily abused."""

from __future__ import annotations

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.authentication.interface import ANONYMOUS
from apiserver_workers.server.http.messages import Request

GATE = "UnauthenticatedHTTP2DOSMitigation"


def is_known(request: Request) -> bool:
    """Whether somebody who is not anonymous has asked."""
    return request.user is not None and request.user.name != ANONYMOUS


def has_to_leave(request: Request, status: int) -> bool:
    """Whether the connection is to end with this answer: nobody is known who may ask, or the user is the anonymous one and
    nobody impersonates them."""
    user = request.user
    if user is None:
        nobody = status == 401
    else:
        nobody = user.name == ANONYMOUS and "impersonator" not in request.context
    return nobody and feature_gates.enabled(GATE)
