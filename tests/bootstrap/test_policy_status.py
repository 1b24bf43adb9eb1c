"""The status of validating policies tells of the check of their present generation."""

from __future__ import annotations

import asyncio

from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.core.bootstrap.policy_status import GROUP, POLICIES, PolicyStatus

from tests.admission.cluster import Cluster, run
from tests.admission.policies.installed import rule, validating


def test_warnings_are_written_once_for_each_generation(config):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, "has(object.data.a)", "object.none == 1", rules=[rule(["CREATE"])])
        checker = PolicyStatus(Objects(cluster.backend.registry), builtin_resources().values(), types.model())

        async def checked():
            await checker.check()
            await cluster.store(f"{POLICIES}.{GROUP}").cache.fresh()
            return await cluster.get(f"{POLICIES}.{GROUP}", "policy")

        policy = await checked()
        (warning,) = policy["status"]["typeChecking"]["expressionWarnings"]
        assert warning["fieldRef"] == "spec.validations[1].expression"
        assert warning["warning"].startswith("/v1, Kind=ConfigMap: ERROR: <input>:1:7: undefined field 'none'")
        assert policy["status"]["observedGeneration"] == 1
        managers = [(entry["manager"], entry.get("subresource")) for entry in policy["metadata"]["managedFields"]]
        assert ("validatingadmissionpolicy-status", "status") in managers
        assert (await checked())["metadata"]["resourceVersion"] == policy["metadata"]["resourceVersion"]

        def mended(live):
            return {**live, "spec": {**live["spec"], "validations": [{"expression": "has(object.data.a)"}]}}

        await cluster.update(f"{POLICIES}.{GROUP}", "policy", mended)
        policy = await checked()
        assert policy["status"]["observedGeneration"] == 2
        assert not policy["status"].get("typeChecking")

    asyncio.run(run(config, scenario))
