"""From a configured chain to authorizers. What decides by stored objects is made once and shared by every chain."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.abac import ABACAuthorizer, load_policy_file
from apiserver_workers.authorization.attributes import Attributes, Decision
from apiserver_workers.authorization.bootstrap_policy import node_rules
from apiserver_workers.authorization.configuration import AuthorizerConfig, WebhookConfig
from apiserver_workers.authorization.match_conditions import MatchConditions
from apiserver_workers.authorization.node import NodeAuthorizer
from apiserver_workers.authorization.node_graph import NodeGraph
from apiserver_workers.authorization.policy import Policy
from apiserver_workers.authorization.rbac import PolicyFeed, RBACAuthorizer
from apiserver_workers.authorization.rules import FULL_AUTHORITY, HeldRules, Rule
from apiserver_workers.authorization.webhook import WebhookAuthorizer
from apiserver_workers.server.client.kubeconfig import load_kubeconfig
from apiserver_workers.server.client.webhook import Webhook
from apiserver_workers.server.config import ServerConfig

# storage prefix: whether it holds bindings
RBAC_RESOURCES = {"clusterroles": False, "roles": False, "clusterrolebindings": True, "rolebindings": True}
NODE_RESOURCES = ("pods", "persistentvolumes", "volumeattachments", "resourceslices", "podcertificaterequests")


class Always:
    """AlwaysAllow and AlwaysDeny: one answer to every question."""

    def __init__(
        self, decision: Decision, reason: str = "", rules: Sequence[Rule] = (), *, kind: str = "Always"
    ) -> None:
        self.kind, self.name = kind, kind.lower()
        self._answer = (decision, reason)
        self._rules = list(rules)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        return self._answer

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        return HeldRules(self._rules)


class Builder:
    """Makes the chains of one server, whose types are `types`."""

    def __init__(self, config: ServerConfig, types: Collection[str]) -> None:
        """Raises OSError or ValueError for a policy file that cannot be read."""
        self.rbac = RBACAuthorizer(Policy()) if "RBAC" in types else None
        self._known: dict[str, Any] = {
            "AlwaysAllow": Always(Decision.ALLOW, rules=FULL_AUTHORITY, kind="AlwaysAllow"),
            "AlwaysDeny": Always(Decision.NO_OPINION, "Everything is forbidden.", kind="AlwaysDeny"),
        }
        # what follows stored objects, by storage prefix
        self.handlers: dict[str, Any] = {}
        if self.rbac is not None:
            self._known["RBAC"] = self.rbac
            for prefix, bindings in RBAC_RESOURCES.items():
                self.handlers[prefix] = PolicyFeed(self.rbac.policy, bindings=bindings)
        if "Node" in types:
            graph = NodeGraph()
            self._known["Node"] = NodeAuthorizer(graph, node_rules())
            self.handlers.update(graph.tables)
        if "ABAC" in types:
            self._known["ABAC"] = ABACAuthorizer(load_policy_file(config.authorization_policy_file))

    def build(self, chain: Iterable[AuthorizerConfig]) -> list[Any]:
        """The authorizers. Raises OSError or ValueError for files that cannot be read, ValueError for unknown types."""
        return [self._authorizer(entry) for entry in chain]

    def _authorizer(self, entry: AuthorizerConfig) -> Any:
        if entry.webhook is not None:
            return webhook_authorizer(entry.webhook, entry.name)
        if entry.type not in self._known:
            raise ValueError(f"unknown authorization mode {entry.type}")
        return self._known[entry.type]


def webhook_authorizer(config: WebhookConfig, name: str) -> WebhookAuthorizer:
    """The authorizer that asks this webhook. Raises OSError or ValueError for its kubeconfig."""
    return WebhookAuthorizer(
        Webhook(load_kubeconfig(config.kubeconfig), timeout=config.timeout),
        version=config.version,
        authorized_ttl=config.authorized_ttl,
        unauthorized_ttl=config.unauthorized_ttl,
        on_error=config.on_error,
        name=name,
        conditions=MatchConditions(config.conditions) if config.conditions else None,
    )
