"""NamespaceExists: nothing is written into a namespace that does not exist."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Pending, Plugin
from apiserver_workers.apimachinery.errors import internal_error, not_found
from apiserver_workers.registry.attributes import CREATE, DELETE, UPDATE, Attributes
from apiserver_workers.storage.interface import StorageError


class NamespaceExists(Plugin):
    """Sees every write in a namespace."""

    name = "NamespaceExists"
    operations = frozenset((CREATE, UPDATE, DELETE))
    subresources = None
    follows = ("namespaces",)

    def validate(self, attributes: Attributes) -> Pending:
        info, namespace = attributes.info, attributes.namespace
        if not namespace or (info.resource == "namespaces" and not info.group):
            return None
        return None if self.lister("namespaces").get(namespace) is not None else self._look_again(namespace)

    async def _look_again(self, namespace: str) -> None:
        """The cache may be late."""
        lister = self.lister("namespaces")
        try:
            await lister.fresh()
        except StorageError as error:
            raise internal_error(str(error)) from error
        if lister.get(namespace) is None:
            raise not_found("namespaces", "", namespace)
