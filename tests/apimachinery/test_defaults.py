"""What an object gets that says nothing: group, version and kind, what was sent, what must be there then."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from apiserver_workers.apimachinery.codec.normal import normalise
from apiserver_workers.apimachinery.defaults import set_defaults
from apiserver_workers.apimachinery.defaults.images import pull_policy
from apiserver_workers.apimachinery.types import model

POD_SPEC = {
    "dnsPolicy": "ClusterFirst",
    "restartPolicy": "Always",
    "securityContext": {},
    "terminationGracePeriodSeconds": 30,
    "schedulerName": "default-scheduler",
}
CONTAINER = {
    "imagePullPolicy": "Always",
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
PROBE = {"timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3}


def defaulted(group: str, version: str, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
    obj = normalise(model().kind(group, version, kind), copy.deepcopy(obj))
    set_defaults(group, version, kind, obj)
    return obj


def assert_within(expected: Any, actual: Any, path: str = "") -> None:
    """Every field expected is there with its value; lists have the same length."""
    if isinstance(expected, dict):
        for key, value in expected.items():
            assert key in actual, f"{path}.{key} is missing"
            assert_within(value, actual[key], f"{path}.{key}")
    elif isinstance(expected, list):
        assert len(expected) == len(actual), path
        for index, (one, other) in enumerate(zip(expected, actual, strict=True)):
            assert_within(one, other, f"{path}[{index}]")
    else:
        assert (actual, type(actual)) == (expected, type(expected)), path


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


CASES: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("", "v1", "Pod", pod(), {"spec": {**POD_SPEC, "enableServiceLinks": True, "containers": [CONTAINER]}}),
    (
        "",
        "v1",
        "Pod",
        pod(dnsPolicy="None", enableServiceLinks=False),
        {"spec": {"dnsPolicy": "None", "enableServiceLinks": False}},
    ),
    (
        "",
        "v1",
        "Pod",
        pod(
            containers=[
                {"name": "c", "resources": {"limits": {"cpu": "1500u", "memory": "1Gi"}, "requests": {"memory": "1Mi"}}}
            ]
        ),
        {
            "spec": {
                "containers": [{"resources": {"limits": {"cpu": "2m"}, "requests": {"cpu": "2m", "memory": "1Mi"}}}]
            }
        },
    ),
    (
        "",
        "v1",
        "Pod",
        pod(hostNetwork=True, containers=[{"name": "c", "ports": [{"containerPort": 80}]}]),
        {"spec": {"containers": [{"ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}]}]}},
    ),
    (
        "",
        "v1",
        "Pod",
        pod(
            containers=[
                {
                    "name": "c",
                    "livenessProbe": {"httpGet": {"port": 1}},
                    "readinessProbe": {"grpc": {"port": 1}, "periodSeconds": 5},
                    "lifecycle": {"preStop": {"httpGet": {"port": 1}}},
                    "env": [{"name": "n", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                }
            ]
        ),
        {
            "spec": {
                "containers": [
                    {
                        "livenessProbe": {**PROBE, "httpGet": {"path": "/", "scheme": "HTTP"}},
                        "readinessProbe": {**PROBE, "periodSeconds": 5, "grpc": {"service": ""}},
                        "lifecycle": {"preStop": {"httpGet": {"path": "/", "scheme": "HTTP"}}},
                        "env": [{"valueFrom": {"fieldRef": {"apiVersion": "v1"}}}],
                    }
                ]
            }
        },
    ),
    (
        "",
        "v1",
        "Pod",
        pod(
            volumes=[
                {"name": "none"},
                {"name": "s", "secret": {"secretName": "s"}},
                {"name": "h", "hostPath": {"path": "/"}},
                {"name": "r", "rbd": {"monitors": ["m"], "image": "i", "user": "u"}},
                {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
                {"name": "d", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.name"}}]}},
                {"name": "e", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
                {"name": "i", "image": {"reference": "a:1"}},
            ]
        ),
        {
            "spec": {
                "volumes": [
                    {"emptyDir": {}},
                    {"secret": {"defaultMode": 420}},
                    {"hostPath": {"type": ""}},
                    {"rbd": {"pool": "rbd", "user": "u", "keyring": "/etc/ceph/keyring"}},
                    {
                        "projected": {
                            "defaultMode": 420,
                            "sources": [{"serviceAccountToken": {"expirationSeconds": 3600}}],
                        }
                    },
                    {"downwardAPI": {"defaultMode": 420, "items": [{"fieldRef": {"apiVersion": "v1"}}]}},
                    {"ephemeral": {"volumeClaimTemplate": {"spec": {"volumeMode": "Filesystem"}}}},
                    {"image": {"pullPolicy": "IfNotPresent"}},
                ]
            }
        },
    ),
    (
        "",
        "v1",
        "Pod",
        {
            "spec": {
                "resources": {"limits": {"cpu": "4", "memory": "2Gi"}},
                "containers": [
                    {"name": "a", "resources": {"requests": {"cpu": "500m"}}},
                    {"name": "b", "resources": {"requests": {"cpu": "500m"}}},
                ],
                "initContainers": [
                    {"name": "s", "restartPolicy": "Always", "resources": {"requests": {"cpu": "250m"}}},
                    {"name": "i", "resources": {"requests": {"cpu": "2"}}},
                ],
            }
        },
        {"spec": {"resources": {"requests": {"cpu": "2250m", "memory": "2Gi"}}}},
    ),
    (
        "",
        "v1",
        "Service",
        {"spec": {"ports": [{"port": 80}]}},
        {
            "spec": {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster",
                "ports": [{"protocol": "TCP", "targetPort": 80}],
            }
        },
    ),
    (
        "",
        "v1",
        "Service",
        {"spec": {"type": "LoadBalancer", "sessionAffinity": "ClientIP"}},
        {
            "spec": {
                "externalTrafficPolicy": "Cluster",
                "allocateLoadBalancerNodePorts": True,
                "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
            }
        },
    ),
    (
        "",
        "v1",
        "Namespace",
        {"metadata": {"name": "n"}},
        {
            "metadata": {"labels": {"kubernetes.io/metadata.name": "n"}},
            "status": {"phase": "Active"},
        },
    ),
    ("", "v1", "Secret", {}, {"type": "Opaque"}),
    ("", "v1", "Node", {"status": {"capacity": {"cpu": "1"}}}, {"status": {"allocatable": {"cpu": "1"}}}),
    (
        "",
        "v1",
        "LimitRange",
        {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}]}},
        {"spec": {"limits": [{"default": {"cpu": "2"}, "defaultRequest": {"cpu": "2", "memory": "1Mi"}}]}},
    ),
    (
        "",
        "v1",
        "PersistentVolume",
        {"spec": {"hostPath": {"path": "/"}}},
        {
            "spec": {"persistentVolumeReclaimPolicy": "Retain", "volumeMode": "Filesystem", "hostPath": {"type": ""}},
            "status": {"phase": "Pending"},
        },
    ),
    (
        "",
        "v1",
        "ReplicationController",
        {"spec": {"template": {"metadata": {"labels": {"a": "b"}}, "spec": {}}}},
        {
            "metadata": {"labels": {"a": "b"}},
            "spec": {"replicas": 1, "selector": {"a": "b"}, "template": {"spec": POD_SPEC}},
        },
    ),
    ("", "v1", "Endpoints", {"subsets": [{"ports": [{"port": 1}]}]}, {"subsets": [{"ports": [{"protocol": "TCP"}]}]}),
    (
        "apps",
        "v1",
        "Deployment",
        {"spec": {"replicas": 0}},
        {
            "spec": {
                "replicas": 0,
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
                "template": {"spec": POD_SPEC},
            }
        },
    ),
    (
        "apps",
        "v1",
        "StatefulSet",
        {"spec": {"volumeClaimTemplates": [{"metadata": {"name": "v"}}]}},
        {
            "spec": {
                "podManagementPolicy": "OrderedReady",
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
                "volumeClaimTemplates": [
                    {
                        "kind": "PersistentVolumeClaim",
                        "apiVersion": "v1",
                        "spec": {"volumeMode": "Filesystem"},
                        "status": {"phase": "Pending"},
                    }
                ],
            }
        },
    ),
    (
        "apps",
        "v1",
        "DaemonSet",
        {},
        {"spec": {"updateStrategy": {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}}},
    ),
    (
        "batch",
        "v1",
        "Job",
        {
            "spec": {
                "backoffLimitPerIndex": 1,
                "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "t"}]}]},
            }
        },
        {
            "spec": {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 2147483647,
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": {"rules": [{"onPodConditions": [{"status": "True"}]}]},
            }
        },
    ),
    ("batch", "v1", "Job", {"spec": {"parallelism": 3}}, {"spec": {"backoffLimit": 6, "suspend": False}}),
    ("batch", "v1", "CronJob", {}, {"spec": {"concurrencyPolicy": "Allow", "successfulJobsHistoryLimit": 3}}),
    (
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        {"spec": {"behavior": {"scaleDown": {"selectPolicy": "Min"}}}},
        {
            "spec": {
                "minReplicas": 1,
                "metrics": [{"resource": {"name": "cpu", "target": {"averageUtilization": 80}}}],
                "behavior": {
                    "scaleUp": {
                        "stabilizationWindowSeconds": 0,
                        "selectPolicy": "Max",
                        "policies": [
                            {"type": "Pods", "value": 4, "periodSeconds": 15},
                            {"type": "Percent", "value": 100, "periodSeconds": 15},
                        ],
                    },
                    "scaleDown": {"selectPolicy": "Min", "policies": [{"type": "Percent", "value": 100}]},
                },
            }
        },
    ),
    (
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        {"spec": {"egress": [{"ports": [{"port": 1}]}]}},
        {"spec": {"policyTypes": ["Ingress", "Egress"], "egress": [{"ports": [{"protocol": "TCP"}]}]}},
    ),
    ("networking.k8s.io", "v1", "NetworkPolicy", {}, {"spec": {"policyTypes": ["Ingress"]}}),
    (
        "rbac.authorization.k8s.io",
        "v1",
        "RoleBinding",
        {
            "roleRef": {"kind": "Role", "name": "r"},
            "subjects": [{"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "name": "s"}],
        },
        {
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io"}, {}],
        },
    ),
    (
        "storage.k8s.io",
        "v1",
        "CSIDriver",
        {},
        {
            "spec": {
                "attachRequired": True,
                "fsGroupPolicy": "ReadWriteOnceWithFSType",
                "volumeLifecycleModes": ["Persistent"],
            }
        },
    ),
    ("storage.k8s.io", "v1", "StorageClass", {}, {"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
    (
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        {"webhooks": [{"name": "w", "rules": [{}], "clientConfig": {"service": {"name": "s"}}}]},
        {
            "webhooks": [
                {
                    "failurePolicy": "Fail",
                    "matchPolicy": "Equivalent",
                    "namespaceSelector": {},
                    "timeoutSeconds": 10,
                    "reinvocationPolicy": "Never",
                    "rules": [{"scope": "*"}],
                    "clientConfig": {"service": {"port": 443}},
                }
            ]
        },
    ),
    (
        "resource.k8s.io",
        "v1",
        "ResourceClaim",
        {
            "spec": {
                "devices": {
                    "requests": [
                        {"name": "r", "exactly": {"tolerations": [{"key": "k"}]}},
                        {"name": "a", "firstAvailable": [{"name": "s", "allocationMode": "All"}]},
                    ]
                }
            }
        },
        {
            "spec": {
                "devices": {
                    "requests": [
                        {
                            "exactly": {
                                "allocationMode": "ExactCount",
                                "count": 1,
                                "tolerations": [{"operator": "Equal"}],
                            }
                        },
                        {"firstAvailable": [{"allocationMode": "All"}]},
                    ]
                }
            }
        },
    ),
    (
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        {"spec": {"names": {"kind": "Widget", "plural": "widgets"}, "versions": [{"name": "v1", "storage": True}]}},
        {
            "spec": {"names": {"singular": "widget", "listKind": "WidgetList"}, "conversion": {"strategy": "None"}},
            "status": {"storedVersions": ["v1"]},
        },
    ),
    ("authentication.k8s.io", "v1", "TokenRequest", {}, {"spec": {"expirationSeconds": 3600}}),
]


@pytest.mark.parametrize(
    ("group", "version", "kind", "sent", "expected"), CASES, ids=[f"{case[2]}-{i}" for i, case in enumerate(CASES)]
)
def test_missing_fields_get_their_defaults(
    group: str, version: str, kind: str, sent: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert_within(expected, defaulted(group, version, kind, sent))


@pytest.mark.parametrize(
    ("group", "version", "kind", "sent"), [case[:4] for case in CASES], ids=[f"{c[2]}-{i}" for i, c in enumerate(CASES)]
)
def test_defaulting_twice_changes_nothing(group: str, version: str, kind: str, sent: dict[str, Any]) -> None:
    once = defaulted(group, version, kind, sent)
    twice = copy.deepcopy(once)
    set_defaults(group, version, kind, twice)
    assert twice == once


def test_templates_do_not_get_what_only_pods_get() -> None:
    spec = {"containers": [{"name": "c", "resources": {"limits": {"cpu": "1"}}}]}
    template = defaulted("apps", "v1", "Deployment", {"spec": {"template": {"spec": spec}}})["spec"]["template"]["spec"]
    assert "enableServiceLinks" not in template
    assert "requests" not in template["containers"][0]["resources"]


def test_a_nameless_namespace_gets_no_label() -> None:
    assert "labels" not in defaulted("", "v1", "Namespace", {"metadata": {"generateName": "n-"}})["metadata"]


def test_affinity_config_goes_away_without_affinity() -> None:
    spec = {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 1}}}
    assert "sessionAffinityConfig" not in defaulted("", "v1", "Service", {"spec": spec})["spec"]


def test_defaulted_objects_share_no_values() -> None:
    one, other = (defaulted("storage.k8s.io", "v1", "CSIDriver", {}) for _ in range(2))
    one["spec"]["volumeLifecycleModes"].append("Ephemeral")
    assert other["spec"]["volumeLifecycleModes"] == ["Persistent"]


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        (f"nginx@sha256:{'a' * 64}", "IfNotPresent"),
        (f"nginx:latest@sha256:{'a' * 64}", "Always"),
        ("Not/Valid", "IfNotPresent"),
        ("", "IfNotPresent"),
        ("a" * 64, "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


@pytest.mark.parametrize("given", ["serviceAccountName", "serviceAccount"])
def test_a_service_account_has_its_old_name_too(given: str) -> None:
    obj: dict[str, Any] = {"metadata": {}, "spec": {given: "robot", "containers": []}}
    set_defaults("", "v1", "Pod", obj)
    assert obj["spec"]["serviceAccountName"] == obj["spec"]["serviceAccount"] == "robot"
