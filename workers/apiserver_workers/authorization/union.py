"""The authorizer of a server: a chain of authorizers in order, behind the rule that masters may do all.

`server_authorizer` builds it. The authorizers that decide by stored objects follow them with informers: `start` returns
when they have all of them. A chain from --authorization-config is made anew when the file changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import MASTERS, Attributes, Decision, EvaluationError
from apiserver_workers.authorization.building import NODE_RESOURCES, RBAC_RESOURCES, Builder
from apiserver_workers.authorization.configuration import (
    authorizer_configs,
    authorizer_types,
    parse_authorization_config,
)
from apiserver_workers.authorization.rbac import RBACAuthorizer, aggregate
from apiserver_workers.authorization.rules import HeldRules
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.config_reload import AUTHORIZATION, FollowedFile
from apiserver_workers.server.informer import Informer
from apiserver_workers.server.metrics import AUTHORIZATION_DECISIONS
from apiserver_workers.storage.interface import WatchCache


class ServerAuthorizer:
    """Asks each authorizer until one allows or denies; masters are always allowed. `rbac` is the RBAC mode, if on."""

    def __init__(
        self, authorizers: Sequence[Any], *, rbac: RBACAuthorizer | None = None, informers: Sequence[Informer] = ()
    ) -> None:
        self._informers = tuple(informers)
        self.rbac = rbac
        self.use(authorizers)

    def use(self, authorizers: Sequence[Any]) -> None:
        """From now on ask these."""
        self._authorizers = tuple(authorizers)
        # each with its metrics' labels for what it allows and denies
        self._chain = tuple((each, ("allowed", *_names(each)), ("denied", *_names(each))) for each in authorizers)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        """Raises EvaluationError if an authorizer failed and none of the others decided."""
        if MASTERS in attributes.user.groups:
            return Decision.ALLOW, ""
        reasons: list[str] = []
        faults: list[str] | None = None
        for authorizer, allowed, denied in self._chain:
            try:
                decision, reason = await authorizer.authorize(attributes)
            except EvaluationError as error:
                decision, reason = error.decision, error.reason_given
                if decision is not Decision.NO_OPINION:
                    AUTHORIZATION_DECISIONS.inc(denied)
                    raise
                faults = [*(faults or ()), error.fault]
            if decision is Decision.ALLOW:
                AUTHORIZATION_DECISIONS.inc(allowed)
                return decision, reason
            if decision is Decision.DENY:
                AUTHORIZATION_DECISIONS.inc(denied)
                return decision, reason
            if reason:
                reasons.append(reason)
        if faults:
            raise EvaluationError(Decision.NO_OPINION, "\n".join(reasons), aggregate(faults))
        return Decision.NO_OPINION, "\n".join(reasons)

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        """The rules of the user in the namespace that all authorizers know of."""
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
        close_webhooks(self._authorizers)


class FileAuthorizer(ServerAuthorizer):
    """The authorizer of --authorization-config, which follows its file."""

    def __init__(self, config: ServerConfig, builder: Builder, informers: Sequence[Informer]) -> None:
        """Raises OSError, or ValueError that names the file."""
        self._file = FollowedFile(config.authorization_config, config, AUTHORIZATION, self._change)
        self._builder = builder
        self._types = authorizer_types(config)
        super().__init__(builder.build(authorizer_configs(config)), rbac=builder.rbac, informers=informers)

    async def start(self) -> None:
        await super().start()
        self._file.start()

    async def stop(self) -> None:
        await self._file.stop()
        await super().stop()

    async def _change(self, content: bytes) -> None:
        """Raises OSError or ValueError for a file that is not sound, or names files that are not."""
        chain = await asyncio.to_thread(parse_authorization_config, content, self._types)
        fresh = self._builder.build(chain)
        old = self._authorizers
        self.use(fresh)
        close_webhooks(old)


def _names(authorizer: Any) -> tuple[str, str]:
    return getattr(authorizer, "name", ""), getattr(authorizer, "kind", "")


def close_webhooks(authorizers: Sequence[Any]) -> None:
    """Close the connections that authorizers keep; questions on their way still get their answer."""
    for authorizer in authorizers:
        if hasattr(authorizer, "close"):
            authorizer.close()


def server_authorizer(config: ServerConfig, cache: WatchCache) -> ServerAuthorizer:
    """The authorizer that the configuration asks for. Call `start` before the first question.

    Raises OSError or ValueError for files that cannot be read.
    """
    builder = Builder(config, authorizer_types(config))
    informers = [
        Informer(cache.resource(prefix), f"{config.etcd_prefix}/{prefix}/", handler)
        for prefix, handler in builder.handlers.items()
    ]
    if config.authorization_config:
        return FileAuthorizer(config, builder, informers)
    return ServerAuthorizer(builder.build(authorizer_configs(config)), rbac=builder.rbac, informers=informers)


def followed_resources(config: ServerConfig) -> tuple[str, ...]:
    """The storage prefixes that the server's authorizer needs in its watch cache."""
    types = authorizer_types(config)
    found: tuple[str, ...] = ()
    if "RBAC" in types:
        found += tuple(RBAC_RESOURCES)
    if "Node" in types:
        found += NODE_RESOURCES
    return found
