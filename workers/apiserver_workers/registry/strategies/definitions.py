"""The strategy of CustomResourceDefinitions (apiextensions-apiserver/pkg/registry/customresourcedefinition)."""

from __future__ import annotations

import functools
from typing import Any

from apiserver_workers.apimachinery.served_kind import FaultsToCome
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Strategy, now
from apiserver_workers.registry.strategies.expressions import in_compile_thread

Object = dict[str, Any]

FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
MOST_AT_ONCE = 500  # values in a definition that are validated on the event loop
_RULES = ("rule", "messageExpression")
PENDING = {
    "type": "Terminating",
    "status": "True",
    "reason": "InstanceDeletionPending",
    "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
}


class DefinitionStrategy(Strategy):
    """A definition remembers every version that it stored objects in, and its objects are deleted before it goes."""

    def reset_status(self, obj: Object) -> None:
        super().reset_status(obj)
        _remember_stored(obj)

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if context.subresource != "status":
            _remember_stored(new)

    def validate_create(self, obj: Object, context: Context) -> FaultsToCome:
        validate = functools.partial(super().validate_create, obj, context)
        return in_compile_thread(validate) if is_large(obj) else validate()

    def validate_update(self, new: Object, old: Object, context: Context) -> FaultsToCome:
        validate = functools.partial(super().validate_update, new, old, context)
        return in_compile_thread(validate) if is_large(new) else validate()

    def holds(self, obj: Object) -> bool:
        return "deletionTimestamp" not in obj["metadata"]

    def mark_as_deleting(self, obj: Object) -> None:
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata:
            super().mark_as_deleting(obj)
            return
        metadata["deletionTimestamp"] = now()
        if FINALIZER not in (metadata.get("finalizers") or ()):
            metadata["finalizers"] = [*(metadata.get("finalizers") or ()), FINALIZER]
        status = obj.get("status") or {}
        others = [one for one in status.get("conditions") or () if one.get("type") != PENDING["type"]]
        condition = {**PENDING, "lastTransitionTime": now()}
        obj["status"] = {**status, "conditions": [*others, condition]}


def is_large(definition: Object) -> bool:
    """Whether validating the definition takes longer than the event loop may wait: about 20 µs for each field."""
    count = 0
    waiting: list[Any] = [definition["spec"]]
    while waiting and count < MOST_AT_ONCE:
        value = waiting.pop()
        count += 1
        if isinstance(value, dict):
            count += sum(len(rule) // 20 for name, rule in value.items() if name in _RULES and isinstance(rule, str))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return count >= MOST_AT_ONCE


def _remember_stored(obj: Object) -> None:
    status = obj.get("status") or {}
    known = status.get("storedVersions") or []
    stored = next((version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")), None)
    if stored is not None and stored not in known:
        obj["status"] = {**status, "storedVersions": [*known, stored]}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    ("apiextensions.k8s.io", "customresourcedefinitions"): DefinitionStrategy,
}
