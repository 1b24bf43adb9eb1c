"""Warnings of APIs that are on their way out, in the version that is served."""

from __future__ import annotations

from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.metrics import DEPRECATED_APIS


def warn(request: Request, kind: ServedKind, info: RequestInfo) -> None:
    """Tell the client, and count, that it asks for a deprecated API, if it is so by now."""
    if kind.deprecation:
        request.warnings.append(kind.deprecation)
        resource = kind.info
        labels = (resource.group, resource.version, resource.resource, info.subresource, resource.removed)
        DEPRECATED_APIS.set(1.0, labels)
