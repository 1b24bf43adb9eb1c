"""The plugin: charges quotas before the write that uses them, by compare-and-swap on each quota's status.

A charge whose write fails afterwards is given back by the quota controller, which counts anew. Writes into one namespace
take turns within this worker, so that they do not compete; against other workers the comparison decides.
"""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import Object, Pending, Plugin
from apiserver_workers.admission.resource_quota.check import new_usage
from apiserver_workers.admission.resource_quota.evaluators import EVALUATORS, Evaluator
from apiserver_workers.admission.resource_quota.limited import Limited, check_covered, parse
from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.errors import conflict, internal_error
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.storage.interface import Mismatch, StorageError

PREFIX = "resourcequotas"
ATTEMPTS = 16
IGNORED = frozenset((("", "events"), ("events.k8s.io", "events")))
# Subresources that change what an object uses.
CHARGED = frozenset((("pods", "resize"), ("persistentvolumeclaims", "status")))


class ResourceQuota(Plugin):
    """Sees every write of a namespaced object that may use something."""

    name = "ResourceQuota"
    operations = frozenset((CREATE, UPDATE))
    config: tuple[Limited, ...]

    @classmethod
    def configured(cls, given: Any) -> tuple[Limited, ...]:
        return parse(given)

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        self._evaluators: dict[tuple[str, str], Evaluator] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._charged: dict[str, tuple[int, Object]] = {}  # quotas as this worker wrote them, by key

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        if subresource and (group or (resource, subresource) not in CHARGED):
            return False
        measured = operation == CREATE or (group, resource) in EVALUATORS
        return operation in cls.operations and (group, resource) not in IGNORED and measured

    def validate(self, attributes: Attributes) -> Pending:
        namespace = attributes.namespace
        if not namespace or not (self.config or self.lister(PREFIX).list(namespace)):
            return None
        evaluator = self._evaluator(attributes)
        return self._charge(attributes, evaluator) if evaluator.handles(attributes) else None

    def _evaluator(self, attributes: Attributes) -> Evaluator:
        kind = (attributes.info.group, attributes.info.resource)
        if kind not in self._evaluators:
            self._evaluators[kind] = EVALUATORS.get(kind, Evaluator)(*kind)
        return self._evaluators[kind]

    async def _charge(self, attributes: Attributes, evaluator: Evaluator) -> None:
        """Check all quotas, then charge those that change. Raises ApiError."""
        turn = self._turns.setdefault(attributes.namespace, asyncio.Lock())
        async with turn:
            quotas = self._current(attributes.namespace)
            if self.config:
                check_covered(self.config, (quota for _, quota in quotas.values()), attributes, evaluator)
            changed = [
                (key, revision, quota, used)
                for key, (revision, quota) in quotas.items()
                if (used := new_usage(quota, attributes, evaluator)) is not None
            ]
            if not attributes.dry_run:
                for key, revision, quota, used in changed:
                    await self._write(key, revision, quota, used, attributes, evaluator)

    def _current(self, namespace: str) -> dict[str, tuple[int, Object]]:
        """The namespace's quotas with their revisions, as this worker left them where the cache is not there yet."""
        found: dict[str, tuple[int, Object]] = {}
        for entry in self.lister(PREFIX).list(namespace):
            own = self._charged.get(entry.key)
            if own is not None and own[0] > entry.mod_revision:
                found[entry.key] = own
            else:
                self._charged.pop(entry.key, None)
                found[entry.key] = (entry.mod_revision, entry.obj)
        return found

    async def _write(
        self,
        key: str,
        revision: int,
        quota: Object,
        used: dict[str, str] | None,
        attributes: Attributes,
        evaluator: Evaluator,
    ) -> None:
        """Charge one quota; whoever loses a race checks again against what won."""
        for _ in range(ATTEMPTS):
            if used is None:
                return
            charged = _with_usage(quota, used)
            try:
                written = await self.initializer.registry.storage.update(key, codec.encode(charged), revision)
            except Mismatch as lost:
                self._charged.pop(key, None)
                if lost.current is None:
                    return
                revision, quota = lost.current.mod_revision, lost.current.obj
                used = new_usage(quota, attributes, evaluator)
            except StorageError as error:
                raise internal_error(str(error)) from error
            else:
                self._charged[key] = (written, charged)
                return
        raise conflict(PREFIX, "", quota["metadata"]["name"], "the object has been modified")


def _with_usage(quota: Object, used: dict[str, str]) -> Object:
    """The quota as it is to be stored."""
    metadata = {field: value for field, value in quota["metadata"].items() if field != "resourceVersion"}
    return {**quota, "metadata": metadata, "status": {**(quota.get("status") or {}), "used": used}}
