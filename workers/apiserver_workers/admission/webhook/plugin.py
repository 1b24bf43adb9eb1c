"""What both webhook plugins share: which webhooks a request concerns, and the clients that ask them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from time import perf_counter
from typing import Any, ClassVar, NamedTuple

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.manifests import GATE, WatchedFolder, check_folder
from apiserver_workers.admission.metrics import CONDITION_ERRORS, CONDITION_EXCLUSIONS, CONDITION_SECONDS
from apiserver_workers.admission.plugin import Plugin, aggregate
from apiserver_workers.admission.policies.evaluation import (
    MATCH_CONDITIONS_BUDGET,
    Activation,
    Expression,
    OutOfBudget,
)
from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.write import Write
from apiserver_workers.admission.webhook.calls import Caller
from apiserver_workers.admission.webhook.clients import hook_clients
from apiserver_workers.admission.webhook.source import Candidate, Hook, HookSource
from apiserver_workers.admission.webhook.static import load_hooks
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import forbidden
from apiserver_workers.registry.attributes import CONNECT, CREATE, DELETE, UPDATE, Attributes
from apiserver_workers.server.client.users import load_hook_users
from apiserver_workers.server.config_file import decode_document

GROUP = "admissionregistration.k8s.io"
# What decides about requests is not decided about by it: else a configuration could not be mended any more.
EXEMPT_RESOURCES = {
    GROUP: frozenset((
        "validatingwebhookconfigurations",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
    )),
}  # fmt: skip
CONFIG_KINDS = {
    "apiserver.config.k8s.io/v1": "WebhookAdmissionConfiguration",
    "apiserver.config.k8s.io/v1alpha1": "WebhookAdmission",
}
CONFIG_SHAPE = {"kubeConfigFile": str, "staticManifestsDir": str}
NO_HOOKS: Sequence[Hook] = ()
NO_VARIABLES: dict[str, Expression] = {}


class Config(NamedTuple):
    """Who we are to webhooks, and the configurations that files say."""

    kubeconfig: str = ""
    folder: WatchedFolder[Sequence[Hook]] | None = None


class WebhookPlugin(Plugin):
    """Base of both. `configurations` is the storage prefix of their configurations."""

    operations = frozenset((CREATE, UPDATE, DELETE, CONNECT))
    subresources = None
    configurations: ClassVar[str]
    phase: ClassVar[str]
    mutating: ClassVar[bool]

    config: Config

    @classmethod
    def configured(cls, given: Any) -> Config:
        if given is None:
            return Config()
        document = decode_document(given, CONFIG_KINDS, CONFIG_SHAPE)
        path: str = document.get("kubeConfigFile") or ""
        if path and not os.path.isabs(path):
            raise ValueError(f'kubeConfigFile must be an absolute file path, but got "{path}"')
        if path:
            load_hook_users(path)
        return Config(path, cls._folder(document.get("staticManifestsDir") or ""))

    @classmethod
    def _folder(cls, path: str) -> WatchedFolder[Sequence[Hook]] | None:
        """The configurations of a folder of files. Raises ValueError."""
        if not path:
            return None
        check_folder(path)
        try:
            return WatchedFolder(path, lambda folder: load_hooks(folder, cls.configurations), cls.configurations)
        except (OSError, ValueError) as error:
            raise ValueError(f'failed to load static webhook manifests from "{path}": {error}') from None

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        self.source = HookSource(initializer, self.configurations, self._static)
        self._following: asyncio.Task[None] | None = None

    def _static(self) -> Sequence[Hook]:
        return NO_HOOKS if self.config.folder is None else self.config.folder.value

    @classmethod
    def handles(cls, operation: str, group: str, resource: str, subresource: str) -> bool:
        if resource in EXEMPT_RESOURCES.get(group, ()) and not feature_gates.enabled(GATE):
            return False
        return super().handles(operation, group, resource, subresource)

    def candidates(self, attributes: Attributes) -> Sequence[Candidate]:
        """The webhooks that can match a write. Writes of what configures admission concern only those of files."""
        info = attributes.info
        exempt = info.group == GROUP and info.resource in EXEMPT_RESOURCES[GROUP]
        return self.source.candidates(attributes, static_only=exempt)

    async def start(self) -> None:
        """The webhooks that there are already are in force from the first request on."""
        self.source.hooks()
        if self.config.folder is not None:
            following = self.config.folder.follow(self.name, self.initializer.registry.settings)
            self._following = asyncio.create_task(following, name=f"manifests of {self.name}")
        clients = hook_clients(self.initializer.registry, self.config.kubeconfig)
        self.caller = Caller(clients, self.phase, mutating=self.mutating)

    async def stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def called(self, candidate: Candidate, write: Write) -> Match | None:
        """What the webhook is called with; None if the request does not concern it. Raises ApiError."""
        match = await write.matches(candidate.criteria)
        if match is None:
            return None
        conditions = await candidate.hook.conditions()
        if conditions and not await self._hold(candidate.hook, conditions, write, match):
            return None
        return match

    async def _hold(self, hook: Hook, conditions: Sequence[Expression], write: Write, match: Match) -> bool:
        """Whether the match conditions hold. Raises ApiError 403 where one cannot be evaluated and the webhook must not fail."""
        attributes = write.attributes
        labels = (hook.name, "webhook", self.phase, attributes.operation)
        began = perf_counter()
        try:
            fault = await self._evaluate(conditions, write, match, labels)
        finally:
            CONDITION_SECONDS.observe(perf_counter() - began, labels)
        if fault is None or (fault and hook.ignores_failure):
            CONDITION_EXCLUSIONS.inc(labels)
            return False
        if fault:
            info = attributes.requested.info
            raise forbidden(info.resource, info.group, attributes.name, fault)
        return True

    async def _evaluate(
        self, conditions: Sequence[Expression], write: Write, match: Match, labels: tuple[str, ...]
    ) -> str | None:
        """None if a condition is false, else what is wrong with those that cannot be evaluated ("" if all are true)."""
        seen = await write.versioned(match.served)
        own = Match(write.attributes.requested, match.gvk)
        values = {**write.values(own, seen, None, None), **write.authorizer}
        activation = Activation(values, NO_VARIABLES, MATCH_CONDITIONS_BUDGET, write.pace, write.checks)
        errors: list[str] = []
        for condition in conditions:
            try:
                result = await activation.run(condition)
            except OutOfBudget as error:
                return str(error)
            if result.error:
                errors.append(result.error)
                CONDITION_ERRORS.inc(labels)
            elif result.value is False:
                return None
        return aggregate(errors) if errors else ""
