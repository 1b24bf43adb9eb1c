"""The Context of a write, from its request."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.context import Context
from apiserver_workers.server.endpoints.served import View
from apiserver_workers.server.http.messages import Request

ANONYMOUS = UserInfo("system:anonymous", groups=("system:unauthenticated",))


def context_of(request: Request, served: View, options: dict[str, Any], *, dry_run: bool = False) -> Context:
    """Who writes what; warnings that the registry adds go into the answer."""
    info = request.info
    assert info is not None
    return Context(
        user=request.user or ANONYMOUS,
        kind=served.requested,
        namespace=info.namespace if served.info.namespaced else "",
        name=info.name,
        subresource=info.subresource,
        dry_run=dry_run,
        options=options,
        warnings=request.warnings,
        annotations=request.audit_annotations,
    )
