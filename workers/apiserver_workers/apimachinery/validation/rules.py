"""What a kind's entry in the validation table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.validation.field import Errors
from apiserver_workers.apimachinery.validation.names import Checker, is_dns1123_subdomain

Create = Callable[[dict[str, Any]], Errors]
Update = Callable[[dict[str, Any], dict[str, Any]], Errors]


@dataclass(frozen=True, slots=True)
class KindValidation:
    """How a kind is checked beyond its metadata.

    `name` checks metadata.name, None if the kind's rules leave metadata to the registry; `create` takes the object;
    `updates` maps a subresource ("" is the object itself) to a function of (new, old). All return field errors in
    upstream's order. `metadata` says how often, and when, an update of the object looks at its metadata, because clients
    see each fault as often as it is found: U is ValidateObjectMetaUpdate, M is ValidateObjectMeta, * the kind's function.
    """

    name: Checker | None = is_dns1123_subdomain
    metadata: str = "U*"
    create: Create | None = None
    updates: Mapping[str, Update] = field(default_factory=dict)
