"""The plugins that are off unless they are named, each by what it lets pass and what it changes."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest
from apiserver_workers.admission.chain import PLUGINS
from apiserver_workers.admission.event_rate_limit import EventRateLimit
from apiserver_workers.admission.node_declared_features import NEEDS
from apiserver_workers.admission.owner_references import newly_blocking
from apiserver_workers.admission.pod_node_selector import parse_selector
from apiserver_workers.admission.pod_toleration_restriction import covers, merged
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.apimachinery.validation import capabilities
from apiserver_workers.registry.context import Context
from apiserver_workers.server.config import ServerConfig

from tests.admission.cluster import ALICE, Cluster, pod, refused, run

Object = dict[str, Any]


@pytest.fixture
def in_cluster_with(config: ServerConfig):
    """Runs a scenario in a cluster that has further plugins; `told` is what they are configured with."""

    def start(scenario, *plugins: str, told: Object | None = None, without: tuple[str, ...] = ()) -> None:
        on = (*config.enable_admission_plugins, *plugins)
        configuration = json.dumps(told or {}).encode()
        changed = replace(
            config,
            enable_admission_plugins=on,
            disable_admission_plugins=without,
            admission_configuration=configuration,
        )
        asyncio.run(run(changed, scenario))

    return start


def test_whatever_is_off_by_default_is_off() -> None:
    off = {plugin.name for plugin, default in PLUGINS if not default}
    assert off == {
        "AlwaysAdmit",
        "AlwaysDeny",
        "AlwaysPullImages",
        "DenyEscalatingExec",
        "DenyExecOnPrivileged",
        "DenyServiceExternalIPs",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "ImagePolicyWebhook",
        "LimitPodHardAntiAffinityTopology",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "NodeRestriction",
        "OwnerReferencesPermissionEnforcement",
        "PodNodeSelector",
        "PodTolerationRestriction",
        "SecurityContextDeny",
    }


def test_images_are_always_pulled(in_cluster_with) -> None:
    async def scenario(cluster: Cluster) -> None:
        made = pod(container={"imagePullPolicy": "Never"}, initContainers=[{"name": "i", "image": "x"}])
        created = await cluster.create("pods", made)
        spec = created["spec"]
        assert {one["imagePullPolicy"] for one in spec["containers"] + spec["initContainers"]} == {"Always"}

    in_cluster_with(scenario, "AlwaysPullImages")


def test_no_service_gets_external_addresses(in_cluster_with) -> None:
    ports = [{"port": 80}]

    async def scenario(cluster: Cluster) -> None:
        await cluster.create("services", {"metadata": {"name": "a"}, "spec": {"ports": ports}})
        spec = {"ports": ports, "externalIPs": ["192.0.2.1"]}
        error = await refused(cluster.create("services", {"metadata": {"name": "b"}, "spec": spec}))
        assert error.message == 'services "b" is forbidden: Use of external IPs is denied by admission control'
        change = {"externalIPs": ["192.0.2.1"], "externalTrafficPolicy": "Cluster"}
        await refused(cluster.update("services", "a", lambda live: {**live, "spec": {**live["spec"], **change}}))

    in_cluster_with(scenario, "DenyServiceExternalIPs")


def test_pods_with_devices_tolerate_the_taint_of_their_nodes(in_cluster_with) -> None:
    async def scenario(cluster: Cluster) -> None:
        requests = {"cpu": "1", "example.com/b": "1", "example.com/a": "2"}
        resources = {"requests": requests, "limits": requests}
        created = await cluster.create("pods", pod(container={"resources": resources}))
        added = [one for one in created["spec"]["tolerations"] if one["key"].startswith("example.com")]
        assert added == [
            {"key": f"example.com/{name}", "operator": "Exists", "effect": "NoSchedule"} for name in ("a", "b")
        ]

    in_cluster_with(scenario, "ExtendedResourceToleration")


def test_hard_anti_affinity_is_about_nodes(in_cluster_with) -> None:
    def keeping_off(key: str) -> Object:
        term = {"topologyKey": key, "labelSelector": {"matchLabels": {"a": "b"}}}
        rules = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
        return pod(key.partition("/")[2], affinity=rules)

    async def scenario(cluster: Cluster) -> None:
        await cluster.create("pods", keeping_off("kubernetes.io/hostname"))
        error = await refused(cluster.create("pods", keeping_off("example.com/zone")))
        assert error.message == (
            'pods "zone" is forbidden: affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey example.com/zone '
            "but only key kubernetes.io/hostname is allowed"
        )

    in_cluster_with(scenario, "LimitPodHardAntiAffinityTopology")


def test_namespaces_are_provided(in_cluster_with) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("configmaps", {"metadata": {"name": "c"}}, namespace="brand-new")
        namespace = await cluster.get("namespaces", "brand-new", "")
        assert namespace["status"]["phase"] == "Active" and namespace["spec"]["finalizers"] == ["kubernetes"]
        dry = cluster.create("configmaps", {"metadata": {"name": "c"}}, namespace="not-at-all", dry_run=True)
        await refused(dry, 404)

    in_cluster_with(scenario, "NamespaceAutoProvision")


def test_namespaces_must_exist(in_cluster_with) -> None:
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("configmaps", {"metadata": {"name": "c"}})
        error = await refused(cluster.create("configmaps", {"metadata": {"name": "c"}}, namespace="nowhere"), 404)
        assert error.message == 'namespaces "nowhere" not found'

    in_cluster_with(scenario, "NamespaceExists", without=("NamespaceLifecycle",))


def test_everything_is_denied(in_cluster_with) -> None:
    async def scenario(cluster: Cluster) -> None:
        pass

    with pytest.raises(Exception, match="admission control is denying all modifications"):
        in_cluster_with(scenario, "AlwaysDeny")


# ---- owners

BOB = UserInfo("bob", "", ("dev",))


def owner(uid: str = "u", *, blocks: bool | None = None, kind: str = "Pod") -> Object:
    found: Object = {"apiVersion": "v1", "kind": kind, "name": "p", "uid": uid}
    return found if blocks is None else {**found, "blockOwnerDeletion": blocks}


@pytest.mark.parametrize(
    ("new", "old", "blocking"),
    [
        ([], [], 0),
        ([owner()], [], 0),
        ([owner(blocks=True)], [], 1),
        ([owner(blocks=True)], [owner(blocks=True)], 0),
        ([owner(blocks=True)], [owner(blocks=False)], 1),
        ([owner(blocks=True)], [owner("other", blocks=True)], 1),
        ([owner(blocks=False)], [owner(blocks=True)], 0),
    ],
)
def test_which_owners_are_newly_blocked(new, old, blocking) -> None:
    assert len(newly_blocking(new, old)) == blocking


async def allow(cluster: Cluster, name: str, *rules: Object, user: UserInfo) -> None:
    group = "rbac.authorization.k8s.io"
    await cluster.create(f"clusterroles.{group}", {"metadata": {"name": name}, "rules": list(rules)})
    ref = {"apiGroup": group, "kind": "ClusterRole", "name": name}
    subjects = [{"apiGroup": group, "kind": "User", "name": user.name}]
    binding = {"metadata": {"name": name}, "roleRef": ref, "subjects": subjects}
    await cluster.create(f"clusterrolebindings.{group}", binding)


def test_owners_are_changed_by_who_may_delete(in_cluster_with) -> None:
    def owned(*owners: Object):
        return lambda live: {**live, "metadata": {**live["metadata"], "ownerReferences": list(owners)}}

    async def scenario(cluster: Cluster) -> None:
        await allow(
            cluster, "deleting", {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["delete"]}, user=BOB
        )
        finalizing = {"apiGroups": [""], "resources": ["pods/finalizers"], "verbs": ["update"]}
        new = {"name": "c", "ownerReferences": [owner()]}
        await cluster.create("configmaps", {"metadata": new}, user=ALICE)
        error = await refused(cluster.update("configmaps", "c", owned(), user=ALICE))
        assert error.message == (
            'configmaps "c" is forbidden: cannot set an ownerRef on a resource you can\'t delete: , <nil>'
        )
        await cluster.update("configmaps", "c", owned(), user=BOB)
        error = await refused(cluster.update("configmaps", "c", owned(owner(blocks=True)), user=BOB))
        assert "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set" in error.message
        error = await refused(cluster.update("configmaps", "c", owned(owner(blocks=True, kind="Nope")), user=BOB))
        assert error.message.endswith('Kind Nope: no matches for kind "Nope" in version "v1"')
        await allow(cluster, "finalizing", finalizing, user=BOB)
        await cluster.update("configmaps", "c", owned(owner(blocks=True)), user=BOB)

    in_cluster_with(scenario, "OwnerReferencesPermissionEnforcement")


# ---- node selectors

SELECTORS = {
    "podNodeSelectorPluginConfig": {"clusterDefaultNodeSelector": "zone=a", "ns": "zone=a,env=test,disk=ssd"},
}


@pytest.mark.parametrize(
    ("text", "labels"), [("", {}), ("a=b", {"a": "b"}), ("a=b, c = d", {"a": "b", "c": "d"}), ("a=", {"a": ""})]
)
def test_a_node_selector_is_a_list_of_labels(text, labels) -> None:
    assert parse_selector(text) == labels


@pytest.mark.parametrize("text", ["a", "a=b=c", "a in (b)"])
def test_what_is_no_node_selector_is_refused(text) -> None:
    with pytest.raises(ValueError, match="invalid selector: "):
        parse_selector(text)


def test_pods_get_the_selector_of_their_namespace(in_cluster_with) -> None:
    async def scenario(cluster: Cluster) -> None:
        created = await cluster.create("pods", pod(nodeSelector={"disk": "ssd"}))
        assert created["spec"]["nodeSelector"] == {"zone": "a", "disk": "ssd"}
        error = await refused(cluster.create("pods", pod("q", nodeSelector={"zone": "b"})))
        assert error.message == (
            'pods "q" is forbidden: pod node label selector conflicts with its namespace node label selector'
        )
        error = await refused(cluster.create("pods", pod("q", nodeSelector={"env": "other"})))
        assert (
            error.message
            == 'pods "q" is forbidden: pod node label selector labels conflict with its namespace whitelist'
        )
        annotations = {"scheduler.alpha.kubernetes.io/node-selector": "env=test"}
        await cluster.update("namespaces", "ns", annotated(annotations))
        created = await cluster.create("pods", pod("q"))
        assert created["spec"]["nodeSelector"] == {"env": "test"}

    in_cluster_with(scenario, "PodNodeSelector", told={"PodNodeSelector": SELECTORS})


def annotated(annotations: dict[str, str]):
    return lambda live: {**live, "metadata": {**live["metadata"], "annotations": annotations}}


# ---- tolerations


def toleration(
    key: str = "", operator: str = "", value: str = "", effect: str = "", seconds: int | None = None
) -> Object:
    fields = {"key": key, "operator": operator, "value": value, "effect": effect, "tolerationSeconds": seconds}
    return {name: field for name, field in fields.items() if field not in ("", None)}


COVERS = [
    (toleration(operator="Exists"), toleration("k", "Equal", "v", "NoSchedule"), True),
    (toleration("k", "Exists"), toleration("k", "Equal", "v", "NoSchedule"), True),
    (toleration("k", "Exists"), toleration("other", "Equal", "v"), False),
    (toleration("k", "Exists", effect="NoSchedule"), toleration("k", "Exists"), False),
    (toleration("k", "Equal", "v"), toleration("k", "Equal", "v", "NoSchedule"), True),
    (toleration("k", "Equal", "v"), toleration("k", "Equal", "w"), False),
    (toleration("k", "Equal", "v"), toleration("k", "Exists"), False),
    (toleration("k", "", "v"), toleration("k", "Equal", "v"), True),
    (toleration("k", "Exists", effect="NoExecute", seconds=10), toleration("k", "Exists", effect="NoExecute"), False),
    (
        toleration("k", "Exists", effect="NoExecute", seconds=10),
        toleration("k", "Exists", effect="NoExecute", seconds=5),
        True,
    ),
    (
        toleration("k", "Exists", effect="NoExecute", seconds=10),
        toleration("k", "Exists", effect="NoExecute", seconds=20),
        False,
    ),
]


@pytest.mark.parametrize(("wide", "narrow", "expected"), COVERS)
def test_which_toleration_covers_another(wide, narrow, expected) -> None:
    assert covers(wide, narrow) is expected
    assert covers(wide, wide)


def test_tolerations_that_others_cover_are_dropped() -> None:
    everything, one, other = toleration(operator="Exists"), toleration("k", "Exists"), toleration("l", "Exists")
    assert merged([one, other], [one]) == [one, other]
    assert merged([one], [everything]) == [everything]
    assert merged([everything], [one, other]) == [everything]


def test_pods_tolerate_what_their_namespace_says(in_cluster_with) -> None:
    told = {
        "apiVersion": "podtolerationrestriction.admission.k8s.io/v1alpha1",
        "kind": "Configuration",
        "default": [toleration("cluster", "Exists")],
        "whitelist": [toleration("cluster", "Exists"), toleration("own", "Exists"), toleration(operator="Exists", effect="NoExecute")],
    }  # fmt: skip
    prefix = "scheduler.alpha.kubernetes.io"

    async def scenario(cluster: Cluster) -> None:
        created = await cluster.create("pods", pod())
        assert toleration("cluster", "Exists") in created["spec"]["tolerations"]
        error = await refused(cluster.create("pods", pod("q", tolerations=[toleration("no", "Exists")])), 500)
        assert error.message.endswith("conflict with its cluster whitelist")
        annotations = {
            f"{prefix}/defaultTolerations": json.dumps([toleration("mine", "Exists")]),
            f"{prefix}/tolerationsWhitelist": json.dumps([toleration("mine", "Exists"), {"operator": "Exists", "effect": "NoExecute"}]),
        }  # fmt: skip
        await cluster.update("namespaces", "ns", annotated(annotations))
        created = await cluster.create("pods", pod("r"))
        assert toleration("mine", "Exists") in created["spec"]["tolerations"]
        error = await refused(cluster.create("pods", pod("q", tolerations=[toleration("own", "Exists")])), 500)
        assert error.message.endswith("conflict with its namespace whitelist")
        for text in ("{", '{"a": 1}', '[{"key": 1}]'):
            await cluster.update("namespaces", "ns", annotated({f"{prefix}/defaultTolerations": text}))
            await refused(cluster.create("pods", pod("q")), 500)

    in_cluster_with(scenario, "PodTolerationRestriction", told={"PodTolerationRestriction": told})


# ---- events


def limits(*entries: Object) -> Object:
    return {"apiVersion": "eventratelimit.admission.k8s.io/v1alpha1", "kind": "Configuration", "limits": list(entries)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, 'limits: Invalid value: []: must not be empty'),
        (limits(), "limits: Invalid value: []: must not be empty"),
        (limits({"type": "Server", "qps": 0, "burst": 1}), "limits[0].qps: Invalid value: 0: must be positive"),
        (limits({"type": "Nope", "qps": 1, "burst": 1}), 'limits[0].type: Unsupported value: "Nope"'),
        (limits({"type": "User", "qps": 1, "burst": 1, "cacheSize": -1}), "must not be negative"),
        ({"kind": "Configuration"}, "expected kind Configuration of eventratelimit.admission.k8s.io/v1alpha1"),
        (limits({"type": "User", "kps": 1}), 'strict decoding error: unknown field "limits[0].kps"'),
    ],
)  # fmt: skip
def test_limits_that_make_no_sense_are_refused(given, message) -> None:
    with pytest.raises(ValueError) as caught:
        EventRateLimit.configured(given)
    assert message in str(caught.value)


def event(name: str, about: str = "p") -> Object:
    return {
        "metadata": {"name": name},
        "involvedObject": {"kind": "Pod", "namespace": "ns", "name": about},
        "source": {"component": "test"},
    }


def test_events_are_limited_by_what_they_are_counted_by(in_cluster_with) -> None:
    told = limits({"type": "SourceAndObject", "qps": 1, "burst": 2}, {"type": "User", "qps": 1, "burst": 6})

    async def scenario(cluster: Cluster) -> None:
        for number in range(2):
            await cluster.create("events", event(f"e{number}"))
        error = await refused(cluster.create("events", event("e2")), 429)
        key = "testPodnsp"
        assert error.message == f"Too many requests: limit reached on type SourceAndObject for key {key}"
        await cluster.create("events", event("e2"), dry_run=True)
        await cluster.create("events", event("other", "q"))

    in_cluster_with(scenario, "EventRateLimit", told={"EventRateLimit": told})


# ---- quotas of everybody, node features


def test_limited_resources_need_a_quota(in_cluster_with) -> None:
    told = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "ResourceQuotaConfiguration",
        "limitedResources": [{"resource": "configmaps", "matchContains": ["count/configmaps"]}],
    }

    async def scenario(cluster: Cluster) -> None:
        error = await refused(cluster.create("configmaps", {"metadata": {"name": "c"}}))
        assert error.message == 'configmaps "c" is forbidden: insufficient quota to consume: count/configmaps'
        hard = {"count/configmaps": "5"}
        await cluster.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": hard}})
        status = {"hard": hard, "used": {"count/configmaps": "0"}}
        await cluster.update("resourcequotas", "q", lambda live: {**live, "status": status}, subresource="status")
        await cluster.create("configmaps", {"metadata": {"name": "c"}})
        await cluster.create("secrets", {"metadata": {"name": "s"}})

    in_cluster_with(scenario, "ResourceQuota", told={"ResourceQuota": told})


@pytest.mark.parametrize(
    ("new", "old", "needed"),
    [
        ({}, {}, []),
        ({"resources": {"limits": {"cpu": "2"}}}, {}, ["InPlacePodLevelResourcesVerticalScaling"]),
        (
            {"initContainers": [{"resources": {"limits": {"cpu": "2"}}}]},
            {"initContainers": [{}]},
            ["InPlacePodVerticalScalingInitContainers"],
        ),
        (
            {"initContainers": [{"restartPolicy": "Always", "resources": {"limits": {"cpu": "2"}}}]},
            {"initContainers": [{"restartPolicy": "Always"}]},
            [],
        ),
    ],
)
def test_what_an_update_needs_of_its_node(new, old, needed) -> None:
    assert [name for name, needs in NEEDS.items() if needs(new, old)] == needed


# ---- of 1.12


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ({"securityContext": {"runAsUser": 0}}, "pod.Spec.SecurityContext.RunAsUser"),
        ({"securityContext": {"fsGroup": 1}}, "pod.Spec.SecurityContext.FSGroup"),
        ({"container": {"securityContext": {"seLinuxOptions": {"level": "s0"}}}}, "SecurityContext.SELinuxOptions"),
        ({"container": {"securityContext": {"runAsUser": 7}}}, "SecurityContext.RunAsUser"),
    ],
)
def test_security_contexts_are_denied(in_cluster_with, parts, why) -> None:
    async def scenario(cluster: Cluster) -> None:
        error = await refused(cluster.create("pods", pod(**parts)))
        assert error.message == f'pods "p" is forbidden: {why} is forbidden'
        await cluster.create("pods", pod("q", securityContext={"runAsNonRoot": True}))

    in_cluster_with(scenario, "SecurityContextDeny")


def test_nobody_gets_into_pods_that_could_escalate(in_cluster_with, monkeypatch) -> None:
    privileged = {"securityContext": {"privileged": True}}
    monkeypatch.setattr(capabilities, "_permitted", {capabilities.PRIVILEGED})

    async def connect(cluster: Cluster, name: str) -> None:
        store = cluster.store("pods")
        options = {"kind": "PodExecOptions", "apiVersion": "v1"}
        attributes = store.attributes("CONNECT", Context(ALICE, "ns", name, "exec"), options, None)
        await cluster.backend.registry.admission.validate(attributes)

    async def scenario(cluster: Cluster) -> None:
        await cluster.create("pods", pod("plain"))
        await cluster.create("pods", pod("pid", hostPID=True))
        await cluster.create("pods", pod("mighty", container=privileged))
        await connect(cluster, "plain")
        await connect(cluster, "absent")
        error = await refused(connect(cluster, "pid"))
        assert error.message.endswith("cannot exec into or attach to a container using host pid")
        error = await refused(connect(cluster, "mighty"))
        assert error.message.endswith("cannot exec into or attach to a privileged container")

    in_cluster_with(scenario, "DenyEscalatingExec")
