"""RBAC's guard against escalation: who writes a role or a binding must hold all that it gives (pkg/registry/rbac).

Masters may; so may who is allowed the verb `escalate` on the role, or `bind` on the role that is bound. The check stands
last in mutating admission, where the object is what the client asked for and nothing is validated yet.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from apiserver_workers.admission.chain import AdmissionChain
from apiserver_workers.apimachinery.errors import ApiError, forbidden, not_found
from apiserver_workers.authorization.attributes import MASTERS, Attributes, allowed, quote, quote_list
from apiserver_workers.authorization.bootstrap_policy import GROUP
from apiserver_workers.authorization.rules import FULL_AUTHORITY, Rule, describe, missing, targets
from apiserver_workers.authorization.union import ServerAuthorizer
from apiserver_workers.registry.attributes import CREATE, UPDATE
from apiserver_workers.registry.attributes import Attributes as AdmissionAttributes
from apiserver_workers.registry.registry import Registry

ROLES = frozenset({"roles", "clusterroles"})
BINDINGS = frozenset({"rolebindings", "clusterrolebindings"})
GARBAGE_COLLECTOR_FIELDS = frozenset({"finalizers", "ownerReferences", "managedFields", "resourceVersion"})
MAX_TARGETS = 100_000  # resources that the rules of one role may name, each with each of its groups and names
MAX_MISSING = 1_000  # that a refusal lists
SLICE = 200  # steps between which other requests have their turn
NEEDS_CLUSTER_ADMIN = "must have cluster-admin privileges to use the aggregationRule"


class EscalationGuard:
    """An admission chain with the guard behind its mutating part."""

    def __init__(self, chain: AdmissionChain, registry: Registry) -> None:
        """`registry` is where bound roles are looked up; the authorizer is that of the chain's initializer."""
        self._chain = chain
        self._registry = registry

    @property
    def _authorizer(self) -> ServerAuthorizer:
        return cast(ServerAuthorizer, self._chain.initializer.authorizer)

    async def admit(self, attributes: AdmissionAttributes) -> None:
        await self._chain.admit(attributes)
        if attributes.info.group == GROUP and attributes.operation in (CREATE, UPDATE):
            await self._check(attributes)

    async def validate(self, attributes: AdmissionAttributes) -> None:
        await self._chain.validate(attributes)

    async def _check(self, a: AdmissionAttributes) -> None:
        """Raises ApiError: 403 for an escalation, 404 for a binding to a role that does not exist."""
        new, old = a.obj, a.old_obj
        if new is None or MASTERS in a.user.groups or (old is not None and only_garbage_collection(new, old)):
            return
        if a.info.resource in ROLES and not await self._allows(a, "escalate", a.info.resource, a.name if old else ""):
            await self._confirm(a, new.get("rules") or [])
            if "aggregationRule" in new or (old is not None and "aggregationRule" in old):
                if await self._missing(a, list(FULL_AUTHORITY)):
                    raise self._forbidden(a, NEEDS_CLUSTER_ADMIN)
        elif a.info.resource in BINDINGS:
            ref = new["roleRef"]
            resource = "clusterroles" if ref.get("kind") == "ClusterRole" else "roles"
            if not await self._allows(a, "bind", resource, ref.get("name", "")):
                await self._confirm(a, await self._role_rules(a, resource, ref.get("name", "")))

    async def _allows(self, a: AdmissionAttributes, verb: str, resource: str, name: str) -> bool:
        attributes = Attributes(
            a.user, verb, namespace=a.namespace, api_group=GROUP, api_version="*", resource=resource, name=name
        )
        return (await allowed(self._authorizer, attributes))[0]

    async def _role_rules(self, a: AdmissionAttributes, resource: str, name: str) -> list[Rule]:
        store = self._registry.store(GROUP, resource)
        entry = await store.latest(store.key(a.namespace if resource == "roles" else "", name))
        if entry is None:
            raise not_found(resource, GROUP, name)
        return entry.obj.get("rules") or []

    async def _missing(self, a: AdmissionAttributes, rules: list[Rule]) -> list[Rule]:
        """The rules that the user lacks, at most MAX_MISSING. Other requests go on meanwhile."""
        if targets(rules) > MAX_TARGETS:
            raise self._forbidden(a, f"rules name more than {MAX_TARGETS} resources, which are too many to check")
        found: list[Rule] = []
        for step, rule in enumerate(missing(self._authorizer.rules_for(a.user, a.namespace).rules, rules), 1):
            if rule is not None:
                found.append(rule)
            if len(found) == MAX_MISSING:
                break
            if not step % SLICE:
                await asyncio.sleep(0)
        return found

    async def _confirm(self, a: AdmissionAttributes, rules: list[Rule]) -> None:
        """ConfirmNoEscalation: raises ApiError unless the user holds all these rules."""
        found = await self._missing(a, rules)
        if not found:
            return
        who = f"user {quote(a.user.name)} (groups={quote_list(a.user.groups)})"
        why = f"{who} is attempting to grant RBAC permissions not currently held:\n" + "\n".join(describe(found))
        if len(found) == MAX_MISSING:
            why += "\nand more"
        error = self._authorizer.rules_for(a.user, a.namespace).error
        raise self._forbidden(a, f"{why}; resolution errors: [{error}]" if error else why)

    def _forbidden(self, a: AdmissionAttributes, why: str) -> ApiError:
        name = a.obj["metadata"].get("name", "") if a.obj else ""
        return forbidden(a.info.resource, a.info.group, name, why)


def only_garbage_collection(new: dict[str, Any], old: dict[str, Any]) -> bool:
    """Whether the update changes only what lets the garbage collector delete the object in the end."""
    if any(new.get(field) != old.get(field) for field in (new.keys() | old.keys()) - {"metadata"}):
        return False
    metadata, before = new["metadata"], old["metadata"]
    fields = (metadata.keys() | before.keys()) - GARBAGE_COLLECTOR_FIELDS
    return all(metadata.get(field) == before.get(field) for field in fields)
