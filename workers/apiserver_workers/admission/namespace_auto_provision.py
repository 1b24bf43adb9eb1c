"""NamespaceAutoProvision: a namespace that does not exist is created for what is created in it."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Pending, Plugin, forbidden
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.attributes import CREATE, Attributes
from apiserver_workers.registry.context import Context

SERVER = UserInfo("system:apiserver", "", ("system:masters",))


class NamespaceAutoProvision(Plugin):
    """Sees creations in namespaces."""

    name = "NamespaceAutoProvision"
    operations = frozenset((CREATE,))
    subresources = None
    follows = ("namespaces",)

    def admit(self, attributes: Attributes) -> Pending:
        info = attributes.info
        if attributes.dry_run or not attributes.namespace or (info.resource == "namespaces" and not info.group):
            return None
        if self.lister("namespaces").get(attributes.namespace) is not None:
            return None
        return self._provision(attributes)

    async def _provision(self, attributes: Attributes) -> None:
        name = attributes.namespace
        namespaces = self.initializer.registry.store("", "namespaces")
        obj = {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name}, "spec": {}, "status": {}}
        pending = namespaces.kind.default(obj)
        if pending is not None:
            await pending
        try:
            await namespaces.create(obj, Context(SERVER, name=name))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise forbidden(attributes, error.message) from error
