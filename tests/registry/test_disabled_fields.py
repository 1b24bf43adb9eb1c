"""What clients write of features whose gate is off."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates, types
from apiserver_workers.apimachinery.resources import ResourceInfo, catalogue
from apiserver_workers.registry.strategies.disabled_fields import (
    FIELDS,
    POD_SPEC,
    POD_STATUS,
    Path,
    disabled_fields,
    drop_disabled,
)

from tests.registry.api import running
from tests.storage.etcd_process import EtcdProcess

STATEFUL_SETS = "/apis/apps/v1/namespaces/default/statefulsets"
SIGNALS = "ContainerStopSignals"
SIGNAL = {"stopSignal": "SIGUSR1"}


@pytest.fixture(autouse=True)
def default_gates() -> Iterator[None]:
    yield
    feature_gates.use({})


def stateful_set(**more: Any) -> dict[str, Any]:
    labels = {"a": "b"}
    container = {"name": "c", "image": "i", "lifecycle": {**SIGNAL, **more}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "s"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "os": {"name": "linux"}}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2}},
        },
    }


async def test_a_field_behind_a_gate_that_is_off_is_dropped(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        created = (await api.call("POST", STATEFUL_SETS, stateful_set())).obj
        assert created["spec"]["updateStrategy"]["rollingUpdate"] == {"partition": 0}
        assert "lifecycle" not in created["spec"]["template"]["spec"]["containers"][0], "nothing else is in it"
        patched = (await api.merge(f"{STATEFUL_SETS}/s", {"spec": stateful_set()["spec"]})).obj
        assert patched["metadata"]["generation"] == 1
        assert patched["metadata"]["resourceVersion"] == created["metadata"]["resourceVersion"]


async def test_what_stands_beside_it_stays(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        sleep = {"preStop": {"sleep": {"seconds": 1}}}
        created = (await api.call("POST", STATEFUL_SETS, stateful_set(**sleep))).obj
        assert created["spec"]["template"]["spec"]["containers"][0]["lifecycle"] == sleep


async def test_with_the_gate_on_it_is_kept_and_off_again_it_may_still_change(etcd: EtcdProcess, root: str) -> None:
    feature_gates.use({SIGNALS: True, "MaxUnavailableStatefulSet": True})
    async with running(etcd, root) as api:
        created = (await api.call("POST", STATEFUL_SETS, stateful_set())).obj
        assert created["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 2
        assert created["spec"]["template"]["spec"]["containers"][0]["lifecycle"] == SIGNAL
    feature_gates.use({})
    async with running(etcd, root) as api:
        change = {"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 3}}}}
        changed = (await api.merge(f"{STATEFUL_SETS}/s", change)).obj
        assert changed["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"] == 3


def test_each_entry_names_a_gate_and_fields_that_exist() -> None:
    gates = feature_gates.known_gates()
    feature_gates.use(dict.fromkeys(gates, False))
    served: dict[tuple[str, str], list[ResourceInfo]] = {}
    for info in catalogue().values():
        served.setdefault((info.group, info.resource), []).append(info)
    for name in (*FIELDS, ("", "pods"), ("apps", "deployments")):
        for feature in disabled_fields(served[name][0]):
            for path in feature:
                assert any(_leads_to_a_field(info, path) for info in served[name]), f"{name} {path}"
    assert gates.keys() >= {gate for table in (POD_SPEC, POD_STATUS, *FIELDS.values()) for gate in table}


def _leads_to_a_field(info: ResourceInfo, path: Path) -> bool:
    kind = types.model().find(info.group, info.version, info.kind)
    for step in path.steps:
        field = kind.fields.get(step.rstrip("[]{}")) if kind else None
        if field is None or step.removeprefix(field.name) != {"list": "[]", "map": "{}"}.get(field.form, ""):
            return False
        kind = field.element.type if field.element else field.type
    return kind is not None and path.field in kind.fields


def test_what_a_slice_has_of_devices_with_parts_lists_and_policies_is_dropped_and_kept() -> None:
    feature_gates.use(
        dict.fromkeys(("DRAListTypeAttributes", "DRAPartitionableDevices", "DRAConsumableCapacity"), False)
    )
    about = next(info for info in catalogue().values() if info.resource == "resourceslices" and info.version == "v1")
    device = {
        "name": "d",
        "nodeName": "n",
        "attributes": {"a": {"ints": [1]}, "b": {"int": 1}},
        "capacity": {"c": {"value": "1", "requestPolicy": {"default": "1"}}},
        "allowMultipleAllocations": True,
    }
    spec = {"perDeviceNodeSelection": True, "sharedCounters": [], "devices": [device]}
    sent = {"spec": copy.deepcopy(spec)}
    drop_disabled(disabled_fields(about), sent, None)
    rest = {"name": "d", "attributes": {"a": {}, "b": {"int": 1}}, "capacity": {"c": {"value": "1"}}}
    assert sent == {"spec": {"devices": [rest]}}
    again = {"spec": copy.deepcopy(spec)}
    drop_disabled(disabled_fields(about), again, {"spec": spec})
    assert again == {"spec": spec}
