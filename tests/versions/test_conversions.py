"""Everything that is served in a version that is not stored survives the way into etcd and back."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.codec import normalise
from apiserver_workers.apimachinery.conversion import convert
from apiserver_workers.apimachinery.defaults import set_defaults
from apiserver_workers.apimachinery.enablement import available
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.schemas import shipped_minors
from apiserver_workers.apimachinery.types import model

from tests.versions.filled import filled

# What alpha versions had and what nothing took over: minor, kind -> the fields.
LOST = {
    ("1.27", "IPAddress"): {".spec.parentRef.uid"},
    ("1.28", "IPAddress"): {".spec.parentRef.uid"},
    ("1.31", "DeviceClass"): {".spec.suitableNodes"},
    ("1.31", "ResourceClaim"): {
        ".spec.controller", ".status.allocation.controller", ".status.deallocationRequested",
    },
    ("1.31", "ResourceClaimTemplate"): {".spec.spec.controller"},
}  # fmt: skip
# Version 1 of autoscalers shows the metrics behind its numbers in annotations.
NUMBERS_ONLY = ("autoscaling/v1", "HorizontalPodAutoscaler")


def converted(minor: str) -> list[ResourceInfo]:
    return [info for info in available(minor) if info.stored_as != (info.group, info.version)]


def differences(before: Any, after: Any, path: str = "") -> set[str]:
    """The paths at which the two differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = before.keys() | after.keys()
        return {place for name in names for place in differences(before.get(name), after.get(name), f"{path}.{name}")}
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return {place for pair in zip(before, after, strict=True) for place in differences(*pair, path)}
    return set() if before == after else {path}


def there_and_back(minor: str, group: str, version: str, kind: str, via: tuple[str, str]) -> set[str]:
    """What of a filled object of that version is another after it was in `via`."""
    types = model(minor)
    head = {"kind": kind, "apiVersion": f"{group}/{version}" if group else version}
    obj = {**normalise(types.kind(group, version, kind), filled(minor, group, version, kind)), **head}
    back = convert(convert(obj, *via, types=types), group, version, types=types)
    return differences(obj, back)


@pytest.mark.parametrize("minor", shipped_minors())
def test_every_served_version_survives_storage(minor: str) -> None:
    infos = [info for info in converted(minor) if (info.group_version, info.kind) != NUMBERS_ONLY]
    for info in infos:
        lost = there_and_back(minor, info.group, info.version, info.kind, info.stored_as)
        assert lost == LOST.get((minor, info.kind), set()), (info.group_version, info.kind)


def test_what_is_stored_survives_every_version_of_1_36() -> None:
    infos = [info for info in converted("1.36") if (info.group_version, info.kind) != NUMBERS_ONLY]
    assert len(infos) > 15
    for info in infos:
        lost = there_and_back("1.36", *info.stored_as, info.kind, (info.group, info.version))
        assert lost == set(), (info.group_version, info.kind)


def test_versions_that_are_not_stored_convert_into_each_other() -> None:
    assert (
        there_and_back("1.36", "resource.k8s.io", "v1beta1", "ResourceClaim", ("resource.k8s.io", "v1beta2")) == set()
    )


def test_a_request_for_one_kind_of_device_is_nested_in_v1() -> None:
    request = {"name": "gpu", "deviceClassName": "fast"}
    claim = {
        "kind": "ResourceClaim",
        "apiVersion": "resource.k8s.io/v1beta1",
        "metadata": {"name": "x"},
        "spec": {"devices": {"requests": [request, {"name": "any", "firstAvailable": []}]}},
    }
    set_defaults("resource.k8s.io", "v1beta1", "ResourceClaim", claim)
    requests = convert(claim, "resource.k8s.io", "v1")["spec"]["devices"]["requests"]
    assert requests[0] == {
        "name": "gpu",
        "exactly": {"deviceClassName": "fast", "allocationMode": "ExactCount", "count": 1},
    }
    assert requests[1] == {"name": "any"}


def test_priority_levels_kept_their_shares_under_another_name() -> None:
    level = {
        "kind": "PriorityLevelConfiguration",
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1beta2",
        "metadata": {"name": "x"},
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}},
    }
    set_defaults("flowcontrol.apiserver.k8s.io", "v1beta2", "PriorityLevelConfiguration", level)
    types = model("1.28")
    stored = convert(level, "flowcontrol.apiserver.k8s.io", "v1", types=types)
    assert stored["spec"]["limited"]["nominalConcurrencyShares"] == 30
    assert "assuredConcurrencyShares" not in stored["spec"]["limited"]


def test_shares_of_zero_are_marked_in_v1beta3() -> None:
    zero = {
        "kind": "PriorityLevelConfiguration",
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "metadata": {"name": "x"},
        "spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 0, "limitResponse": {"type": "Reject"}}},
    }
    types = model("1.30")
    shown = convert(zero, "flowcontrol.apiserver.k8s.io", "v1beta3", types=types)
    mark = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"
    assert shown["metadata"]["annotations"] == {mark: ""}
    set_defaults("flowcontrol.apiserver.k8s.io", "v1beta3", "PriorityLevelConfiguration", shown)
    assert shown["spec"]["limited"]["nominalConcurrencyShares"] == 0
    again = convert(shown, "flowcontrol.apiserver.k8s.io", "v1", types=types)
    assert again["metadata"] == {"name": "x"}
    del shown["metadata"]["annotations"]
    set_defaults("flowcontrol.apiserver.k8s.io", "v1beta3", "PriorityLevelConfiguration", shown)
    assert shown["spec"]["limited"]["nominalConcurrencyShares"] == 30
