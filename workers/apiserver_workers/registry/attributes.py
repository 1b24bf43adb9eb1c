"""What admission plugins see of a write, and what the registry asks of the admission chain."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.user import UserInfo

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class Attributes:
    """k8s.io/apiserver/pkg/admission.Attributes. Mutating plugins change `obj` in place; `old_obj` is never changed."""

    operation: str
    info: ResourceInfo
    subresource: str
    namespace: str
    name: str
    obj: dict[str, Any] | None
    old_obj: dict[str, Any] | None
    user: UserInfo
    dry_run: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class Admission(Protocol):
    """The chain: both raise ApiError to refuse the write."""

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission; may change `attributes.obj`."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission, after the strategy's own validation."""
        ...
