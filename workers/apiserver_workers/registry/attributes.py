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


@dataclass(slots=True)
class Question:
    """A right that a strategy asks about: may this user do that to a resource, or to a subresource that is only a right?"""

    user: UserInfo
    verb: str
    group: str
    version: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


class Permits(Protocol):
    """Whoever decides about rights."""

    async def __call__(self, question: Question) -> str:
        """Why it is not permitted, in the words of a 403; "" if it is."""
        ...


class Admission(Protocol):
    """The chain: both raise ApiError to refuse the write."""

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission; may change `attributes.obj`."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission, after the strategy's own validation."""
        ...
