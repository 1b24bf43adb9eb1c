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
    """How a kind is checked beyond what the registry checks of every kind.

    `name` checks metadata.name, None if the kind's rules leave metadata to the registry; `create` takes the object;
    `updates` maps a subresource ("" is the object itself) to a function of (new, old). All return field errors in
    upstream's order. Clients see each fault as often as it is found, so the order and number of steps are facts of a kind:
    `metadata` are the steps of an update of the object, `status` those of a status update. M is ValidateObjectMeta, U is
    ValidateObjectMetaUpdate (m and u: apimachinery's, to which finalizers without a domain are fine), C is `create`, and *
    the function in `updates`. `any_finalizer`: a creation's metadata is checked by apimachinery's function, too.
    """

    name: Checker | None = is_dns1123_subdomain
    metadata: str = "U*"
    status: str = "U*"
    any_finalizer: bool = False
    create: Create | None = None
    updates: Mapping[str, Update] = field(default_factory=dict)
