"""OwnerReferencesPermissionEnforcement: who changes owners may delete the object, and who blocks an owner's deletion may
set the owner's finalizers."""

from __future__ import annotations

from collections.abc import Iterator

from apiserver_workers.admission.plugin import Object, Pending, Plugin, forbidden
from apiserver_workers.apimachinery.resources import ResourceInfo, catalogue
from apiserver_workers.authorization.attributes import Attributes as Access
from apiserver_workers.authorization.attributes import Decision, EvaluationError
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

NO_DELETION = "cannot set an ownerRef on a resource you can't delete: {}, {}"
NO_FINALIZERS = (
    "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: {}, {}"
)
NO_MAPPING = "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion {} Kind {}: {}"


class OwnerReferencesPermissionEnforcement(Plugin):
    """Sees every write but that of a pod's status."""

    name = "OwnerReferencesPermissionEnforcement"
    operations = frozenset((CREATE, UPDATE))
    subresources = None

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        return operation in cls.operations and (group, resource, subresource) != ("", "pods", "status")

    def validate(self, attributes: Attributes) -> Pending:
        new, old = owners(attributes.obj), owners(attributes.old_obj)
        return self._check(attributes, new, old) if new != old else None

    async def _check(self, a: Attributes, new: list[Object], old: list[Object]) -> None:
        info = a.requested.info
        if a.operation != CREATE:
            delete = Access(
                a.user,
                "delete",
                namespace=a.namespace,
                api_group=info.group,
                api_version=info.version,
                resource=info.resource,
                subresource=a.subresource,
                name=a.name,
            )
            await self._require(a, delete, NO_DELETION)
        blocking = newly_blocking(new, old)
        if not blocking or await self._may_finalize_anything(a):
            return
        for owner in blocking:
            for resource in self._resources(a, owner):
                finalizers = Access(
                    a.user,
                    "update",
                    namespace=a.namespace if resource.namespaced else "",
                    api_group=resource.group,
                    api_version=resource.version,
                    resource=resource.resource,
                    subresource="finalizers",
                    name=owner.get("name", ""),
                )
                await self._require(a, finalizers, NO_FINALIZERS)

    async def _may_finalize_anything(self, a: Attributes) -> bool:
        anything = Access(
            a.user, "update", api_group="*", api_version="*", resource="*", subresource="finalizers", name="*"
        )
        return not (await self._refusal(anything)).refused

    async def _require(self, a: Attributes, asked: Access, text: str) -> None:
        answer = await self._refusal(asked)
        if answer.refused:
            raise forbidden(a, text.format(answer.reason, answer.error))

    async def _refusal(self, asked: Access) -> Answer:
        try:
            decision, reason = await self.initializer.authorizer.authorize(asked)
        except EvaluationError as error:
            return Answer(error.decision is not Decision.ALLOW, error.reason_given, error.fault)
        return Answer(decision is not Decision.ALLOW, reason)

    def _resources(self, a: Attributes, owner: Object) -> list[ResourceInfo]:
        """The resources of an owner's kind. Raises ApiError if there are none."""
        api_version, kind = owner.get("apiVersion", ""), owner.get("kind", "")
        group, _, version = api_version.rpartition("/")
        found = list(dict.fromkeys(self._known(group, version, kind)))
        if not found:
            why = f'no matches for kind "{kind}" in version "{api_version}"'
            raise forbidden(a, NO_MAPPING.format(api_version, kind, why))
        return found

    def _known(self, group: str, version: str, kind: str) -> Iterator[ResourceInfo]:
        """The served resources of a kind, and the built-in ones of other servers."""
        for served in self.initializer.equivalents.served():
            if (served.info.group, served.info.version, served.info.kind) == (group, version, kind):
                yield served.info
        for info in catalogue().values():
            if (info.group, info.version, info.kind) == (group, version, kind) and info.is_stored:
                yield info


class Answer:
    """An authorizer's answer; `error` is Go's nil where it could decide."""

    def __init__(self, refused: bool, reason: str, error: str = "<nil>") -> None:
        self.refused = refused
        self.reason = reason
        self.error = error


def owners(obj: Object | None) -> list[Object]:
    """An object's owner references; none of what has no metadata."""
    found: list[Object] = ((obj or {}).get("metadata") or {}).get("ownerReferences") or []
    return found


def newly_blocking(new: list[Object], old: list[Object]) -> list[Object]:
    """The owners whose deletion is blocked now, and was not before."""
    before = {owner.get("uid"): bool(owner.get("blockOwnerDeletion")) for owner in old}
    return [owner for owner in new if owner.get("blockOwnerDeletion") and not before.get(owner.get("uid"))]
