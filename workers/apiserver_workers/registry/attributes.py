"""What admission plugins see of a write, and what the registry asks of the admission chain.

Objects are in the stored version. A plugin whose rules are of another one, such as a webhook, asks for that by `in_version`
and puts what it changed back by `from_version`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.user import UserInfo

Object = dict[str, Any]

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"


@dataclass(slots=True)
class Attributes:
    """k8s.io/apiserver/pkg/admission.Attributes. Mutating plugins change `obj` in place; `old_obj` is never changed.

    `stored` is the kind of the resource in the stored version, `requested` in that of the request's path. `options` is the
    request's CreateOptions, UpdateOptions, PatchOptions or DeleteOptions.
    """

    operation: str
    stored: ServedKind
    requested: ServedKind
    subresource: str
    namespace: str
    name: str
    obj: Object | None
    old_obj: Object | None
    user: UserInfo
    dry_run: bool = False
    options: Object = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def info(self) -> ResourceInfo:
        """The resource in the stored version."""
        return self.stored.info

    @property
    def requested_kind(self) -> ServedKind:
        """The kind of what the request brought: of some subresources it is another one than the object's."""
        return self.requested.bodies.get(self.subresource, self.requested)

    async def in_version(self, obj: Object, api_version: str) -> Object:
        """`obj` or `old_obj` in another version of the resource; never change the answer. Raises ApiError."""
        conversion = self.stored.conversion
        if conversion is None or obj.get("apiVersion") == api_version or self.subresource in self.requested.bodies:
            return obj
        return (await conversion.convert([obj], api_version))[0]

    async def from_version(self, obj: Object) -> Object:
        """An object that `in_version` gave, changed, in the stored version again. Raises ApiError."""
        return await self.in_version(obj, self.stored.info.group_version)


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
