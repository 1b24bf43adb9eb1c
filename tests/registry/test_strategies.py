"""What strategies do to objects before they are validated: generation, status and metadata, empty lists."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from apiserver_workers.apimachinery import codec
from apiserver_workers.apimachinery.apply.reset import reset_set
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources, catalogue
from apiserver_workers.apimachinery.types import model
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies import strategy_for
from apiserver_workers.registry.strategies.base import Strategy, null_lists

from tests.registry.api import ADMIN

Object = dict[str, Any]


KINDS = BuiltinKinds(model())


def info(name: str) -> ResourceInfo:
    """The newest version of `resource.group` that this Kubernetes version has."""
    resource, _, group = name.partition(".")
    served = [one for one in builtin_resources().values() if (one.resource, one.group) == (resource, group)]
    known = [one for one in catalogue().values() if (one.resource, one.group) == (resource, group)]
    return (served or [one for one in known if model().find(one.group, one.version, one.kind)])[-1]


def strategy(name: str) -> Strategy:
    return strategy_for(KINDS.of(info(name)), None)  # type: ignore[arg-type]


def context(subresource: str = "") -> Context:
    return Context(ADMIN, name="o", subresource=subresource)


def generations(name: str, spec: Object, changed: Object) -> tuple[int | None, int | None, int | None]:
    """After the creation, after an update of labels alone, and after one of the spec."""
    made: Object = {"metadata": {"name": "o"}, **copy.deepcopy(spec)}
    strategy(name).prepare_for_create(made, context())
    counted = []
    for new in ({**copy.deepcopy(made), "metadata": {**made["metadata"], "labels": {"a": "b"}}}, made | changed):
        new["metadata"] = dict(new["metadata"])
        strategy(name).prepare_for_update(new, made, context())
        counted.append(new["metadata"].get("generation"))
    return made["metadata"].get("generation"), counted[0], counted[1]


@pytest.mark.parametrize(
    ("name", "spec", "changed", "expected"),
    [
        ("servicecidrs.networking.k8s.io", {"spec": {"cidrs": ["a"]}}, {"spec": {"cidrs": ["b"]}}, (None, None, None)),
        ("priorityclasses.scheduling.k8s.io", {"value": 1}, {"description": "d"}, (1, 1, 1)),
        ("csidrivers.storage.k8s.io", {"spec": {}}, {"spec": {"requiresRepublish": True}}, (None, None, 1)),
        ("deviceclasses.resource.k8s.io", {"spec": {}}, {"spec": {"config": [{}]}}, (1, 1, 2)),
        ("deviceclasses.resource.k8s.io", {"spec": {}}, {"spec": {"config": []}}, (1, 1, 1)),
        ("endpointslices.discovery.k8s.io", {"ports": None}, {"ports": []}, (1, 2, 1)),
        ("endpointslices.discovery.k8s.io", {"ports": None}, {"ports": [{}]}, (1, 2, 2)),
        ("validatingadmissionpolicies.admissionregistration.k8s.io", {"spec": {}}, {"spec": {"a": 1}}, (1, 1, 2)),
        ("mutatingadmissionpolicies.admissionregistration.k8s.io", {"spec": {}}, {"spec": {"a": 1}}, (1, 1, 2)),
        ("leases.coordination.k8s.io", {"spec": {}}, {"spec": {"holderIdentity": "h"}}, (None, None, None)),
        ("runtimeclasses.node.k8s.io", {"handler": "h"}, {"handler": "i"}, (None, None, None)),
        ("volumeattachments.storage.k8s.io", {"spec": {}}, {"spec": {"attacher": "a"}}, (None, None, None)),
    ],
)
def test_what_generation_counts(
    name: str, spec: Object, changed: Object, expected: tuple[int | None, int | None, int | None]
) -> None:
    assert generations(name, spec, changed) == expected


WHOLE = [
    "flowschemas.flowcontrol.apiserver.k8s.io",
    "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
    "servicecidrs.networking.k8s.io",
    "volumeattachments.storage.k8s.io",
    "resourceclaims.resource.k8s.io",
    "devicetaintrules.resource.k8s.io",
    "resourcepoolstatusrequests.resource.k8s.io",
    "podgroups.scheduling.k8s.io",
    "storageversionmigrations.storagemigration.k8s.io",
    "apiservices.apiregistration.k8s.io",
]
SETTABLE = [
    "ingresses.networking.k8s.io",
    "poddisruptionbudgets.policy",
    "certificatesigningrequests.certificates.k8s.io",
]


@pytest.mark.parametrize("name", WHOLE + SETTABLE)
def test_what_a_status_update_does_to_metadata(name: str) -> None:
    old = {"metadata": {"name": "o", "labels": {"a": "b"}, "finalizers": ["x/y"], "managedFields": ["old"]}, "spec": {}}
    metadata = {"name": "o", "annotations": {"c": "d"}, "ownerReferences": [{}], "managedFields": ["new"]}
    new: Object = {"metadata": metadata, "spec": {"z": 1}, "status": {}}
    strategy(name).prepare_for_update(new, old, context("status"))
    assert new["spec"] == {}
    if name in WHOLE:
        assert new["metadata"] == old["metadata"] | {"managedFields": ["new"]}
        certificates = name.startswith("podcertificate")
        assert reset_set(info(name), "status") == ({"f:spec": {}} if certificates else {"f:metadata": {}, "f:spec": {}})
    else:
        assert new["metadata"]["annotations"] == {"c": "d"} and "labels" not in new["metadata"]


@pytest.mark.parametrize(
    ("name", "path", "sent", "decoded"),
    [
        ("csinodes.storage.k8s.io", ("spec", "drivers"), [], []),
        ("csinodes.storage.k8s.io", ("spec", "drivers"), None, None),
        ("limitranges", ("spec", "limits"), [], []),
        ("roles.rbac.authorization.k8s.io", ("rules",), [], []),
        ("resourceslices.resource.k8s.io", ("spec", "nodeSelector", "nodeSelectorTerms"), [], []),
    ],
)
def test_an_empty_list_is_told_from_none_until_it_is_stored(
    name: str, path: tuple[str, ...], sent: Any, decoded: Any
) -> None:
    body = sent
    for field in reversed(path):
        body = {field: body}
    about = info(name)
    obj = codec.normalise(model().kind(about.group, about.version, about.kind), {"metadata": {"name": "o"}, **body})
    assert at(obj, path) == decoded
    strategy(name).forget_empty(obj)
    assert at(obj, path) is None


def at(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for field in path:
        value = value[field]
    return value


def test_a_kinds_own_lists_are_found_through_structs_alone() -> None:
    kind = model().kind("storage.k8s.io", "v1", "CSINode")
    assert null_lists(kind) == ((("spec",), "drivers"),)


def test_a_list_that_an_update_shares_with_what_is_stored_is_not_changed() -> None:
    held: Object = {"metadata": {"name": "o"}, "spec": {"drivers": []}}
    new = dict(held)
    strategy("csinodes.storage.k8s.io").forget_empty(new)
    assert new["spec"] == {"drivers": None} and held["spec"] == {"drivers": []}
