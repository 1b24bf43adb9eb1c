"""An APIService as the aggregator needs it, read from its object once (k8s.io/kube-aggregator/pkg/apis/apiregistration)."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from apiserver_workers.apimachinery.versions import version_rank

Object = dict[str, Any]

GROUP, RESOURCE = "apiregistration.k8s.io", "apiservices"
LEGACY = "v1."  # the APIService of the core group: it stands for all of /api
DEFAULT_PORT = 443
AVAILABLE = "Available"


class ServiceReference(NamedTuple):
    """A port of a Service: what backends are told apart by."""

    namespace: str
    name: str
    port: int

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class APIService:
    """`service` is None for what this server serves itself."""

    name: str
    group: str
    version: str
    group_priority: int
    version_priority: int
    service: ServiceReference | None = None
    ca_bundle: bytes = b""
    insecure: bool = False
    available: bool = False

    @property
    def group_version(self) -> tuple[str, str]:
        return self.group, self.version

    @property
    def path(self) -> str:
        """Where the group version's own document of discovery is."""
        return f"/api/{self.version}" if self.name == LEGACY else f"/apis/{self.group}/{self.version}"


def api_service(obj: Object) -> APIService:
    """The APIService that a stored object describes."""
    spec = obj["spec"]
    reference = spec.get("service")
    service = None
    if reference is not None:
        port = reference.get("port") or DEFAULT_PORT
        service = ServiceReference(reference.get("namespace", ""), reference.get("name", ""), port)
    return APIService(
        name=obj["metadata"]["name"],
        group=spec.get("group", ""),
        version=spec.get("version", ""),
        group_priority=spec.get("groupPriorityMinimum", 0),
        version_priority=spec.get("versionPriority", 0),
        service=service,
        ca_bundle=_bytes(spec.get("caBundle", "")),
        insecure=spec.get("insecureSkipTLSVerify", False),
        available=is_available(obj),
    )


def is_available(obj: Object) -> bool:
    """IsAPIServiceConditionTrue of the condition Available."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == AVAILABLE and one.get("status") == "True" for one in conditions)


def by_group(services: Iterable[APIService]) -> dict[str, list[APIService]]:
    """SortedByGroupAndVersion: the groups by their highest priority, then by name; in each the versions by theirs."""
    groups: dict[str, list[APIService]] = {}
    for service in services:
        groups.setdefault(service.group, []).append(service)
    ordered = sorted(groups.items(), key=lambda item: (-highest(item[1]), item[0]))
    return {group: sorted(members, key=_version_order) for group, members in ordered}


def highest(services: Sequence[APIService]) -> int:
    """The priority of a group whose versions ask for these."""
    return max(service.group_priority for service in services)


def _version_order(service: APIService) -> tuple[int, ...]:
    return tuple(-part for part in (service.version_priority, *version_rank(service.version)))


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text)
    except (binascii.Error, ValueError):
        return b""
