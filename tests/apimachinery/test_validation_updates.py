"""How often an update's faults are found, and what the rules of updates refuse."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources
from apiserver_workers.apimachinery.validation.certificates import validate_signer_name
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

INFOS = {(info.group, info.kind): info for info in builtin_resources().values() if info.version in ("v1", "v2")}


def info_of(group: str, kind: str) -> ResourceInfo:
    return INFOS[group, kind]


def with_metadata(**more: Any) -> dict[str, Any]:
    return {"name": "x", "namespace": "n", "resourceVersion": "1", **more}


@pytest.mark.parametrize(
    ("group", "kind", "times"),
    [("", "ConfigMap", 4), ("", "ResourceQuota", 3), ("policy", "PodDisruptionBudget", 2), ("", "LimitRange", 3)],
)
def test_a_bad_label_is_found_as_often_as_upstream_looks(group: str, kind: str, times: int) -> None:
    old = {"metadata": with_metadata(), "spec": {}}
    new = {"metadata": with_metadata(labels={"a b": "c"}), "spec": {}}
    assert [error.field for error in validate_update(info_of(group, kind), new, old)] == ["metadata.labels"] * times


def test_a_changed_uid_is_found_twice() -> None:
    old, new = ({"metadata": with_metadata(uid=uid)} for uid in ("a", "b"))
    found = validate_update(info_of("", "ConfigMap"), new, old)
    assert [str(error) for error in found] == ['metadata.uid: Invalid value: "b": field is immutable'] * 2


def test_a_budget_has_whatever_name_fits_into_a_path() -> None:
    budget = {"metadata": {"name": "Bad_Name!", "namespace": "n"}, "spec": {}}
    assert validate_create(info_of("policy", "PodDisruptionBudget"), budget) == []
    budget["metadata"]["name"] = "a/b"
    (error,) = validate_create(info_of("policy", "PodDisruptionBudget"), budget)
    assert str(error) == "metadata.name: Invalid value: \"a/b\": may not contain '/'"


def test_a_range_of_services_may_get_a_second_family() -> None:
    old, dual, other = (
        {"metadata": {"name": "s", "resourceVersion": "1"}, "spec": {"cidrs": cidrs}}
        for cidrs in (["10.0.0.0/24"], ["10.0.0.0/24", "2001:db8::/112"], ["10.1.0.0/24"])
    )
    info = info_of("networking.k8s.io", "ServiceCIDR")
    assert validate_update(info, dual, old) == []
    (error,) = validate_update(info, other, old)
    assert str(error) == 'spec.cidrs[0]: Invalid value: "10.1.0.0/24": field is immutable'


def event(**more: Any) -> dict[str, Any]:
    about = {"kind": "Pod", "name": "p", "namespace": "n"}
    return {"metadata": with_metadata(), "involvedObject": about, **more}


def test_events_of_the_core_group_are_hardly_looked_at() -> None:
    assert validate_create(info_of("", "Event"), event()) == []
    elsewhere = event(involvedObject={"namespace": "other"})
    (error,) = validate_create(info_of("", "Event"), elsewhere)
    assert str(error) == 'involvedObject.namespace: Invalid value: "other": does not match event.namespace'


def test_events_of_their_own_group_are_complete() -> None:
    fields = [error.field for error in validate_create(info_of("events.k8s.io", "Event"), event(count=1))]
    assert fields == ["eventTime", "type", "count"]
    named = event(eventTime="2020-01-01T00:00:00.000000Z", type="Normal")
    fields = [error.field for error in validate_create(info_of("events.k8s.io", "Event"), named)]
    assert fields == [
        "reportingController",
        "reportingController",
        "reportingController",
        "reportingInstance",
        "action",
        "reason",
    ]


def test_an_entry_of_a_drivers_node_never_changes() -> None:
    old, new = (
        {
            "metadata": {"name": "n", "resourceVersion": "1"},
            "spec": {"drivers": [{"name": "d.example", "nodeID": node}]},
        }
        for node in ("a", "b")
    )
    (error,) = validate_update(info_of("storage.k8s.io", "CSINode"), new, old)
    assert error.field == "spec.drivers"
    assert error.body == (
        'Invalid value: {"Name":"d.example","NodeID":"b","TopologyKeys":null,"Allocatable":null}: field is immutable'
    )


def test_a_token_for_a_driver_lives_ten_minutes_at_least() -> None:
    flags = dict.fromkeys(("attachRequired", "podInfoOnMount", "storageCapacity", "seLinuxMount"), True)
    driver = {"metadata": {"name": "d"}, "spec": {**flags, "tokenRequests": [{"audience": "", "expirationSeconds": 1}]}}
    (error,) = validate_create(info_of("storage.k8s.io", "CSIDriver"), driver)
    assert str(error) == (
        "spec.tokenRequests[0].expirationSeconds: Invalid value: 1: may not specify a duration less than 10 minutes"
    )


def test_a_bound_claim_grows_but_a_volume_keeps_its_source() -> None:
    def volume(path: str) -> dict[str, Any]:
        spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": path}}
        return {"metadata": {"name": "v", "resourceVersion": "1"}, "spec": spec}

    (error,) = validate_update(info_of("", "PersistentVolume"), volume("/b"), volume("/a"))
    assert error.field == "spec.persistentvolumesource"

    def claim(size: str) -> dict[str, Any]:
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        return {"metadata": with_metadata(), "spec": spec, "status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}

    info = info_of("", "PersistentVolumeClaim")
    assert validate_update(info, claim("2Gi"), claim("1Gi")) == []
    (error,) = validate_update(info, claim("1Gi"), claim("2Gi"))
    assert str(error) == "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity"


def request(*conditions: str, certificate: str | None = None) -> dict[str, Any]:
    status: dict[str, Any] = {"conditions": [{"type": kind, "status": "True"} for kind in conditions]}
    if certificate:
        status["certificate"] = certificate
    return {"metadata": with_metadata(namespace=""), "spec": {"signerName": "a.b/c"}, "status": status}


def test_whoever_signs_decides_nothing() -> None:
    info = info_of("certificates.k8s.io", "CertificateSigningRequest")
    old, new = request(), request("Approved")
    assert [e.body for e in validate_update(info, new, old, subresource="status")] == [
        'Forbidden: updates may not add a condition of type "Approved"'
    ]
    assert validate_update(info, new, old, subresource="approval") == []
    assert [e.body for e in validate_update(info, old, new, subresource="approval")] == [
        'Forbidden: updates may not remove a condition of type "Approved"'
    ]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("domain/x", '"domain": should be a domain with at least two segments separated by dots'),
        ("a..b/x", '"a..b": validating label "": a lowercase RFC 1123 label must consist of'),
        ("a.b/X.Y", '"X.Y": validating label "X": a lowercase RFC 1123 subdomain must consist of'),
    ],
)
def test_a_signer_is_a_domain_and_a_path(name: str, fault: str) -> None:
    (error,) = validate_signer_name(name, "spec.signerName")
    assert error.body.startswith(f"Invalid value: {fault}")


def test_an_aggregated_role_selects_with_selectors_that_work() -> None:
    info = info_of("rbac.authorization.k8s.io", "ClusterRole")
    selector = {"matchExpressions": [{"key": "a", "operator": "Nowhere"}]}
    role = {"metadata": with_metadata(namespace=""), "aggregationRule": {"clusterRoleSelectors": [selector]}}
    errors = validate_update(info, role, role)
    assert [(e.field, e.body) for e in errors][-1] == (
        "aggregationRule.clusterRoleSelectors[0]",
        "Invalid value: null: invalid label selector.",
    )


def test_a_class_tells_its_driver_something() -> None:
    info = info_of("storage.k8s.io", "VolumeAttributesClass")
    old = {"metadata": with_metadata(namespace=""), "driverName": "d", "parameters": {"a": "b"}}
    assert [e.body for e in validate_update(info, {**old, "parameters": {}}, old)] == [
        "Forbidden: updates to parameters are forbidden.",
        "Required value: must contain at least one key/value pair",
    ]
    many = {str(number): "" for number in range(513)}
    assert [e.body for e in validate_update(info, {**old, "parameters": many}, {**old, "parameters": many})] == [
        "Too long: may not be more than 512 bytes"
    ]


def pod(resources: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
        "resources": resources or {},
    }
    spec = {"containers": [container], "restartPolicy": "Always", "dnsPolicy": "Default", **more.pop("spec", {})}
    return {"kind": "Pod", "metadata": with_metadata(**more), "spec": spec}


def resized(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    errors = validate_update(info_of("", "Pod"), new, old, subresource="resize")
    return [f"{e.field}: {e.body}" for e in errors]


def test_a_pod_grows_in_cpu_and_memory_only() -> None:
    old = pod({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "ephemeral-storage": "1Gi"}})
    new = pod({"requests": {"cpu": "2"}, "limits": {"cpu": "3", "ephemeral-storage": "1Gi"}})
    assert resized(old, new) == []
    more = pod({"requests": {"cpu": "1"}, "limits": {"cpu": "2", "ephemeral-storage": "2Gi"}})
    assert resized(old, more) == ["spec: Forbidden: only cpu and memory resources are mutable"]
    less = pod({"requests": {"memory": "1"}, "limits": {"cpu": "2", "ephemeral-storage": "1Gi"}})
    assert resized(old, less) == [
        "spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"
    ]


def test_some_pods_are_never_resized() -> None:
    static = pod(annotations={"kubernetes.io/config.mirror": "x"})
    assert resized(static, static) == ["[]: Forbidden: static pods cannot be resized"]
    windows = pod(spec={"os": {"name": "windows"}})
    assert resized(windows, windows) == ["[]: Forbidden: windows pods cannot be resized"]
    errors = validate_update(info_of("", "Pod"), static, static, subresource="ephemeralcontainers")
    assert [e.body for e in errors] == ["Forbidden: static pods do not support ephemeral containers"]


def sized(cpu: str, **more: Any) -> dict[str, Any]:
    """Resources that request that much cpu."""
    return {"requests": {"cpu": cpu}, **more}


def with_init(cpu: str, **more: Any) -> dict[str, Any]:
    init = {
        "name": "i", "image": "i", "imagePullPolicy": "Always", "terminationMessagePolicy": "File",
        "resources": sized(cpu), **more,
    }  # fmt: skip
    return pod(sized("1"), spec={"initContainers": [init]})


ONLY = "only cpu and memory resources"


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        (with_init("1"), with_init("2"), []),
        (with_init("1", restartPolicy="Always"), with_init("2", restartPolicy="Always"), []),
        (
            with_init("1", restartPolicy="Always"),
            with_init("2", restartPolicy="Always", image="j"),
            [f"spec.initContainers[0]: Forbidden: {ONLY} for init or sidecar containers are mutable"],
        ),
        (
            with_init("1", resizePolicy=[{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]),
            with_init("2", resizePolicy=[{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]),
            [
                "spec.initContainers[0]: Forbidden: "
                "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
            ],
        ),
        (pod(sized("1")), pod(sized("1"), spec={"tolerations": [{"operator": "Exists"}]}), [f"spec: Forbidden: {ONLY} are mutable"]),
        (pod(sized("1"), spec={"resources": sized("2")}), pod(sized("1"), spec={"resources": sized("3")}), []),
        (
            pod(sized("1"), spec={"resources": sized("2")}),
            pod(sized("1")),
            ["spec.resources: Forbidden: pod-level resources cannot be removed"],
        ),
        (
            pod(sized("1"), spec={"resources": {"requests": {"cpu": "2", "memory": "1"}}}),
            pod(sized("1"), spec={"resources": sized("2")}),
            ["spec.resources.requests: Forbidden: pod-level resource requests cannot be removed"],
        ),
        (
            pod(sized("1")),
            with_init("1"),
            ["spec.initContainers: Forbidden: initContainers may not be added or removed on resize"],
        ),
        (with_init("1"), with_init("1", name="j"),
         ["spec.initContainers[0].name: Forbidden: initContainers may not be renamed or reordered on resize"]),
    ],
)  # fmt: skip
def test_what_a_resize_may_change(old: dict[str, Any], new: dict[str, Any], faults: list[str]) -> None:
    assert resized(old, new) == faults


def test_pods_with_claims_of_node_resources_are_not_resized() -> None:
    old = {**pod(sized("1")), "status": {"nodeAllocatableResourceClaimStatuses": [{}]}}
    assert resized(old, pod(sized("2"))) == [
        "spec: Forbidden: pods with node allocatable resource claims cannot be resized"
    ]


@pytest.mark.parametrize(
    ("gate", "old", "new", "fault"),
    [
        (
            "InPlacePodVerticalScalingInitContainers",
            with_init("1"),
            with_init("2"),
            "spec: Forbidden: resources for non-sidecar init containers are immutable",
        ),
        (
            "InPlacePodLevelResourcesVerticalScaling",
            pod(sized("1"), spec={"resources": sized("2")}),
            pod(sized("1"), spec={"resources": sized("3")}),
            "[]: Forbidden: resize of pods with pod-level resources is forbidden when "
            "InPlacePodLevelResourcesVerticalScalingEnabled feature gate is disabled",
        ),
    ],
)
def test_gates_of_resizing(gate: str, old: dict[str, Any], new: dict[str, Any], fault: str) -> None:
    feature_gates.use({gate: False})
    try:
        assert resized(old, new) == [fault]
    finally:
        feature_gates.use({})


@pytest.mark.parametrize(
    ("node", "was", "now", "gate", "allowed"),
    [
        ("n", "", "m", True, False),
        ("n", "m", "m", True, True),
        ("n", "m", "", True, True),
        ("", "", "m", True, True),
        ("n", "", "m", False, True),
    ],
)
def test_a_pod_with_a_node_is_promised_no_other(node: str, was: str, now: str, gate: bool, allowed: bool) -> None:
    old = pod(spec={"nodeName": node} if node else {})
    before, after = ({**old, "status": {"nominatedNodeName": name} if name else {}} for name in (was, now))
    feature_gates.use({"ClearingNominatedNodeNameAfterBinding": gate})
    try:
        errors = validate_update(info_of("", "Pod"), after, before, subresource="status")
    finally:
        feature_gates.use({})
    assert (errors == []) is allowed
    assert all(e.body == "Forbidden: may not be set on pods that are already bound to a node" for e in errors)
