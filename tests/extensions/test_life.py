"""Custom resources from their definition to its end, in this process."""

from __future__ import annotations

import asyncio

from tests.extensions.serving import DEFINITIONS, WIDGETS, definition, serving

NAME = "widgets.example.com"


async def test_a_definition_that_is_deleted_takes_its_objects_with_it(etcd, root):
    async with serving(etcd, root) as server:
        await server.define(definition())
        assert (await server.create("a", spec={"size": 1})).status == 201
        assert (await server.create("b", metadata={"name": "b", "finalizers": ["example.com/hold"]})).status == 201
        deleted = await server.call("DELETE", f"{DEFINITIONS}/{NAME}")
        assert deleted.obj["status"]["conditions"][-1]["reason"] == "InstanceDeletionPending"
        async with asyncio.timeout(5):
            while (await server.call("GET", f"{WIDGETS}/a")).status != 404:
                await asyncio.sleep(0.01)
        refused = await server.create("late")
        assert (refused.status, refused.message) == (
            403,
            'widgets.example.com "late" is forbidden: create not allowed while custom resource definition is terminating',
        )
        released = await server.call(
            "PATCH", f"{WIDGETS}/b", {"metadata": {"finalizers": None}}, type="application/merge-patch+json"
        )
        assert released.status == 200
        async with asyncio.timeout(5):
            while (await server.call("GET", f"{DEFINITIONS}/{NAME}")).status != 404:
                await asyncio.sleep(0.01)
            while (await server.call("GET", WIDGETS)).status != 404:
                await asyncio.sleep(0.01)
