"""Changes of a definition's status by the server itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.authentication.union import LOOPBACK_USER
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.server.endpoints.managers import track
from apiserver_workers.server.endpoints.served import View

Object = dict[str, Any]
# The status that a definition is to have; None: it is right as it is. The definition is shared and must not be changed.
Change = Callable[[Object], Object | None]

MANAGER = "kube-apiserver"


async def change_status(store: Store, name: str, change: Change) -> None:
    """Give a definition another status, if `change` wants to; one that is gone stays gone. Raises ApiError."""
    view = View(store.kind)

    async def transform(live: Object | None) -> Object:
        assert live is not None, "an update that may not create was given nothing"
        status = change(live)
        if status is None:
            return {**live, "metadata": {**live["metadata"]}}
        return await track(view, live, {**live, "metadata": {**live["metadata"]}, "status": status}, MANAGER, "status")

    try:
        await store.update(transform, Context(LOOPBACK_USER, name=name, subresource="status"))
    except ApiError as error:
        if error.reason != "NotFound":
            raise


def with_condition(status: Object, type: str, value: str, reason: str, message: str) -> Object:
    """The status with that condition, which keeps its time unless it changes (apihelpers.SetCRDCondition)."""
    conditions: list[Object] = list(status.get("conditions") or ())
    condition: Object = {
        "type": type,
        "status": value,
        "lastTransitionTime": now(),
        "reason": reason,
        "message": message,
    }
    for place, held in enumerate(conditions):
        if held.get("type") == type:
            if held.get("status") == value:
                condition["lastTransitionTime"] = held.get("lastTransitionTime")
            conditions[place] = condition
            return {**status, "conditions": conditions}
    return {**status, "conditions": [*conditions, condition]}
