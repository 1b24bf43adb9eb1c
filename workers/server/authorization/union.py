"""The authorizer of a server: the modes of --authorization-mode in order, behind the rule that masters may do all.

`server_authorizer` builds it. The modes that decide by stored objects follow them with informers: `start` returns when
they have all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workers.apimachinery.user import UserInfo
from workers.server.authorization.attributes import MASTERS, Attributes, Authorizer, Decision
from workers.server.authorization.bootstrap_policy import node_rules
from workers.server.authorization.node import NodeAuthorizer
from workers.server.authorization.node_graph import NodeGraph
from workers.server.authorization.policy import Policy
from workers.server.authorization.rbac import PolicyFeed, RBACAuthorizer, aggregate
from workers.server.authorization.rules import FULL_AUTHORITY, HeldRules, Rule
from workers.server.config import ServerConfig
from workers.server.informer import Informer
from workers.storage.interface import WatchCache

# storage prefix: whether it holds bindings
RBAC_RESOURCES = {"clusterroles": False, "roles": False, "clusterrolebindings": True, "rolebindings": True}
NODE_RESOURCES = ("pods", "persistentvolumes", "volumeattachments", "resourceslices", "podcertificaterequests")


class Always:
    """AlwaysAllow and AlwaysDeny: one answer to every question."""

    generation = 0

    def __init__(self, decision: Decision, reason: str = "", rules: Sequence[Rule] = ()) -> None:
        self._answer = (decision, reason)
        self._rules = list(rules)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        return self._answer

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        return HeldRules(self._rules)


class ServerAuthorizer:
    """Asks each authorizer until one allows or denies; masters are always allowed. `rbac` is the RBAC mode, if on."""

    def __init__(
        self, authorizers: Sequence[Any], *, rbac: RBACAuthorizer | None = None, informers: Sequence[Informer] = ()
    ) -> None:
        self._authorizers = tuple(authorizers)
        self._informers = tuple(informers)
        self.rbac = rbac

    @property
    def generation(self) -> int:
        """Answers given under another generation must be asked for again; answers about nodes may not be kept at all."""
        return self.rbac.generation if self.rbac else 0

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        if MASTERS in attributes.user.groups:
            return Decision.ALLOW, ""
        reasons: list[str] = []
        for authorizer in self._authorizers:
            decision, reason = await authorizer.authorize(attributes)
            if decision is not Decision.NO_OPINION:
                return decision, reason
            if reason:
                reasons.append(reason)
        return Decision.NO_OPINION, "\n".join(reasons)

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        """The rules of the user in the namespace that all modes know of."""
        answers = [authorizer.rules_for(user, namespace) for authorizer in self._authorizers]
        return HeldRules(
            rules=[rule for answer in answers for rule in answer.rules],
            incomplete=any(answer.incomplete for answer in answers),
            error=aggregate([answer.error for answer in answers if answer.error]),
        )

    async def start(self) -> None:
        for informer in self._informers:
            await informer.start()

    async def stop(self) -> None:
        for informer in self._informers:
            await informer.stop()


def server_authorizer(config: ServerConfig, cache: WatchCache) -> ServerAuthorizer:
    """The authorizer that `config.authorization_mode` asks for. Call `start` before the first question."""
    rbac: RBACAuthorizer | None = None
    authorizers: list[Authorizer] = []
    handlers: dict[str, Any] = {}
    for mode in config.authorization_mode:
        if mode == "AlwaysAllow":
            authorizers.append(Always(Decision.ALLOW, rules=FULL_AUTHORITY))
        elif mode == "AlwaysDeny":
            authorizers.append(Always(Decision.NO_OPINION, "Everything is forbidden."))
        elif mode == "RBAC":
            rbac = RBACAuthorizer(Policy())
            authorizers.append(rbac)
            feeds = RBAC_RESOURCES.items()
            handlers.update((prefix, PolicyFeed(rbac.policy, bindings=bindings)) for prefix, bindings in feeds)
        elif mode == "Node":
            graph = NodeGraph()
            authorizers.append(NodeAuthorizer(graph, node_rules()))
            handlers.update(graph.tables)
        else:
            raise ValueError(f"unknown authorization mode {mode}")
    informers = [
        Informer(cache.resource(prefix), f"{config.etcd_prefix}/{prefix}/", handler)
        for prefix, handler in handlers.items()
    ]
    return ServerAuthorizer(authorizers, rbac=rbac, informers=informers)


def followed_resources(config: ServerConfig) -> tuple[str, ...]:
    """The storage prefixes that the server's authorizer needs in its watch cache."""
    found: tuple[str, ...] = ()
    if "RBAC" in config.authorization_mode:
        found += tuple(RBAC_RESOURCES)
    if "Node" in config.authorization_mode:
        found += NODE_RESOURCES
    return found
