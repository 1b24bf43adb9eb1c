"""What clients are told of APIs that are on their way out (apiserver/pkg/endpoints/deprecation)."""

from __future__ import annotations

from apiserver_workers.apimachinery.resources import ResourceInfo


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
