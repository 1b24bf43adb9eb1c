"""NamespaceLifecycle: nothing is written into a namespace that does not exist or is going away, and some never go."""

from __future__ import annotations

import time

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import Object, Pending, Plugin, forbidden
from apiserver_workers.apimachinery.errors import ApiError, internal_error, not_found
from apiserver_workers.apimachinery.errors import forbidden as forbidden_resource
from apiserver_workers.registry.attributes import CREATE, DELETE, UPDATE, Attributes
from apiserver_workers.storage.interface import StorageError

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))
SUSPECT_SECONDS = 30  # for so long the cache is not believed when it says that a deleted namespace is active


class NamespaceLifecycle(Plugin):
    """Sees every write."""

    name = "NamespaceLifecycle"
    operations = frozenset((CREATE, UPDATE, DELETE))
    subresources = None

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        self._deleted: dict[str, float] = {}  # namespaces whose deletion passed here, and when

    def admit(self, attributes: Attributes) -> Pending:
        operation, info = attributes.operation, attributes.info
        if info.resource == "namespaces" and not info.group:
            if operation == DELETE:
                self._deletes(attributes.name)
            return None
        namespace = attributes.namespace
        # A review of access must not tell whether its namespace exists.
        if not namespace or operation == DELETE or info.resource == "localsubjectaccessreviews":
            return None
        found = self.lister("namespaces").get(namespace)
        if found is None or (self._deleted and self._suspect(namespace, found)):
            return self._look_again(attributes)
        if operation == CREATE and _phase(found) == "Terminating":
            raise terminating(attributes)
        return None

    def _deletes(self, name: str) -> None:
        if name in IMMORTAL:
            raise forbidden_resource("namespaces", "", name, "this namespace may not be deleted")
        now = time.monotonic()
        self._deleted.pop(name, None)  # the latest deletion stands last
        self._deleted[name] = now
        self._forget(now)

    def _forget(self, now: float) -> None:
        """Drop the deletions of long ago, which stand first."""
        while now - self._deleted[oldest := next(iter(self._deleted))] >= SUSPECT_SECONDS:
            del self._deleted[oldest]

    def _suspect(self, name: str, found: Object) -> bool:
        when = self._deleted.get(name)
        if when is None or time.monotonic() - when >= SUSPECT_SECONDS:
            return False
        return _phase(found) == "Active"

    async def _look_again(self, attributes: Attributes) -> None:
        """Decide by the newest state."""
        lister = self.lister("namespaces")
        try:
            await lister.fresh()
        except StorageError as error:
            raise internal_error(str(error)) from error
        found = lister.get(attributes.namespace)
        if found is None:
            raise not_found("namespaces", "", attributes.namespace)
        if attributes.operation == CREATE and _phase(found) == "Terminating":
            raise terminating(attributes)


def _phase(namespace: Object) -> str:
    return str((namespace.get("status") or {}).get("phase", ""))


def terminating(attributes: Attributes) -> ApiError:
    """403, with a cause by which controllers know that it is pointless to try again."""
    namespace = attributes.namespace
    error = forbidden(
        attributes, f"unable to create new content in namespace {namespace} because it is being terminated"
    )
    cause = {
        "reason": "NamespaceTerminating",
        "message": f"namespace {namespace} is being terminated",
        "field": "metadata.namespace",
    }
    error.details = {**(error.details or {}), "causes": [cause]}
    return error
