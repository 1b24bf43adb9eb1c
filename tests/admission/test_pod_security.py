"""PodSecurity: levels, versions, warnings, and every check's words."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.admission.pod_security.evaluation import details, evaluate
from apiserver_workers.admission.pod_security.levels import (
    BASELINE,
    LATEST,
    PRIVILEGED,
    RESTRICTED,
    LevelVersion,
    policy_of,
)

from tests.admission.cluster import NAMESPACE, Cluster, pod, refused

PREFIX = "pod-security.kubernetes.io/"
HARDENED: dict[str, Any] = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "container": {"securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}},
}


def found(level: str, minor: int = LATEST, annotations: dict[str, str] | None = None, **parts: Any) -> str:
    """What a level says of a pod."""
    made = pod(**parts)
    return details(evaluate(LevelVersion(level, minor), {"annotations": annotations or {}}, made["spec"]))


def in_container(**context: Any) -> dict[str, Any]:
    return {"container": {"securityContext": context}}


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"hostPID": True, "hostNetwork": True}, "host namespaces (hostNetwork=true, hostPID=true)"),
        (in_container(privileged=True), 'privileged (container "c" must not set securityContext.privileged=true)'),
        (
            in_container(capabilities={"add": ["NET_ADMIN", "CHOWN"]}),
            'non-default capabilities (container "c" must not include "NET_ADMIN" in securityContext.capabilities.add)',
        ),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "v")'),
        (
            {"container": {"ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 443}]}},
            'hostPort (container "c" uses hostPorts 443, 80)',
        ),
        (
            {"container": {"livenessProbe": {"httpGet": {"host": "h", "port": 1}}}},
            'probe or lifecycle host (container "c" uses probe or lifecycle host "h")',
        ),
        (
            {"securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
            'forbidden AppArmor profile (pod must not set AppArmor profile type to "Unconfined")',
        ),
        (
            in_container(seLinuxOptions={"type": "x", "user": "u"}),
            'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type "x"; user may not be set)',
        ),
        (
            in_container(procMount="Unmasked"),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
    ],
)
def test_the_baseline_forbids(parts, expected):
    assert found(BASELINE, **parts) == expected
    assert found(PRIVILEGED, **parts) == ""


def test_an_ordinary_pod_is_within_the_baseline():
    assert found(BASELINE) == ""


def test_restricted_wants_hardening():
    assert found(RESTRICTED) == (
        'allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), '
        'unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), '
        'runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), '
        'seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
        '"Localhost")'
    )
    assert found(RESTRICTED, **HARDENED) == ""


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (
            {"volumes": [{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "nfs": {"server": "s", "path": "/"}}]},
            'restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")',
        ),
        (
            {"securityContext": {**HARDENED["securityContext"], "runAsUser": 0}},
            "runAsUser=0 (pod must not set runAsUser=0)",
        ),
        (
            {"securityContext": {**HARDENED["securityContext"], "runAsNonRoot": False}},
            "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
        ),
    ],
)
def test_restricted_forbids(parts, expected):
    assert found(RESTRICTED, **{**HARDENED, **parts}) == expected


def test_a_level_is_that_of_its_version():
    sysctl = {"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem", "value": "1"}]}}
    assert found(BASELINE, 31, **sysctl) == "forbidden sysctls (net.ipv4.tcp_rmem)"
    assert found(BASELINE, 32, **sysctl) == ""
    probe = {"container": {"livenessProbe": {"tcpSocket": {"host": "h", "port": 1}}}}
    assert found(BASELINE, 33, **probe) == ""
    old = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    expected = 'seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")'
    assert found(BASELINE, 18, old) == expected
    assert found(BASELINE, 19, old) == ""


def test_users_of_their_own_make_root_harmless():
    parts = {
        **HARDENED,
        "hostUsers": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "runAsUser": 0},
    }
    assert found(RESTRICTED, **parts) == ""
    assert "runAsUser=0" in found(RESTRICTED, 34, **parts)


def test_labels_make_the_policy():
    policy, faults = policy_of({f"{PREFIX}enforce": "baseline", f"{PREFIX}warn-version": "v1.25"})
    assert not faults
    assert (str(policy.enforce), str(policy.audit), str(policy.warn)) == (
        "baseline:latest",
        "privileged:latest",
        "baseline:v1.25",
    )


def test_labels_that_do_not_parse_enforce_the_strictest():
    policy, faults = policy_of({f"{PREFIX}enforce": "x", f"{PREFIX}audit": "x", f"{PREFIX}warn-version": "1.25"})
    assert (policy.enforce.level, policy.audit.level) == (RESTRICTED, PRIVILEGED)
    assert [fault.field for fault in faults] == [
        f"metadata.labels[{PREFIX}{label}]" for label in ("enforce", "audit", "warn-version")
    ]


async def label(cluster: Cluster, **labels: str) -> None:
    named = {PREFIX + mode.replace("_", "-"): value for mode, value in labels.items()}

    def labelled(live: dict[str, Any]) -> dict[str, Any]:
        return {**live, "metadata": {**live["metadata"], "labels": named}}

    await cluster.update("namespaces", NAMESPACE, labelled)


def test_a_pod_is_refused_a_deployment_only_warned_of(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await label(cluster, enforce="baseline", warn="baseline")
        error = await refused(cluster.create("pods", pod(hostPID=True)))
        why = 'violates PodSecurity "baseline:latest": host namespaces (hostPID=true)'
        assert error.message == f'pods "p" is forbidden: {why}'
        template = {"metadata": {"labels": {"a": "b"}}, "spec": pod(hostPID=True)["spec"]}
        spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
        await cluster.create("deployments.apps", {"metadata": {"name": "d"}, "spec": spec})
        assert cluster.warnings == [f"would {why.replace('violates', 'violate')}"]

    in_cluster(scenario)


def test_a_stricter_level_warns_of_the_pods_that_are_there(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        for name in ("a", "b", "c"):
            await cluster.create("pods", pod(name, hostPID=True))
        await label(cluster, enforce="baseline")
        assert cluster.warnings == [
            'existing pods in namespace "ns" violate the new PodSecurity enforce level "baseline:latest"',
            "a (and 2 other pods): host namespaces",
        ]
        await label(cluster, enforce="privileged")
        assert cluster.warnings == []

    in_cluster(scenario)


def test_labels_are_validated_when_they_change(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        error = await refused(label(cluster, enforce="x"), 422)
        assert error.message == (
            f'Namespace "ns" is invalid: metadata.labels[{PREFIX}enforce]: Invalid value: "x": '
            "must be one of privileged, baseline, restricted"
        )

    in_cluster(scenario)
