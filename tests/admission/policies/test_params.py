"""Parameters of policies: by name and by selector, in which namespace, and what happens without them."""

from __future__ import annotations

import asyncio

import pytest
from apiserver_workers.admission.initializer import ForeignResource

from tests.admission.cluster import Cluster
from tests.admission.policies.installed import config_map, outcome, rule, validating

CONFIG_MAP = {"apiVersion": "v1", "kind": "ConfigMap"}
SECRETS = {"resources": ["secrets"]}
DENIED = "ValidatingAdmissionPolicy 'policy' with binding 'policy' denied request: "
NOT_FOUND = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
SECRET = {"metadata": {"name": "s"}, "stringData": {"a": "1"}}


async def limited(cluster: Cluster, ref: dict | None, expression: str, kind: dict | None = None, **spec) -> str:
    """What the creation of a secret comes to by a policy with such a binding."""
    binding = {} if ref is None else {"paramRef": ref}
    rules = [rule(["CREATE"], **SECRETS)]
    await validating(cluster, expression, rules=rules, paramKind=kind or CONFIG_MAP, binding=binding, **spec)
    return await outcome(cluster, SECRET, "secrets")


@pytest.mark.parametrize(
    ("ref", "expression", "why"),
    [
        ({"name": "one", "parameterNotFoundAction": "Deny"}, "params.data.limit == '1'", ""),
        ({"name": "one", "parameterNotFoundAction": "Deny"}, "params.kind == 'ConfigMap'", ""),
        ({"name": "one", "parameterNotFoundAction": "Deny"}, "params.data.limit == '2'", "failed expression"),
        ({"name": "far", "namespace": "other", "parameterNotFoundAction": "Deny"}, "params.data.limit == '9'", ""),
        ({"name": "far", "parameterNotFoundAction": "Deny"}, "true", NOT_FOUND),
        ({"name": "far", "parameterNotFoundAction": "Allow"}, "false", ""),
        (
            {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"},
            "params.data.limit in ['1', '2']",
            "",
        ),
        (
            {"selector": {"matchLabels": {"a": "b"}}, "parameterNotFoundAction": "Deny"},
            "params.data.limit == '1'",
            "failed",
        ),
        ({"selector": {"matchLabels": {"a": "c"}}, "parameterNotFoundAction": "Deny"}, "true", NOT_FOUND),
        ({"selector": {"matchLabels": {"a": "c"}}, "parameterNotFoundAction": "Allow"}, "false", ""),
        ({"selector": {}, "parameterNotFoundAction": "Deny"}, "has(params.data)", ""),
        (None, "params == null", ""),
    ],
)
def test_parameters_in_a_namespace(in_cluster, ref, expression, why):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("namespaces", {"metadata": {"name": "other"}}, namespace="")
        await cluster.create("configmaps", config_map("one", metadata={"labels": {"a": "b"}}, limit="1"))
        await cluster.create("configmaps", config_map("two", metadata={"labels": {"a": "b"}}, limit="2"))
        await cluster.create("configmaps", config_map("far", limit="9"), namespace="other")
        message = await limited(cluster, ref, expression)
        assert message == "" if not why else DENIED + why in message

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("ref", "why"),
    [
        ({"name": "ns", "parameterNotFoundAction": "Deny"}, ""),
        (
            {"name": "ns", "namespace": "ns", "parameterNotFoundAction": "Deny"},
            "failed to configure binding: paramRef.namespace must not be provided for a cluster-scoped `paramKind`",
        ),
    ],
)
def test_parameters_in_no_namespace(in_cluster, ref, why):
    async def scenario(cluster: Cluster) -> None:
        kind = {"apiVersion": "v1", "kind": "Namespace"}
        message = await limited(cluster, ref, "params.status.phase == 'Active'", kind)
        assert message == "" if not why else message.endswith(why)

    in_cluster(scenario)


def test_what_is_in_no_namespace_needs_one_for_its_parameters(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        rules = [rule(["CREATE"], apiGroups=["storage.k8s.io"], resources=["storageclasses"])]
        binding = {"paramRef": {"name": "one", "parameterNotFoundAction": "Deny"}}
        await validating(cluster, "true", rules=rules, paramKind=CONFIG_MAP, binding=binding)
        obj = {"metadata": {"name": "c"}, "provisioner": "p"}
        message = await outcome(cluster, obj, "storageclasses.storage.k8s.io")
        why = "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
        assert message.endswith(f"failed to configure binding: {why}")

    in_cluster(scenario)


def test_parameters_are_seen_in_the_version_of_the_policy(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}, "maxReplicas": 3}
        hpa = {"metadata": {"name": "h"}, "spec": {**spec, "metrics": []}}
        await cluster.create("horizontalpodautoscalers.autoscaling", hpa)
        kind = {"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
        ref = {"name": "h", "parameterNotFoundAction": "Deny"}
        assert (
            await limited(cluster, ref, "params.apiVersion == 'autoscaling/v1' && params.spec.maxReplicas == 3", kind)
            == ""
        )

    in_cluster(scenario)


class Elsewhere:
    """Another server, which has limits."""

    def __init__(self) -> None:
        self.objects = {"one": {"metadata": {"name": "one"}, "spec": {"limit": 1}}}
        self.served = True
        self.asked: list[tuple[str, ...]] = []

    async def resource(self, api_version, kind):
        return ForeignResource("limits", True) if self.served and (api_version, kind) == ("x.io/v1", "Limit") else None

    async def read(self, api_version, plural, namespace, name, labels):
        self.asked.append((api_version, plural, namespace, name, labels))
        return list(self.objects.values()) if not name else [self.objects[name]] if name in self.objects else []


def test_parameters_that_another_server_has(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        there = cluster.backend.admission.initializer.elsewhere = Elsewhere()
        ref = {"name": "one", "parameterNotFoundAction": "Deny"}
        kind = {"apiVersion": "x.io/v1", "kind": "Limit"}
        assert await limited(cluster, ref, "params.spec.limit == 1 && params.kind == 'Limit'", kind) == ""
        assert there.asked == [("x.io/v1", "limits", "ns", "one", "")]
        there.objects.clear()
        assert (await outcome(cluster, SECRET, "secrets")).endswith(NOT_FOUND)
        there.served = False
        await asyncio.sleep(1.1)
        why = "failed to configure policy: failed to find resource referenced by paramKind: 'x.io/v1, Kind=Limit'"
        assert (await outcome(cluster, SECRET, "secrets")).endswith(why)

    in_cluster(scenario)


def test_another_server_selects_by_labels(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        there = cluster.backend.admission.initializer.elsewhere = Elsewhere()
        expressions = [{"key": "b", "operator": "In", "values": ["1", "2"]}, {"key": "c", "operator": "DoesNotExist"}]
        selector = {"matchLabels": {"a": "x"}, "matchExpressions": expressions}
        ref = {"selector": selector, "parameterNotFoundAction": "Deny"}
        assert await limited(cluster, ref, "params.spec.limit == 1", {"apiVersion": "x.io/v1", "kind": "Limit"}) == ""
        assert there.asked == [("x.io/v1", "limits", "ns", "", "a=x,b in (1,2),!c")]

    in_cluster(scenario)
