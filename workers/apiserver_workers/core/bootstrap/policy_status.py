"""The status of ValidatingAdmissionPolicies: whether their expressions fit the kinds that their rules name.

Upstream this is a controller of kube-controller-manager (validatingadmissionpolicy-status), so no hook of the API server
runs it. Types of custom resources are not known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from apiserver_workers.admission.policies.type_checking import (
    MANAGER,
    expression_warnings,
    needs_check,
    schema_of_type,
    status_of,
)
from apiserver_workers.admission.versions import Gvk
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.types import TypeModel
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.registry.strategies.expressions import compile_thread

Object = dict[str, Any]
GROUP, POLICIES = "admissionregistration.k8s.io", "validatingadmissionpolicies"


class PolicyStatus:
    """Checks policies against the built-in kinds that are served."""

    def __init__(self, objects: Objects, served: Iterable[ResourceInfo], model: TypeModel) -> None:
        self._objects = objects
        self._model = model
        self._kinds: dict[tuple[str, str, str], Gvk] = {
            (info.group, info.version, info.resource): (info.group, info.version, info.kind) for info in served
        }

    async def check(self) -> None:
        """Bring the status of every policy up to its generation. Raises ApiError."""
        loop = asyncio.get_running_loop()
        for policy in self._objects.list(GROUP, POLICIES):
            if not needs_check(policy):
                continue
            status = await loop.run_in_executor(compile_thread(), self._status, policy)
            await self._objects.apply_status(GROUP, POLICIES, policy["metadata"]["name"], status, manager=MANAGER)

    def _status(self, policy: Object) -> Object:
        return status_of(policy, expression_warnings(policy, self._kinds_of, self._schema_of))

    def _kinds_of(self, group: str, version: str, resource: str) -> list[Gvk]:
        gvk = self._kinds.get((group, version, resource))
        return [] if gvk is None else [gvk]

    def _schema_of(self, gvk: Gvk) -> Object | None:
        found = self._model.find(*gvk)
        return None if found is None else schema_of_type(found)
