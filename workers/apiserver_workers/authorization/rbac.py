"""The RBAC authorizer (plugin/pkg/auth/authorizer/rbac): allows what a role bound to the user allows."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes, Decision
from apiserver_workers.authorization.policy import Policy
from apiserver_workers.authorization.rules import HeldRules
from apiserver_workers.storage.interface import Entry, Event

DECISIONS_ROOM = 32 << 20  # bytes


class RBACAuthorizer:
    """Decides by a Policy. Answers are kept until the policy changes: most questions are asked again and again."""

    kind = "RBAC"
    name = "rbac"

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._decided: Kept[tuple[Any, ...], tuple[Decision, str]] = Kept(room=DECISIONS_ROOM)
        self._decided_at = -1

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        """ALLOW with the binding that allows it, or NO_OPINION with the role references that lead nowhere."""
        if self._decided_at != self.policy.generation:
            self._decided.clear()
            self._decided_at = self.policy.generation
        a = attributes
        key = (a.user.name, a.user.groups, a.verb, a.api_group, a.resource, a.subresource, a.namespace, a.name, a.path)
        decision = self._decided.get(key)
        if decision is None:
            decision = self._decide(attributes)
            self._decided.keep(key, decision)
        return decision

    def _decide(self, attributes: Attributes) -> tuple[Decision, str]:
        held = self.policy.held(attributes.user, attributes.namespace if attributes.resource_request else "")
        for grant in held.grants:
            if any(rule.allows(attributes) for rule in grant.compiled):
                return Decision.ALLOW, grant.reason
        return Decision.NO_OPINION, f"RBAC: {aggregate(held.errors)}" if held.errors else ""

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        """All rules that the user holds in the namespace."""
        held = self.policy.held(user, namespace)
        return HeldRules([rule for grant in held.grants for rule in grant.rules], error=aggregate(held.errors))


def aggregate(errors: list[str]) -> str:
    """Errors as Go's Aggregate prints them: one alone, several distinct ones in brackets."""
    distinct = list(dict.fromkeys(errors))
    if not distinct:
        return ""
    return distinct[0] if len(distinct) == 1 else "[" + ", ".join(distinct) + "]"


class PolicyFeed:
    """An informer's handler: keeps the policy's roles or bindings as one resource's cache has them."""

    def __init__(self, policy: Policy, *, bindings: bool) -> None:
        self._put = policy.put_binding if bindings else policy.put_role
        self._delete = policy.delete_binding if bindings else policy.delete_role
        self._known: dict[str, Entry] = {}

    def replace(self, entries: list[Entry]) -> None:
        fresh = {entry.key: entry for entry in entries}
        for key in self._known.keys() - fresh.keys():
            self._delete(self._known[key].obj)
        for entry in entries:
            self._put(entry.obj)
        self._known = fresh

    def apply(self, event: Event) -> None:
        entry = event.entry
        if event.type == "DELETED":
            if self._known.pop(entry.key, None) is not None:
                self._delete(entry.obj)
        else:
            self._known[entry.key] = entry
            self._put(entry.obj)
