"""Warnings of APIs that are on their way out, in the version that is served (apiserver/pkg/endpoints/deprecation)."""

from __future__ import annotations

import functools

from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.metrics import DEPRECATED_APIS


def warn(request: Request, resource: ResourceInfo, info: RequestInfo) -> None:
    """Tell the client, and count, that it asks for a deprecated API, if it is so by now."""
    if warning := deprecation(resource, types.model().minor):
        request.warnings.append(warning)
        labels = (resource.group, resource.version, resource.resource, info.subresource, resource.removed)
        DEPRECATED_APIS.set(1.0, labels)


@functools.cache
def deprecation(resource: ResourceInfo, minor: str) -> str:
    """What clients of that minor version are told; "" as long as the API is not deprecated."""
    if not resource.deprecated or _number(minor) < _number(resource.deprecated):
        return ""
    warning = f"{resource.group_version} {resource.kind} is deprecated in v{resource.deprecated}+"
    if resource.removed:
        warning += f", unavailable in v{resource.removed}+"
    if resource.use:
        warning += f"; use {resource.use if ' ' in resource.use else f'{resource.use} {resource.kind}'}"
    return warning


def _number(minor: str) -> int:
    return int(minor.partition(".")[2])
