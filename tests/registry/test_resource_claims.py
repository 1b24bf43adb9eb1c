"""Resource claims: who may be given devices as an administrator, and who may write which part of a status."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.registry.attributes import Question
from apiserver_workers.registry.strategies.resource_claims import (
    ADMIN_TEXT,
    changed_drivers,
    driver_verbs,
    kept_devices,
    node_of,
)

from tests.registry.api import Api, running
from tests.storage.etcd_process import EtcdProcess

GROUP = "/apis/resource.k8s.io/v1/namespaces/default"
CLAIMS, TEMPLATES = f"{GROUP}/resourceclaims", f"{GROUP}/resourceclaimtemplates"


def spec(**more: Any) -> dict[str, Any]:
    return {"devices": {"requests": [{"name": "r", "exactly": {"deviceClassName": "c", **more}}]}}


def device(driver: str, name: str = "d") -> dict[str, Any]:
    return {"driver": driver, "pool": "p", "device": name}


def allocation(*drivers: str, node: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"devices": {"results": [{"request": "r", **device(driver)} for driver in drivers]}}
    if node:
        field = {"key": "metadata.name", "operator": "In", "values": [node]}
        found["nodeSelector"] = {"nodeSelectorTerms": [{"matchFields": [field]}]}
    return found


# --- pure ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "before", "drivers"),
    [
        ([], [], []),
        ([device("a")], [device("a")], []),
        ([device("b"), device("a")], [], ["a", "b"]),
        ([], [device("a")], ["a"]),
        ([{**device("a"), "data": {}}], [device("a")], ["a"]),
        ([device("a", "e")], [device("a", "d"), device("b")], ["a", "b"]),
    ],
)
def test_the_drivers_whose_devices_change(now: Any, before: Any, drivers: list[str]) -> None:
    assert changed_drivers({"devices": now}, {"devices": before}) == drivers


def test_the_devices_of_what_is_not_allocated_any_more_go() -> None:
    devices = [device("a"), device("b"), device("c")]
    before = {"allocation": allocation("a", "b"), "devices": devices}
    assert kept_devices({"devices": devices}, before) == [device("c")]
    assert kept_devices({"allocation": allocation("b"), "devices": devices}, before) == [device("b"), device("c")]


@pytest.mark.parametrize(
    ("selector", "node"),
    [
        (allocation(node="n")["nodeSelector"], "n"),
        (
            {
                "nodeSelectorTerms": [
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a", "b"]}]}
                ]
            },
            "",
        ),
        ({"nodeSelectorTerms": [{"matchFields": [{"key": "x", "operator": "In", "values": ["a"]}]}]}, ""),
        ({"nodeSelectorTerms": [{"matchExpressions": [{}]}]}, ""),
        ({"nodeSelectorTerms": []}, ""),
        (None, ""),
    ],
)
def test_the_node_of_an_allocation(selector: Any, node: str) -> None:
    assert node_of({"nodeSelector": selector}) == node


ACCOUNT = "system:serviceaccount:ns:driver"


@pytest.mark.parametrize(
    ("name", "nodes", "verbs"),
    [
        (ACCOUNT, ["n"], ["associated-node:update", "arbitrary-node:update"]),
        (ACCOUNT, ["m"], ["arbitrary-node:update"]),
        (ACCOUNT, ["n", "m"], ["arbitrary-node:update"]),
        (ACCOUNT, [], ["arbitrary-node:update"]),
        ("alice", ["n"], ["arbitrary-node:update"]),
    ],
)
def test_the_verbs_of_a_driver(name: str, nodes: list[str], verbs: list[str]) -> None:
    user = UserInfo(name, extra={"authentication.kubernetes.io/node-name": nodes})
    assert driver_verbs("update", user, "n") == verbs


# --- through the server -------------------------------------------------------------------------------------------


class Rights:
    """Permits what is listed: (verb, subresource, name); remembers what it was asked."""

    def __init__(self, *permitted: tuple[str, str, str]) -> None:
        self.permitted = permitted
        self.asked: list[tuple[str, str, str]] = []

    async def __call__(self, question: Question) -> str:
        asked = (question.verb, question.subresource, question.name)
        self.asked.append(asked)
        return "" if asked in self.permitted else "no"


async def claim(api: Api, **status: Any) -> dict[str, Any]:
    created = await api.create("c", path=CLAIMS, kind="ResourceClaim", spec=spec())
    assert created.status == 201, created.body
    obj: dict[str, Any] = created.obj
    if status:
        changed = await api.call("PUT", f"{CLAIMS}/c/status", {**obj, "status": status})
        assert changed.status == 200, changed.body
        obj = changed.obj
    return obj


async def test_allocating_needs_the_right_to_bind(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        obj = await claim(api)
        api.backend.registry.permits = rights = Rights(("patch", "binding", ""))
        status = {"allocation": allocation("a")}
        answer = await api.call("PUT", f"{CLAIMS}/c/status", {**obj, "status": status})
        assert answer.status == 422
        [cause] = answer.obj["details"]["causes"]
        assert cause["field"] == "status.allocation"
        assert cause["message"] == (
            "Forbidden: changing status.allocation or status.reservedFor requires "
            'resource="resourceclaims/binding", verb="update" permission: no'
        )
        assert (await api.merge(f"{CLAIMS}/c/status", {"status": status})).status == 200
        assert rights.asked[0] == ("update", "binding", "")
        await api.call("GET", f"{CLAIMS}/c")  # now the cache has it
        before = len(rights.asked)
        assert (await api.merge(f"{CLAIMS}/c/status", {"status": status})).status == 200
        assert len(rights.asked) == before  # nothing differs
        assert (await api.merge(f"{CLAIMS}/c", {"metadata": {"labels": {"a": "b"}}})).status == 200


async def test_a_driver_writes_its_own_devices(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        obj = await claim(api, allocation=allocation("a", "b", node="n"))
        api.backend.registry.permits = Rights(("update", "binding", ""), ("arbitrary-node:update", "driver", "a"))
        own = {**obj["status"], "devices": [device("a")]}
        done = await api.call("PUT", f"{CLAIMS}/c/status", {**obj, "status": own})
        assert done.status == 200
        both = {**obj["status"], "devices": [device("a"), device("b")]}
        answer = await api.call("PUT", f"{CLAIMS}/c/status", {**done.obj, "status": both})
        assert answer.status == 422
        [cause] = answer.obj["details"]["causes"]
        assert cause["message"] == (
            'Forbidden: changing status.devices requires resource="resourceclaims/driver", '
            'verb="[arbitrary-node:update]" permission: no'
        )


async def test_the_gate_asks_for_the_status_alone(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        obj = await claim(api)
        api.backend.registry.permits = Rights()
        feature_gates.use({"DRAResourceClaimGranularStatusAuthorization": False})
        try:
            answer = await api.call("PUT", f"{CLAIMS}/c/status", {**obj, "status": {"allocation": allocation("a")}})
        finally:
            feature_gates.use({})
        assert answer.status == 200


async def test_deallocating_drops_what_drivers_said(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        obj = await claim(api, allocation=allocation("a"), devices=[device("a")])
        assert obj["status"]["devices"]
        changed = await api.call("PUT", f"{CLAIMS}/c/status", {**obj, "status": {"devices": obj["status"]["devices"]}})
        assert changed.status == 200
        assert "devices" not in changed.obj["status"]


async def test_admin_access_needs_the_namespaces_label(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        wanted = spec(adminAccess=True)
        for path, kind, body in (
            (CLAIMS, "ResourceClaim", wanted),
            (TEMPLATES, "ResourceClaimTemplate", {"spec": wanted}),
        ):
            answer = await api.create("x", path=path, kind=kind, spec=body)
            assert answer.status == 422
            causes = answer.obj["details"]["causes"]
            assert {"spec.devices.requests[0].adminAccess"} == {cause["field"] for cause in causes}
            assert causes[0]["message"] == f"Forbidden: {ADMIN_TEXT}"
        label = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
        await api.merge("/api/v1/namespaces/default", label)
        await api.call("GET", "/api/v1/namespaces/default")
        for path, kind, body in (
            (CLAIMS, "ResourceClaim", wanted),
            (TEMPLATES, "ResourceClaimTemplate", {"spec": wanted}),
        ):
            assert (await api.create("x", path=path, kind=kind, spec=body)).status == 201
