"""Who writes roles and bindings must hold what they give, or be allowed to escalate or bind."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.bootstrap_policy import GROUP
from apiserver_workers.authorization.escalation import EscalationGuard
from apiserver_workers.authorization.union import ServerAuthorizer, server_authorizer
from apiserver_workers.core.bootstrap import system
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.registry.context import Context
from apiserver_workers.server.backend import Backend

from tests.running import eventually

ALICE = UserInfo("alice", "", ("dev",))
PODS = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
SECRETS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["secrets"]}


class Cluster:
    """Alice holds `held` in the namespace default; roles and bindings are written as she would."""

    def __init__(self, backend: Backend, authorizer: ServerAuthorizer) -> None:
        self.backend = backend
        self.authorizer = authorizer
        self.objects = Objects(backend.registry)

    async def hold(self, *held: dict[str, Any]) -> None:
        await self.objects.ensure(
            GROUP, "roles", {"metadata": {"name": "held", "namespace": "default"}, "rules": list(held)}
        )
        subjects = [{"kind": "User", "name": "alice", "apiGroup": GROUP}]
        ref = {"kind": "Role", "name": "held", "apiGroup": GROUP}
        binding = {"metadata": {"name": "held", "namespace": "default"}, "subjects": subjects, "roleRef": ref}
        await self.objects.ensure(GROUP, "rolebindings", binding)
        await eventually(lambda: self.authorizer.rules_for(ALICE, "default").rules, what="the authorizer learns of it")

    async def create(self, resource: str, name: str, **fields: Any) -> None:
        kind = "Role" if resource == "roles" else "RoleBinding"
        metadata = {"name": name, "namespace": "default"}
        obj = {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": metadata, **fields}
        await self.backend.registry.store(GROUP, resource).create(obj, Context(ALICE, "default", name))

    async def update_role(self, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        store = self.backend.registry.store(GROUP, "roles")

        async def transform(live: dict[str, Any] | None) -> dict[str, Any]:
            return change(live or {})

        await store.update(transform, Context(ALICE, "default", name))

    async def bind(self, role: str) -> None:
        subjects = [{"kind": "User", "name": "bob", "apiGroup": GROUP}]
        await self.create(
            "rolebindings", "b", subjects=subjects, roleRef={"kind": "Role", "name": role, "apiGroup": GROUP}
        )


@pytest.fixture
def in_cluster(config) -> Callable[[Callable[[Cluster], Awaitable[None]]], None]:
    def run(scenario: Callable[[Cluster], Awaitable[None]]) -> None:
        async def main() -> None:
            backend = Backend(config, guard=EscalationGuard)
            await backend.start()
            authorizer = server_authorizer(config, backend.cache)
            await authorizer.start()
            backend.admission.initializer.authorizer = authorizer
            cluster = Cluster(backend, authorizer)
            try:
                await system.ensure_namespaces(cluster.objects)
                await scenario(cluster)
            finally:
                await authorizer.stop()
                await backend.stop()

        asyncio.run(main())

    return run


async def refused(attempt: Awaitable[None]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await attempt
    return caught.value


def test_a_role_may_give_only_what_its_author_holds(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.hold(PODS)
        await cluster.create("roles", "fine", rules=[PODS])
        error = await refused(cluster.create("roles", "more", rules=[PODS, SECRETS]))
        assert (error.code, error.reason) == (403, "Forbidden")
        assert error.message == (
            'roles.rbac.authorization.k8s.io "more" is forbidden: user "alice" (groups=["dev"]) is attempting to grant '
            'RBAC permissions not currently held:\n{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}'
        )
        await refused(
            cluster.update_role("fine", lambda live: {**live, "metadata": {**live["metadata"]}, "rules": [SECRETS]})
        )

    in_cluster(scenario)


def test_only_what_the_garbage_collector_needs_may_always_be_changed(in_cluster):
    def finalizers(live: dict[str, Any]) -> dict[str, Any]:
        return {**live, "metadata": {**live["metadata"], "finalizers": ["example.com/x"]}}

    def labels(live: dict[str, Any]) -> dict[str, Any]:
        return {**live, "metadata": {**live["metadata"], "labels": {"a": "b"}}}

    async def scenario(cluster: Cluster) -> None:
        await cluster.hold(PODS)
        role = {"metadata": {"name": "other", "namespace": "default"}, "rules": [SECRETS]}
        await cluster.objects.ensure(GROUP, "roles", role)
        await cluster.update_role("other", finalizers)
        await refused(cluster.update_role("other", labels))

    in_cluster(scenario)


def test_a_binding_may_give_only_what_its_author_holds(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.hold(PODS)
        for name, rule in (("pods", PODS), ("secrets", SECRETS)):
            role = {"metadata": {"name": name, "namespace": "default"}, "rules": [rule]}
            await cluster.objects.ensure(GROUP, "roles", role)
        assert (await refused(cluster.bind("secrets"))).code == 403
        missing = await refused(cluster.bind("none"))
        assert (missing.code, missing.message) == (404, 'roles.rbac.authorization.k8s.io "none" not found')
        await cluster.bind("pods")

    in_cluster(scenario)


@pytest.mark.parametrize("verb", ["bind", "escalate"])
def test_the_verbs_bind_and_escalate_lift_the_guard(in_cluster, verb):
    async def scenario(cluster: Cluster) -> None:
        await cluster.hold({"verbs": [verb], "apiGroups": [GROUP], "resources": ["roles"]})
        role = {"metadata": {"name": "secrets", "namespace": "default"}, "rules": [SECRETS]}
        await cluster.objects.ensure(GROUP, "roles", role)
        if verb == "bind":
            await cluster.bind("secrets")
            await refused(cluster.create("roles", "mine", rules=[SECRETS]))
        else:
            await cluster.create("roles", "mine", rules=[SECRETS])
            await refused(cluster.bind("secrets"))

    in_cluster(scenario)
