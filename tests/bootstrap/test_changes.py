"""Hooks that follow objects run again when one changes, and miss none."""

from __future__ import annotations

import asyncio
import time

from apiserver_workers.core.bootstrap import flow_control
from apiserver_workers.core.bootstrap.changes import Changes
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.server.backend import Backend

from tests.bootstrap.test_bootstrap import run

SCHEMA = {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 1000}


async def create(objects: Objects, name: str) -> None:
    await objects.create(flow_control.GROUP, flow_control.SCHEMAS, {"metadata": {"name": name}, "spec": SCHEMA})


def test_a_wait_ends_with_a_change_and_not_before(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        changes = Changes(backend.registry, flow_control.RESOURCES)
        waiting = asyncio.create_task(changes.wait(60))
        await objects.ensure("scheduling.k8s.io", "priorityclasses", {"metadata": {"name": "x"}, "value": 1})
        assert not waiting.done()
        await create(objects, "one")
        await asyncio.wait_for(waiting, 5)

    run(config, scenario)


def test_a_change_between_two_waits_ends_the_second_at_once(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        changes = Changes(backend.registry, flow_control.RESOURCES)
        await changes.wait(0.01)
        await create(objects, "one")
        await objects.fresh(flow_control.GROUP, flow_control.SCHEMAS)
        await asyncio.wait_for(changes.wait(60), 5)

    run(config, scenario)


def test_without_a_change_a_wait_takes_its_time(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        began = time.monotonic()
        await Changes(backend.registry, flow_control.RESOURCES).wait(0.2)
        assert time.monotonic() - began >= 0.2

    run(config, scenario)
