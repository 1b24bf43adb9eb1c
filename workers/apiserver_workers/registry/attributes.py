"""What admission plugins see of a write, and what the registry asks of the admission chain.

Objects are in the stored version. A plugin whose rules are of another one, such as a webhook, asks for that by `in_version`
and puts what it changed back by `from_version` and `replace` (admission/versions.py does all of that).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.user import UserInfo

Object = dict[str, Any]

CREATE, UPDATE, DELETE, CONNECT = "CREATE", "UPDATE", "DELETE", "CONNECT"
# Levels of an audit policy, below which an annotation is not recorded.
METADATA_LEVEL, REQUEST_LEVEL = "Metadata", "Request"

log = logging.getLogger(__name__)


class Annotation(NamedTuple):
    """The value of an audit annotation, and the lowest level of an audit policy that records it."""

    value: str
    level: str = METADATA_LEVEL


class Reinvocation:
    """What mutating plugins remember of a write between its two rounds (admission.ReinvocationContext).

    A plugin that has changed the object sets `wanted`; then all mutating plugins run a second time, with `again`. What a
    plugin needs to know in the second round it keeps in `values` under its name.
    """

    __slots__ = ("again", "values", "wanted")

    def __init__(self) -> None:
        self.wanted = False
        self.again = False
        self.values: dict[str, Any] = {}


@dataclass(slots=True)
class Attributes:
    """k8s.io/apiserver/pkg/admission.Attributes. Mutating plugins change `obj` in place; `old_obj` is never changed.

    `stored` is the kind of the resource in the stored version, `requested` in that of the request's path. `options` is the
    request's CreateOptions, UpdateOptions or DeleteOptions, {} for CONNECT. `annotations` are those of the audit event.
    `replaced` says that a webhook or a policy has put another object in the place of the request's.
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
    annotations: dict[str, Annotation] = field(default_factory=dict)
    reinvocation: Reinvocation | None = None
    replaced: bool = False

    @property
    def info(self) -> ResourceInfo:
        """The resource in the stored version."""
        return self.stored.info

    @property
    def requested_kind(self) -> ServedKind:
        """The kind of what the request brought: of some subresources it is another one than the object's."""
        return self.requested.bodies.get(self.subresource, self.requested)

    @property
    def rounds(self) -> Reinvocation:
        """What is remembered between the rounds of mutating admission."""
        if self.reinvocation is None:
            self.reinvocation = Reinvocation()
        return self.reinvocation

    def annotate(self, key: str, value: str, level: str = METADATA_LEVEL) -> None:
        """Add an annotation to the audit event. A key that is there already keeps its value."""
        kept = self.annotations.setdefault(key, Annotation(value, level))
        if kept.value != value:
            log.warning("audit annotation %s has a value already, it is not set again", key)

    def replace(self, obj: Object) -> None:
        """Let that be the object, in the stored version. Whoever holds `obj` sees it changed."""
        assert self.obj is not None
        if obj is not self.obj:
            self.obj.clear()
            self.obj.update(obj)
        self.replaced = True

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


class AdmissionView(Protocol):
    """What admission sees of an object in the place of the object itself: the Scale of a deployment."""

    async def show(self, obj: Object) -> Object:
        """What admission sees of an object in the stored version."""
        ...

    async def carry(self, shown: Object, obj: Object) -> Object:
        """The object with what `shown`, changed by admission, says of it. Raises ApiError."""
        ...


class Admission(Protocol):
    """The chain: both raise ApiError to refuse the write."""

    async def admit(self, attributes: Attributes) -> None:
        """Mutating admission; may change `attributes.obj`."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """Validating admission, after the strategy's own validation."""
        ...
