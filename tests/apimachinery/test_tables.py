"""What kubectl shows: the cells of each kind's row, against the columns of the resource."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources, resource
from apiserver_workers.apimachinery.tables import columns, rows
from apiserver_workers.apimachinery.tables.durations import human_duration

NOW = datetime(2024, 1, 2, tzinfo=UTC).timestamp()
DAY_AGO = "2024-01-01T00:00:00Z"
AGE = "24h"


def cells(group: str, version: str, name: str, obj: dict[str, Any], *, kind: str = "") -> list[Any]:
    info = resource(group, version, name)
    assert info is not None
    obj = {**obj, "metadata": {"name": "x", "creationTimestamp": DAY_AGO, **obj.get("metadata", {})}}
    made = rows(info, [obj], NOW, kind=kind)
    assert made is not None
    return made[0]["cells"]


def pod_cells(status: dict[str, Any], spec: dict[str, Any] | None = None, **metadata: Any) -> list[Any]:
    """Ready, status and restarts of a pod."""
    spec = {"containers": [{"name": "c"}], **(spec or {})}
    return cells("", "v1", "pods", {"metadata": metadata, "spec": spec, "status": status})[1:4]


RUNNING = {"name": "c", "ready": True, "state": {"running": {}}}


def ended(**terminated: Any) -> dict[str, Any]:
    return {"name": "c", "state": {"terminated": terminated}}


SIDECAR = {"initContainers": [{"name": "s", "restartPolicy": "Always"}, {"name": "i"}]}


@pytest.mark.parametrize(
    ("status", "spec", "expected"),
    [
        ({"phase": "Pending"}, {}, ["0/1", "Pending", "0"]),
        ({"phase": "Running", "containerStatuses": [RUNNING]}, {}, ["1/1", "Running", "0"]),
        ({"phase": "Failed", "reason": "Evicted"}, {}, ["0/1", "Evicted", "0"]),
        (
            {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
            {},
            ["0/1", "SchedulingGated", "0"],
        ),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 3}]},
            {},
            ["0/1", "CrashLoopBackOff", "3"],
        ),
        ({"containerStatuses": [ended(exitCode=1, reason="Error")]}, {}, ["0/1", "Error", "0"]),
        ({"containerStatuses": [ended(exitCode=2)]}, {}, ["0/1", "ExitCode:2", "0"]),
        ({"containerStatuses": [ended(signal=9)]}, {}, ["0/1", "Signal:9", "0"]),
        (
            {
                "containerStatuses": [
                    {**RUNNING, "restartCount": 2, "lastState": {"terminated": {"finishedAt": "2024-01-01T23:55:00Z"}}}
                ],
                "phase": "Running",
            },
            {},
            ["1/1", "Running", "2 (5m ago)"],
        ),
        (
            {"initContainerStatuses": [{"name": "i", "state": {}}]},
            {"initContainers": [{"name": "i"}]},
            ["0/1", "Init:0/1", "0"],
        ),
        (
            {"initContainerStatuses": [{"name": "i", "restartCount": 1, "state": {"terminated": {"exitCode": 1}}}]},
            {"initContainers": [{"name": "i"}]},
            ["0/1", "Init:ExitCode:1", "1"],
        ),
        (
            {"initContainerStatuses": [{"name": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
            {"initContainers": [{"name": "i"}]},
            ["0/1", "Init:ErrImagePull", "0"],
        ),
        (
            {
                "phase": "Running",
                "initContainerStatuses": [
                    {"name": "s", "started": True, "ready": True, "restartCount": 1, "state": {"running": {}}},
                    {"name": "i", "restartCount": 4, "state": {"terminated": {"exitCode": 0}}},
                ],
                "containerStatuses": [RUNNING],
            },
            SIDECAR,
            ["2/2", "Running", "1"],
        ),
        (
            {
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [ended(exitCode=0, reason="Completed"), RUNNING],
            },
            {"containers": [{"name": "a"}, {"name": "b"}]},
            ["1/2", "Running", "0"],
        ),
    ],
)
def test_a_pods_status_sums_up_its_containers(
    status: dict[str, Any], spec: dict[str, Any], expected: list[str]
) -> None:
    assert pod_cells(status, spec) == expected


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"phase": "Running"}, "Terminating"),
        ({"phase": "Running", "reason": "NodeLost"}, "Unknown"),
        ({"phase": "Succeeded"}, "Succeeded"),
    ],
)
def test_a_pod_that_is_being_deleted_is_terminating_unless_it_has_ended(status: dict[str, Any], shown: str) -> None:
    assert pod_cells(status, deletionTimestamp=DAY_AGO)[1] == shown


def test_a_pods_wide_cells() -> None:
    spec = {"nodeName": "n", "readinessGates": [{"conditionType": "a"}, {"conditionType": "b"}]}
    status = {"podIPs": [{"ip": "192.0.2.1"}], "conditions": [{"type": "a", "status": "True"}]}
    row = cells("", "v1", "pods", {"spec": spec, "status": status})
    assert row[4:] == [AGE, "192.0.2.1", "n", "<none>", "1/2"]


def test_a_pod_that_has_ended_is_a_completed_row() -> None:
    info = resource("", "v1", "pods")
    assert info is not None
    pods = [{"metadata": {"name": phase}, "status": {"phase": phase}} for phase in ("Running", "Succeeded", "Failed")]
    made = rows(info, pods, NOW) or []
    assert [row.get("conditions", [{}])[0].get("reason") for row in made] == [None, "Succeeded", "Failed"]


CASES: list[tuple[str, str, str, dict[str, Any], list[Any]]] = [
    (
        "",
        "v1",
        "nodes",
        {
            "metadata": {"labels": {"node-role.kubernetes.io/b": "", "kubernetes.io/role": "a"}},
            "spec": {"unschedulable": True},
            "status": {
                "conditions": [{"type": "Ready", "status": "False"}],
                "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
                "nodeInfo": {"kubeletVersion": "v1", "osImage": "", "kernelVersion": "6"},
            },
        },
        ["x", "NotReady,SchedulingDisabled", "a,b", AGE, "v1", "192.0.2.1", "<none>", "<unknown>", "6", "<unknown>"],
    ),
    (
        "",
        "v1",
        "services",
        {
            "spec": {
                "type": "LoadBalancer",
                "clusterIPs": ["10.0.0.1"],
                "externalIPs": ["192.0.2.9"],
                "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
                "selector": {"b": "c", "a": "b"},
            },
            "status": {"loadBalancer": {"ingress": [{"hostname": "h"}, {"ip": "192.0.2.1"}]}},
        },
        ["x", "LoadBalancer", "10.0.0.1", "192.0.2.1,h,192.0.2.9", "80:30080/TCP,53/UDP", AGE, "a=b,b=c"],
    ),
    (
        "",
        "v1",
        "services",
        {"spec": {"type": "LoadBalancer"}},
        ["x", "LoadBalancer", "<none>", "<pending>", "<none>", AGE, "<none>"],
    ),
    (
        "",
        "v1",
        "endpoints",
        {"subsets": [{"addresses": [{"ip": "::1"}, {"ip": "192.0.2.1"}], "ports": [{"port": 1}, {"port": 2}]}]},
        ["x", "[::1]:1,192.0.2.1:1,[::1]:2 + 1 more...", AGE],
    ),
    (
        "",
        "v1",
        "events",
        {
            "metadata": {"creationTimestamp": None},
            "involvedObject": {"kind": "Pod", "name": "p"},
            "firstTimestamp": DAY_AGO,
            "type": "Normal",
            "reason": "R",
            "message": " m\n",
            "source": {"component": "c", "host": "h"},
        },
        [AGE, "Normal", "R", "pod/p", "", "c, h", "m", AGE, 1, "x"],
    ),
    (
        "events.k8s.io",
        "v1",
        "events",
        {
            "eventTime": "2024-01-01T00:00:00.000000Z",
            "series": {"count": 7, "lastObservedTime": "2024-01-01T23:59:00.000000Z"},
            "regarding": {"kind": "Node"},
            "note": "m",
            "reportingController": "c",
        },
        ["60s", "", "", "node", "", "c", "m", AGE, 7, "x"],
    ),
    (
        "",
        "v1",
        "persistentvolumeclaims",
        {
            "spec": {"volumeName": "v", "storageClassName": "s", "volumeMode": "Block"},
            "status": {
                "phase": "Bound",
                "accessModes": ["ReadOnlyMany", "ReadWriteOnce"],
                "capacity": {"storage": "1Gi"},
            },
        },
        ["x", "Bound", "v", "1Gi", "RWO,ROX", "s", "<unset>", AGE, "Block"],
    ),
    (
        "",
        "v1",
        "resourcequotas",
        {"status": {"hard": {"pods": "2", "limits.cpu": "4", "cpu": "1"}, "used": {"pods": "1"}}},
        ["x", "cpu: 0/1, pods: 1/2", "limits.cpu: 0/4", AGE],
    ),
    (
        "apps",
        "v1",
        "deployments",
        {
            "spec": {
                "replicas": 3,
                "template": {"spec": {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}},
                "selector": {
                    "matchLabels": {"z": "1"},
                    "matchExpressions": [
                        {"key": "a", "operator": "In", "values": ["y", "x"]},
                        {"key": "b", "operator": "DoesNotExist"},
                    ],
                },
            },
            "status": {"readyReplicas": 1, "updatedReplicas": 2},
        },
        ["x", "1/3", 2, 0, AGE, "a,b", "i,j", "a in (x,y),!b,z=1"],
    ),
    (
        "apps",
        "v1",
        "controllerrevisions",
        {
            "metadata": {
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}]
            },
            "revision": 2,
        },
        ["x", "daemonset.apps/d", 2, AGE],
    ),
    (
        "batch",
        "v1",
        "jobs",
        {
            "spec": {"parallelism": 3},
            "status": {
                "succeeded": 1,
                "startTime": "2024-01-01T00:00:00Z",
                "completionTime": "2024-01-01T00:02:30Z",
                "conditions": [{"type": "Complete", "status": "True"}],
            },
        },
        ["x", "Complete", "1/1 of 3", "2m30s", AGE, "", "", "<none>"],
    ),
    (
        "autoscaling",
        "v2",
        "horizontalpodautoscalers",
        {
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                "maxReplicas": 5,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}},
                    {"type": "External", "external": {"target": {"averageValue": "5"}}},
                    {"type": "Pods", "pods": {"target": {"averageValue": "1"}}},
                ],
            },
            "status": {"currentMetrics": [{"resource": {"current": {"averageUtilization": 12}}}]},
        },
        ["x", "Deployment/d", "cpu: 12%/80%, <unknown>/5 (avg) + 1 more...", "<unset>", 5, 0, AGE],
    ),
    (
        "autoscaling",
        "v1",
        "horizontalpodautoscalers",
        {
            "kind": "HorizontalPodAutoscaler",
            "apiVersion": "autoscaling/v1",
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "d"},
                "minReplicas": 2,
                "maxReplicas": 5,
                "targetCPUUtilizationPercentage": 70,
            },
            "status": {"currentReplicas": 3},
        },
        ["x", "Deployment/d", "cpu: <unknown>/70%", "2", 5, 3, AGE],
    ),
    (
        "networking.k8s.io",
        "v1",
        "ingresses",
        {"spec": {"rules": [{"host": h} for h in "abcd"], "tls": [{}]}, "status": {"loadBalancer": {}}},
        ["x", "<none>", "a,b,c + 1 more...", "", "80, 443", AGE],
    ),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "rolebindings",
        {
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [
                {"kind": "User", "name": "u"},
                {"kind": "User", "name": "v"},
                {"kind": "ServiceAccount", "name": "s", "namespace": "n"},
            ],
        },
        ["x", "Role/r", AGE, "u, v", "", "n/s"],
    ),
    (
        "certificates.k8s.io",
        "v1",
        "certificatesigningrequests",
        {
            "spec": {"username": "u", "expirationSeconds": 86400},
            "status": {"conditions": [{"type": "Approved"}], "certificate": "Yw=="},
        },
        ["x", AGE, "<none>", "u", AGE, "Approved,Issued"],
    ),
    (
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicybindings",
        {"spec": {"policyName": "p", "paramRef": {"selector": {"matchLabels": {"a": "b"}}}}},
        [
            "x",
            "p",
            "&LabelSelector{MatchLabels:map[string]string{a: b,},MatchExpressions:[]LabelSelectorRequirement{},}",
            AGE,
        ],
    ),
    (
        "storage.k8s.io",
        "v1",
        "storageclasses",
        {"metadata": {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}, "provisioner": "p"},
        ["x (default)", "p", "Delete", "Immediate", False, AGE],
    ),
    (
        "apiregistration.k8s.io",
        "v1",
        "apiservices",
        {
            "spec": {"service": {"namespace": "n", "name": "s"}},
            "status": {"conditions": [{"type": "Available", "status": "False", "reason": "Gone"}]},
        },
        ["x", "n/s", "False (Gone)", AGE],
    ),
    (
        "resource.k8s.io",
        "v1",
        "resourceclaims",
        {"status": {"allocation": {}, "reservedFor": [{}]}},
        ["x", "allocated,reserved", AGE],
    ),
    ("policy", "v1", "poddisruptionbudgets", {"spec": {"minAvailable": "50%"}}, ["x", "50%", "N/A", 0, AGE]),
    ("rbac.authorization.k8s.io", "v1", "roles", {}, ["x", DAY_AGO]),
]


@pytest.mark.parametrize(("group", "version", "name", "obj", "expected"), CASES, ids=[case[2] for case in CASES])
def test_a_row_shows_what_kubectl_shows(
    group: str, version: str, name: str, obj: dict[str, Any], expected: list[Any]
) -> None:
    assert cells(group, version, name, obj) == expected


@pytest.mark.parametrize("key", [key for key, info in builtin_resources().items() if info.columns], ids="/".join)
def test_every_row_has_a_cell_for_each_column_also_of_an_empty_object(key: tuple[str, str, str]) -> None:
    info = builtin_resources()[key]
    row = cells(*key, {})
    extra = 1 if info.resource == "ipaddresses" else 0
    assert len(row) == len(columns(info)) + extra


def test_scale_has_columns_of_its_own() -> None:
    info = resource("apps", "v1", "deployments")
    assert info is not None
    assert [column["name"] for column in columns(info, kind="Scale")] == ["Name", "Desired", "Available", "Age"]
    scale = {"spec": {"replicas": 3}, "status": {"replicas": 2}}
    assert cells("apps", "v1", "deployments", scale, kind="Scale") == ["x", 3, 2, AGE]


def test_flow_schemas_are_shown_in_matching_order() -> None:
    info = resource("flowcontrol.apiserver.k8s.io", "v1", "flowschemas")
    assert info is not None
    schemas = [
        {"metadata": {"name": name}, "spec": {"matchingPrecedence": precedence}}
        for name, precedence in (("a", 9000), ("c", 1), ("b", 1))
    ]
    made = rows(info, schemas, NOW) or []
    assert [row["object"]["metadata"]["name"] for row in made] == ["b", "c", "a"]


def test_no_objects_are_null_only_in_the_default_table() -> None:
    roles, pods = resource("rbac.authorization.k8s.io", "v1", "roles"), resource("", "v1", "pods")
    assert roles is not None
    assert pods is not None
    assert rows(roles, [], NOW) is None
    assert rows(pods, [], NOW) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "<invalid>"),
        (-1.5, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (599, "9m59s"),
        (600, "10m"),
        (3 * 3600 - 1, "179m"),
        (3 * 3600, "3h"),
        (8 * 3600 - 1, "7h59m"),
        (8 * 3600, "8h"),
        (48 * 3600 - 1, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (8 * 86400, "8d"),
        (2 * 365 * 86400 - 1, "729d"),
        (2 * 365 * 86400, "2y"),
        (3 * 365 * 86400 + 86400, "3y1d"),
        (8 * 365 * 86400 + 86400, "8y"),
    ],
)
def test_durations_keep_the_precision_a_reader_wants(seconds: float, text: str) -> None:
    assert human_duration(seconds) == text
