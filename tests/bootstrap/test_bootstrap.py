"""What a fresh server creates, what it brings back, and what it leaves alone."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Attributes, Decision
from apiserver_workers.authorization.bootstrap_policy import GROUP, cluster_roles
from apiserver_workers.authorization.union import server_authorizer
from apiserver_workers.core.api_services import registration
from apiserver_workers.core.bootstrap import flow_control, identity_lease, rbac, system
from apiserver_workers.core.bootstrap.hooks import bootstrap_hooks
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.hooks import Hooks

Scenario = Callable[[Backend, Objects], Awaitable[None]]

SERVICES = registration.local_services(builtin_resources().values())
API_SERVICES = registration.GROUP, registration.RESOURCE


@asynccontextmanager
async def running(config: ServerConfig) -> AsyncIterator[tuple[Backend, Objects]]:
    backend = Backend(config)
    await backend.start()
    try:
        yield backend, Objects(backend.registry)
    finally:
        await backend.stop()


def run(config: ServerConfig, scenario: Scenario) -> None:
    async def main() -> None:
        async with running(config) as (backend, objects):
            await scenario(backend, objects)

    asyncio.run(main())


async def bootstrap(config: ServerConfig, backend: Backend) -> None:
    hooks = Hooks(
        config.run_dir, "core", start_id=config.loopback_token, hooks=bootstrap_hooks(config, backend.registry)
    )
    await hooks.start()
    deadline = time.monotonic() + 10
    while any(hooks.checks().values()):
        assert time.monotonic() < deadline, hooks.checks()
        await asyncio.sleep(0.01)
    await hooks.stop()
    await backend.cache.resource("namespaces").fresh()


def names(objects: Objects, group: str, resource: str, namespace: str = "") -> list[str]:
    return [obj["metadata"]["name"] for obj in objects.list(group, resource, namespace)]


def test_a_fresh_server_has_what_every_cluster_has(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await bootstrap(config, backend)
        assert names(objects, "", "namespaces") == ["default", "kube-node-lease", "kube-public", "kube-system"]
        assert names(objects, "scheduling.k8s.io", "priorityclasses") == [
            "system-cluster-critical",
            "system-node-critical",
        ]
        assert names(objects, "", "services", "default") == ["kubernetes"]
        service = objects.get("", "services", "kubernetes", "default")
        assert service is not None
        assert service["spec"]["clusterIP"] == "10.0.0.1"
        cidr = objects.get("networking.k8s.io", "servicecidrs", "kubernetes")
        assert cidr is not None
        assert cidr["spec"] == {"cidrs": ["10.0.0.0/24"]}
        assert cidr["status"]["conditions"][0]["status"] == "True"
        assert len(names(objects, GROUP, "clusterroles")) == len(cluster_roles())
        assert "system::leader-locking-kube-scheduler" in names(objects, GROUP, "rolebindings", "kube-system")
        assert len(names(objects, "flowcontrol.apiserver.k8s.io", "flowschemas")) == 11
        (lease,) = objects.list("coordination.k8s.io", "leases", "kube-system")
        assert lease["metadata"]["labels"]["apiserver.kubernetes.io/identity"] == "kube-apiserver"
        for schema in objects.list("flowcontrol.apiserver.k8s.io", "flowschemas"):
            assert schema["status"]["conditions"][0]["reason"] == "Found"
        services = objects.list("apiregistration.k8s.io", "apiservices")
        assert {"v1.", "v1.apps", "v2.autoscaling"} <= {obj["metadata"]["name"] for obj in services}
        assert all(obj["status"]["conditions"][0]["reason"] == "Local" for obj in services)

    run(config, scenario)


def test_a_second_start_changes_nothing(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await bootstrap(config, backend)
        before = await backend.storage.current_revision()
        again = dataclasses.replace(config, loopback_token="another start")
        await bootstrap(again, backend)
        leases = 1  # renewed, once
        assert await backend.storage.current_revision() == before + leases

    run(config, scenario)


def test_two_servers_start_at_the_same_time(config, tmp_path):
    async def scenario(backend: Backend, objects: Objects) -> None:
        other = dataclasses.replace(config, run_dir=str(tmp_path / "other"), instance="other")
        (tmp_path / "other").mkdir()
        async with running(other) as (second, _):
            await asyncio.gather(bootstrap(config, backend), bootstrap(other, second))
        await objects.fresh("coordination.k8s.io", "leases")
        assert len(objects.list("coordination.k8s.io", "leases", "kube-system")) == 2

    run(config, scenario)


def test_the_default_policy_comes_back_and_additions_stay(config):
    role = {"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}

    def change(obj: dict[str, Any]) -> dict[str, Any]:
        metadata = {**obj["metadata"], "labels": {"mine": "1"}}
        return {**obj, "metadata": metadata, "rules": [role]}

    async def scenario(backend: Backend, objects: Objects) -> None:
        await system.ensure_namespaces(objects)
        await rbac.ensure_policy(objects)
        await objects.fresh(GROUP, "clusterroles")
        await objects.update(GROUP, "clusterroles", "system:basic-user", change)
        await objects.fresh(GROUP, "clusterroles")
        await rbac.ensure_policy(objects)
        await objects.fresh(GROUP, "clusterroles")
        repaired = objects.get(GROUP, "clusterroles", "system:basic-user")
        assert repaired is not None
        assert role in repaired["rules"]
        assert {
            "verbs": ["create"],
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["selfsubjectreviews"],
        } in repaired["rules"]
        assert repaired["metadata"]["labels"] == {"mine": "1", "kubernetes.io/bootstrapping": "rbac-defaults"}

    run(config, scenario)


def test_completion_of_roles_and_bindings():
    expected = {"metadata": {"labels": {"a": "1"}, "annotations": {}}, "rules": [], "subjects": [{"name": "s"}]}
    off = {"metadata": {"annotations": {rbac.AUTOUPDATE: "false"}}, "rules": []}
    assert rbac.complete_role(off, expected) is None
    assert rbac.complete_binding(off, expected) is None
    assert rbac.complete_role(expected, expected) is None
    changed = rbac.complete_binding({"metadata": {"labels": {"a": "2"}}, "subjects": [{"name": "t"}]}, expected)
    assert changed == {"metadata": {"labels": {"a": "2"}}, "subjects": [{"name": "t"}, {"name": "s"}]}


def test_the_stored_policy_decides(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        authorizer = server_authorizer(config, backend.cache)
        await authorizer.start()
        await system.ensure_namespaces(objects)
        await rbac.ensure_policy(objects)
        await objects.fresh(GROUP, "clusterrolebindings")
        await asyncio.sleep(0.05)
        scheduler = UserInfo("system:kube-scheduler", "", ("system:authenticated",))
        question = Attributes(scheduler, "create", resource="pods", subresource="binding", namespace="x")
        assert (await authorizer.authorize(question))[0] is Decision.ALLOW
        assert (await authorizer.authorize(dataclasses.replace(question, verb="get")))[0] is not Decision.ALLOW
        bound = objects.get(GROUP, "clusterrolebindings", "system:kube-scheduler")
        assert bound is not None
        await objects.delete(GROUP, "clusterrolebindings", bound)
        await objects.fresh(GROUP, "clusterrolebindings")
        await asyncio.sleep(0.05)
        assert (await authorizer.authorize(question))[0] is not Decision.ALLOW
        await authorizer.stop()

    run(config, scenario)


def test_a_flow_schema_whose_level_goes_dangles(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await flow_control.ensure_configuration(objects)
        schema = {
            "metadata": {"name": "mine"},
            "spec": {"priorityLevelConfiguration": {"name": "gone"}, "matchingPrecedence": 1000},
        }
        await objects.ensure(flow_control.GROUP, flow_control.SCHEMAS, schema)
        await flow_control.mark_dangling(objects)
        await objects.fresh(flow_control.GROUP, flow_control.SCHEMAS)
        reasons = {
            obj["metadata"]["name"]: obj["status"]["conditions"][0]["reason"]
            for obj in objects.list(flow_control.GROUP, flow_control.SCHEMAS)
        }
        assert reasons.pop("mine") == "NotFound"
        assert set(reasons.values()) == {"Found"}

    run(config, scenario)


def test_only_mandatory_flow_control_objects_are_forced():
    own = {"metadata": {"name": "probes", "annotations": {}}, "spec": {"a": 1}}
    assert flow_control.corrected(own, {"a": 2}) is None
    followed = {**own, "metadata": {"name": "probes", "annotations": {flow_control.AUTOUPDATE: "true"}}}
    corrected = flow_control.corrected(followed, {"a": 2})
    assert corrected is not None
    assert corrected["spec"] == {"a": 2}
    assert flow_control.corrected(followed, {"a": 1}) is None
    forced = flow_control.corrected({**own, "metadata": {"name": "exempt"}}, {"a": 1})
    assert forced is not None
    assert forced["metadata"]["annotations"] == {flow_control.AUTOUPDATE: "true"}


def test_leases_of_dead_servers_are_collected(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await system.ensure_namespaces(objects)
        lease = identity_lease.IdentityLease(objects, config)
        await lease.renew()
        labels = {identity_lease.IDENTITY_LABEL: identity_lease.IDENTITY}
        dead = {
            "metadata": {"name": "apiserver-dead", "namespace": "kube-system", "labels": labels},
            "spec": {"holderIdentity": "x", "leaseDurationSeconds": 60, "renewTime": "2020-01-01T00:00:00.000000Z"},
        }
        await objects.create("coordination.k8s.io", "leases", dead)
        await objects.fresh("coordination.k8s.io", "leases")
        await lease.renew()
        await identity_lease.collect_expired(objects)
        await objects.fresh("coordination.k8s.io", "leases")
        assert names(objects, "coordination.k8s.io", "leases", "kube-system") == [lease.name]
        renewed = objects.get("coordination.k8s.io", "leases", lease.name, "kube-system")
        assert renewed is not None
        await identity_lease.IdentityLease(objects, config).renew()
        await objects.fresh("coordination.k8s.io", "leases")
        by_another_worker = objects.get("coordination.k8s.io", "leases", lease.name, "kube-system")
        assert by_another_worker is not None
        assert by_another_worker["spec"]["holderIdentity"] == renewed["spec"]["holderIdentity"]
        assert by_another_worker["spec"]["renewTime"] > renewed["spec"]["renewTime"]
        await objects.delete("coordination.k8s.io", "leases", renewed, unchanged=True)
        await objects.fresh("coordination.k8s.io", "leases")
        assert names(objects, "coordination.k8s.io", "leases", "kube-system") == [lease.name], "it was renewed since"

    run(config, scenario)


def test_a_deleted_built_in_api_service_comes_back_at_the_next_start_only(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await registration.Registration(objects, SERVICES, list).start()
        batch = objects.get(*API_SERVICES, "v1.batch")
        assert batch is not None
        await objects.delete(*API_SERVICES, batch)
        await objects.fresh(*API_SERVICES)
        await registration.mark_available(objects)
        await registration.Registration(objects, SERVICES, list).take_over()
        assert "v1.batch" not in names(objects, *API_SERVICES), (
            "another worker goes on, and the server has not started anew"
        )
        await registration.Registration(objects, SERVICES, list).start()
        assert "v1.batch" in names(objects, *API_SERVICES)

    run(config, scenario)
