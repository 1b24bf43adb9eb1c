"""NamespaceLifecycle: nothing is made in a namespace that is not there or is going away."""

from __future__ import annotations

from workers.admission.plugin import Plugin, forbidden
from workers.apimachinery import errors
from workers.registry.attributes import CREATE, DELETE, UPDATE, Attributes

IMMORTAL = frozenset(("default", "kube-system", "kube-public"))
REVIEWS = frozenset(("localsubjectaccessreviews",))


class NamespaceLifecycle(Plugin):
    """k8s.io/apiserver/pkg/admission/plugin/namespace/lifecycle."""

    operations = frozenset((CREATE, UPDATE, DELETE))

    async def admit(self, attributes: Attributes) -> None:
        info = attributes.info
        if info.resource == "namespaces" and not info.group:
            if attributes.operation == DELETE and attributes.name in IMMORTAL:
                raise forbidden(attributes, "this namespace may not be deleted")
            return
        namespace = attributes.namespace
        if not namespace or attributes.operation == DELETE or info.resource in REVIEWS:
            return
        entry = await self.latest("", "namespaces", "", namespace)
        if entry is None:
            raise errors.not_found("namespaces", "", namespace)
        if attributes.operation == CREATE and (entry.obj.get("status") or {}).get("phase") == "Terminating":
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            error = forbidden(attributes, why)
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            error.details = {**(error.details or {}), "causes": [cause]}
            raise error
