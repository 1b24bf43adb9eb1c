"""What a write knows about the request behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.attributes import AdmissionView, Annotation


@dataclass(slots=True)
class Context:
    """Who writes what, and how: handed from the endpoint through the Store to strategies and admission.

    `kind` is the kind in the version of the request, None where that is the stored one. `options` is the request's
    CreateOptions, UpdateOptions, PatchOptions or DeleteOptions as an object. Append to `warnings` to send a Warning header;
    `annotations` go into the audit event. `admitted` is what admission sees in the place of the object, None for the object.
    `collection` says that a collection is deleted: then admission is told no name.
    `faults` are those that the strategy found before its validation, while it could still wait for others.
    `applies`: the write is a server-side apply, which must not lose its managedFields.
    """

    user: UserInfo
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    dry_run: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    kind: ServedKind | None = None
    applies: bool = False
    faults: list[FieldError] = field(default_factory=list)
    annotations: dict[str, Annotation] = field(default_factory=dict)
    admitted: AdmissionView | None = None
    collection: bool = False
