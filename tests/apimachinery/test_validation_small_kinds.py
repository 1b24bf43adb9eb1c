"""Rules of the smaller kinds: what goes in, and which faults come out, with their paths and in order."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

Object = dict[str, Any]

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    " an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    " end with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
NAME_PART = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)

NAMES = {
    "csidrivers": "storage.k8s.io",
    "csinodes": "storage.k8s.io",
    "storageclasses": "storage.k8s.io",
    "volumeattachments": "storage.k8s.io",
    "volumeattributesclasses": "storage.k8s.io",
    "csistoragecapacities": "storage.k8s.io",
    "runtimeclasses": "node.k8s.io",
    "priorityclasses": "scheduling.k8s.io",
    "poddisruptionbudgets": "policy",
    "leases": "coordination.k8s.io",
    "servicecidrs": "networking.k8s.io",
    "ipaddresses": "networking.k8s.io",
    "ingressclasses": "networking.k8s.io",
    "networkpolicies": "networking.k8s.io",
    "ingresses": "networking.k8s.io",
    "endpointslices": "discovery.k8s.io",
    "clusterroles": "rbac.authorization.k8s.io",
    "apiservices": "apiregistration.k8s.io",
}


def info(name: str) -> Any:
    return resource(NAMES[name], "v1", name)


def made(name: str, **fields: Any) -> Object:
    metadata = {"name": "o", "resourceVersion": "1"} | ({"namespace": "default"} if info(name).namespaced else {})
    return {"metadata": metadata | fields.pop("metadata", {}), **fields}


def faults_of(name: str, **fields: Any) -> list[str]:
    return [str(error) for error in validate_create(info(name), made(name, **fields))]


def faults_of_update(name: str, old: Object, new: Object, subresource: str = "") -> list[str]:
    return [str(error) for error in validate_update(info(name), made(name, **new), made(name, **old), subresource)]


DRIVER = {"attachRequired": True, "podInfoOnMount": False, "storageCapacity": False, "seLinuxMount": False}


@pytest.mark.parametrize(
    ("spec", "faults"),
    [
        ({}, []),
        (
            {"volumeLifecycleModes": ["x"]},
            ['spec.volumeLifecycleModes: Unsupported value: "x": supported values: "Persistent", "Ephemeral"'],
        ),
        (
            {"serviceAccountTokenInSecrets": False},
            [
                "spec.serviceAccountTokenInSecrets: Invalid value: false: serviceAccountTokenInSecrets is set but no"
                " tokenRequests are specified"
            ],
        ),
        (
            {"tokenRequests": [{"audience": "a"}, {"audience": "a", "expirationSeconds": 1}]},
            ['spec.tokenRequests[1].audience: Duplicate value: "a"'],
        ),
        (
            {"nodeAllocatableUpdatePeriodSeconds": 9, "fsGroupPolicy": "x"},
            [
                'spec.fsGroupPolicy: Unsupported value: "x": supported values: "File", "None",'
                ' "ReadWriteOnceWithFSType"',
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10"
                " seconds",
            ],
        ),
    ],
)
def test_a_csi_driver(spec: Object, faults: list[str]) -> None:
    assert faults_of("csidrivers", spec=DRIVER | spec) == faults


@pytest.mark.parametrize(
    ("drivers", "faults"),
    [
        ([{"name": "d", "nodeID": "n" * 256, "topologyKeys": ["a/b"]}], []),
        (
            [{"name": "d", "nodeID": "n" * 257}],
            [f'spec.drivers[0].nodeID: Invalid value: "{"n" * 257}": must be 256 characters or less'],
        ),
        (
            [{"name": "d", "nodeID": "n"}, {"name": "d", "nodeID": "n", "topologyKeys": ["a", "a"]}],
            ['spec.drivers[1].name: Duplicate value: "d"', 'spec.drivers[1]: Duplicate value: "a"'],
        ),
        (
            [{"name": "d", "nodeID": "n", "topologyKeys": ["-"], "allocatable": {"count": -1}}],
            [
                "spec.drivers[0].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
                f'spec.drivers[0]: Invalid value: "-": {NAME_PART}',
            ],
        ),
    ],
)
def test_a_csi_node(drivers: list[Object], faults: list[str]) -> None:
    assert faults_of("csinodes", spec={"drivers": drivers}) == faults


def test_a_csi_nodes_rules_are_asked_once_on_an_update() -> None:
    new = {"spec": {"drivers": [{"name": "D/", "nodeID": "n"}]}}
    assert len(faults_of_update("csinodes", {"spec": {"drivers": []}}, new)) == 1


@pytest.mark.parametrize(
    ("topologies", "duplicates"),
    [
        ([], 0),
        ([{"matchLabelExpressions": [{"key": "a", "values": ["b"]}]}], 0),
        ([{"matchLabelExpressions": [{"key": "a", "values": ["b"]}]}] * 2, 1),
        ([{}], 1),
        ([{}, {}], 5),
    ],
)
def test_topologies_of_a_storage_class_differ_and_an_empty_one_never_does(
    topologies: list[Object], duplicates: int
) -> None:
    found = faults_of("storageclasses", provisioner="p", volumeBindingMode="Immediate", allowedTopologies=topologies)
    assert len(found) == duplicates
    assert all('.matchLabelExpressions: Duplicate value: ""' in fault for fault in found)


def test_a_storage_class_is_immutable_in_the_words_of_every_field() -> None:
    old = {"provisioner": "p", "volumeBindingMode": "Immediate", "parameters": {"a": "b"}, "reclaimPolicy": "Delete"}
    new = old | {"parameters": {"a": "c"}, "reclaimPolicy": "Retain", "provisioner": "q"}
    assert faults_of_update("storageclasses", old, new) == [
        'parameters: Invalid value: {"a":"c"}: field is immutable',
        'provisioner: Invalid value: "q": field is immutable',
        'reclaimPolicy: Invalid value: "Retain": field is immutable',
    ]


@pytest.mark.parametrize("name", ["storageclasses", "volumeattributesclasses"])
def test_a_classs_driver_is_shown_in_lower_case(name: str) -> None:
    driver = {"storageclasses": "provisioner", "volumeattributesclasses": "driverName"}[name]
    given = {driver: "$(A)", "parameters": {"a": "b"}, "volumeBindingMode": "Immediate"}
    assert faults_of(name, **given) == [f'{driver}: Invalid value: "$(a)": {NAME_PART}']
    assert faults_of(name, **given | {driver: ""}) == [f"{driver}: Required value"]


ATTACHMENT = {"attacher": "a", "nodeName": "n", "source": {"persistentVolumeName": "v"}}


@pytest.mark.parametrize(
    ("spec", "status", "faults"),
    [
        ({}, {}, []),
        (
            {"source": {"persistentVolumeName": "A"}},
            {},
            [f'spec.source.persistentVolumeName: Invalid value: "A": {SUBDOMAIN}'],
        ),
        (
            {"source": {"persistentVolumeName": ""}},
            {},
            [
                "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName",
                f'spec.source.persistentVolumeName: Invalid value: "": {SUBDOMAIN}',
            ],
        ),
        (
            {},
            {"attachError": {"message": "x" * 1025, "errorCode": -1}},
            [
                "status.attachError.message: Too long: may not be more than 262144 bytes",
                "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ],
        ),
    ],
)
def test_a_volume_attachment(spec: Object, status: Object, faults: list[str]) -> None:
    assert faults_of("volumeattachments", spec=ATTACHMENT | spec, status=status) == faults


@pytest.mark.parametrize("subresource", ["", "status"])
def test_a_volume_attachments_update_looks_at_it_once(subresource: str) -> None:
    broken = {"spec": ATTACHMENT | {"nodeName": "N"}}
    assert faults_of_update("volumeattachments", broken, broken, subresource) == [
        f'spec.nodeName: Invalid value: "N": {SUBDOMAIN}'
    ]


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"handler": "h"}, []),
        ({"handler": ""}, ["handler: Required value"]),
        ({"handler": "H"}, [f'handler: Invalid value: "H": {LABEL}']),
        (
            {"handler": "h", "scheduling": {"tolerations": [{"key": "a", "operator": "Exists"}] * 2}},
            ['scheduling.tolerations[1]: Duplicate value: {"key":"a","operator":"Exists"}'],
        ),
    ],
)
def test_a_runtime_class(fields: Object, faults: list[str]) -> None:
    assert faults_of("runtimeclasses", **fields) == faults
    assert faults_of_update("runtimeclasses", fields, fields) == faults


@pytest.mark.parametrize(
    ("fields", "faults"),
    [
        ({"value": 1, "preemptionPolicy": "Never"}, []),
        ({"value": 1, "preemptionPolicy": ""}, ["preemptionPolicy: Required value"]),
        (
            {"value": 1, "preemptionPolicy": "x"},
            ['preemptionPolicy: Unsupported value: "x": supported values: "PreemptLowerPriority", "Never"'],
        ),
        (
            {"metadata": {"name": "system-node-critical"}, "value": 2_000_001_000, "globalDefault": True},
            [
                "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use"
                " only. error: globalDefault of system-node-critical PriorityClass must be false"
            ],
        ),
    ],
)
def test_a_priority_class(fields: Object, faults: list[str]) -> None:
    assert faults_of("priorityclasses", **fields) == faults


@pytest.mark.parametrize(
    ("condition", "faults"),
    [
        ({"type": "T", "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}, []),
        (
            {"type": "T", "status": "x", "observedGeneration": -1},
            [
                'status.conditions[0].status: Unsupported value: "x": supported values: "False", "True", "Unknown"',
                "status.conditions[0].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
                "status.conditions[0].lastTransitionTime: Required value",
                "status.conditions[0].reason: Required value",
            ],
        ),
    ],
)
def test_a_budgets_status_has_whole_conditions(condition: Object, faults: list[str]) -> None:
    new = {"status": {"conditions": [condition]}}
    assert faults_of_update("poddisruptionbudgets", {}, new, "status") == faults


FAMILIES = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@pytest.mark.parametrize(
    ("cidrs", "faults"),
    [
        (["10.0.0.0/8", "2001:db8::/64"], []),
        (["10.0.0.0/8", "10.0.0.0/16"], [f'spec.cidrs: Invalid value: ["10.0.0.0/8","10.0.0.0/16"]: {FAMILIES}']),
        (["x", "y"], [f'spec.cidrs[0]: Invalid value: "x": {CIDR}', f'spec.cidrs[1]: Invalid value: "y": {CIDR}']),
        (["10.0.0.0/8", ""], [f'spec.cidrs[1]: Invalid value: "": {CIDR}']),
        ([], ["spec.cidrs: Required value: at least one CIDR required"]),
    ],
)
def test_a_service_cidr(cidrs: list[str], faults: list[str]) -> None:
    assert faults_of("servicecidrs", spec={"cidrs": cidrs}) == faults


def test_an_ip_addresss_parent_is_looked_at_again_on_an_update() -> None:
    old = {"spec": {"parentRef": {"resource": "services", "name": "s"}}, "metadata": {"name": "192.0.2.1"}}
    new = {"spec": {"parentRef": {"resource": "services", "name": "a/b"}}, "metadata": {"name": "192.0.2.1"}}
    found = faults_of_update("ipaddresses", old, new)
    assert found[0] == "spec.parentRef.name: Invalid value: \"a/b\": may not contain '/'"
    assert found[1].startswith("spec.parentRef: Invalid value: ") and found[1].endswith(": field is immutable")


@pytest.mark.parametrize(
    ("parameters", "faults"),
    [
        ({"kind": "K", "name": "n", "scope": "Cluster"}, []),
        (
            {"scope": "x"},
            [
                "spec.parameters.kind: Required value",
                "spec.parameters.name: Required value",
                'spec.parameters.scope: Unsupported value: "x": supported values: "Cluster", "Namespace"',
            ],
        ),
        (
            {"kind": "K", "name": "n", "scope": "Namespace"},
            ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
        ),
        (
            {"kind": "K", "name": "n", "scope": "Namespace", "namespace": ""},
            [f'spec.parameters.namespace: Invalid value: "": {LABEL}'],
        ),
        (
            {"apiGroup": "", "kind": "K", "name": "n", "scope": "Cluster"},
            [f'spec.parameters.apiGroup: Invalid value: "": {SUBDOMAIN}'],
        ),
    ],
)
def test_an_ingress_class(parameters: Object, faults: list[str]) -> None:
    assert faults_of("ingressclasses", spec={"controller": "a.b/c", "parameters": parameters}) == faults


def test_selectors_stored_with_faults_are_left_alone() -> None:
    bad = {"matchExpressions": [{"key": "k", "operator": "In", "values": ["-"]}]}
    policy = {"spec": {"podSelector": bad}}
    assert len(faults_of("networkpolicies", **policy)) == 1
    assert faults_of_update("networkpolicies", policy, policy) == []
    role = {"aggregationRule": {"clusterRoleSelectors": [bad]}}
    assert len(faults_of("clusterroles", **role)) == 2
    found = faults_of_update("clusterroles", role, role)
    assert found == ["aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector."]


def test_names_of_secrets_and_wildcards_stored_with_faults_are_left_alone() -> None:
    spec = {"tls": [{"secretName": "S"}], "rules": [{"host": "*.a.b", "http": {"paths": []}}]}
    assert [fault.partition(":")[0] for fault in faults_of("ingresses", spec=spec)] == [
        "spec.rules[0].http.paths",
        "spec.tls[0].secretName",
    ]
    assert faults_of_update("ingresses", {"spec": spec}, {"spec": spec}) == []


@pytest.mark.parametrize(
    ("endpoint", "faults"),
    [
        ({"addresses": ["192.0.2.1"], "hints": {"forZones": [{"name": "z"}], "forNodes": [{"name": "n"}]}}, []),
        (
            {"addresses": ["::1"]},
            [
                'endpoints[0].addresses: Invalid value: "::1": must be an IPv4 address',
                'endpoints[0].addresses[0]: Invalid value: "::1": may not be in the loopback range (127.0.0.0/8,'
                " ::1/128)",
            ],
        ),
        (
            {"addresses": ["192.0.2.1"] * 101},
            ["endpoints[0].addresses: Too many: 101: must have at most 100 items"],
        ),
        (
            {"addresses": ["192.0.2.1"], "hints": {"forNodes": [{"name": "n"}, {"name": "n"}, {"name": "N"}]}},
            [
                'endpoints[0].hints.forNodes[1].name: Duplicate value: "n"',
                f'endpoints[0].hints.forNodes[2].name: Invalid value: "N": {SUBDOMAIN}',
            ],
        ),
        (
            {"addresses": ["192.0.2.1"], "hints": {"forZones": [{"name": "z"}] * 9, "forNodes": [{"name": "N"}]}},
            ["endpoints[0].hints.forZones: Too many: 9: must have at most 8 items"],
        ),
        ({}, ["endpoints[0].addresses: Required value: must contain at least 1 address"]),
    ],
)
def test_an_endpoint_of_a_slice(endpoint: Object, faults: list[str]) -> None:
    slice_of = {"addressType": "IPv4", "endpoints": [endpoint], "ports": []}
    assert faults_of("endpointslices", **slice_of) == faults
    assert faults_of_update("endpointslices", slice_of, slice_of) == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("a.b.", ""),
        ("", "Required value"),
        ("a", 'Invalid value: "a": should be a domain with at least two segments separated by dots'),
        ("A.b", f'Invalid value: "A.b": {SUBDOMAIN}'),
    ],
)
def test_an_endpoint_by_name(name: str, fault: str) -> None:
    found = faults_of("endpointslices", addressType="FQDN", endpoints=[{"addresses": [name]}], ports=[])
    assert found == ([f"endpoints[0].addresses[0]: {fault}"] if fault else [])


@pytest.mark.parametrize(
    ("port", "faults"),
    [
        ({"name": "", "protocol": "TCP"}, []),
        ({"name": ""}, ["ports[0].protocol: Required value"]),
        (
            {"name": "", "protocol": ""},
            ['ports[0].protocol: Unsupported value: "": supported values: "SCTP", "TCP", "UDP"'],
        ),
        (
            {"name": "", "protocol": "TCP", "appProtocol": "-"},
            [f'ports[0].appProtocol: Invalid value: "-": {NAME_PART}'],
        ),
    ],
)
def test_a_port_of_a_slice_comes_before_its_endpoints(port: Object, faults: list[str]) -> None:
    found = faults_of("endpointslices", addressType="IPv4", endpoints=[{}], ports=[port])
    assert found == [*faults, "endpoints[0].addresses: Required value: must contain at least 1 address"]


def test_kinds_that_take_any_finalizer() -> None:
    for name, fields in (
        ("leases", {}),
        ("runtimeclasses", {"handler": "h"}),
        (
            "apiservices",
            {"spec": {"version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}, "metadata": {"name": "v1."}},
        ),
    ):
        metadata = fields.pop("metadata", {}) | {"finalizers": ["x"]}
        given = fields | {"metadata": metadata}
        assert faults_of(name, **given) == [], name
        assert faults_of_update(name, given, given) == [], name
    assert len(faults_of("poddisruptionbudgets", metadata={"finalizers": ["x"]})) == 0
    assert len(faults_of("ingressclasses", spec={"controller": "a/b"}, metadata={"finalizers": ["x"]})) == 1


@pytest.mark.parametrize(
    ("name", "fields", "count"),
    [
        ("csidrivers", {"spec": DRIVER}, 3),
        ("storageclasses", {"provisioner": "p", "volumeBindingMode": "Immediate"}, 4),
        ("runtimeclasses", {"handler": "h"}, 4),
        ("volumeattachments", {"spec": ATTACHMENT}, 3),
        ("leases", {}, 3),
        ("poddisruptionbudgets", {}, 2),
        ("ingressclasses", {"spec": {"controller": "a.b/c"}}, 4),
    ],
)
def test_labels_are_refused_as_often_as_upstream_looks_at_them(name: str, fields: Object, count: int) -> None:
    new = fields | {"metadata": {"labels": {"a": "-"}}}
    found = faults_of_update(name, fields, new)
    assert len(found) == count and {fault.partition(":")[0] for fault in found} == {"metadata.labels"}


def test_an_api_services_conditions_have_a_status() -> None:
    old = {"metadata": {"name": "v1."}}
    new = old | {"status": {"conditions": [{"type": "Available", "status": "x"}]}}
    assert faults_of_update("apiservices", old, new, "status") == [
        'status.conditions[0].status: Unsupported value: "x": supported values: "True", "False", "Unknown"'
    ]
