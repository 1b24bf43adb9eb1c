"""ResourceQuota: what is charged, what is refused, and that racing writes never get more than there is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from apiserver_workers.admission.resource_quota.check import matches
from apiserver_workers.admission.resource_quota.evaluators import ClaimEvaluator, PodEvaluator, ResourceClaimEvaluator
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.registry.attributes import Attributes

from tests.admission.cluster import ADMIN, Cluster, pod, refused, run


async def quota(cluster: Cluster, hard: dict[str, str], name: str = "q", **spec: Any) -> None:
    """A quota of which nothing is used, as its controller would have counted."""
    await cluster.create("resourcequotas", {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})
    status = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    await cluster.update("resourcequotas", name, lambda live: {**live, "status": status}, subresource="status")


async def used(cluster: Cluster, name: str = "q") -> dict[str, str]:
    found: dict[str, str] = (await cluster.get("resourcequotas", name))["status"]["used"]
    return found


def config_map(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}}


def asking(name: str, cpu: str, **spec: Any) -> dict[str, Any]:
    return pod(name, container={"resources": {"requests": {"cpu": cpu}}}, **spec)


def test_objects_are_counted_until_there_are_too_many(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await quota(cluster, {"configmaps": "1", "count/configmaps": "5"})
        await cluster.create("configmaps", config_map("a"))
        assert await used(cluster) == {"configmaps": "1", "count/configmaps": "1"}
        error = await refused(cluster.create("configmaps", config_map("b")))
        limits = "requested: configmaps=1, used: configmaps=1, limited: configmaps=1"
        assert error.message == f'configmaps "b" is forbidden: exceeded quota: q, {limits}'

    in_cluster(scenario)


def test_a_dry_run_is_checked_but_not_charged(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await quota(cluster, {"configmaps": "1"})
        await cluster.create("configmaps", config_map("a"), dry_run=True)
        assert await used(cluster) == {"configmaps": "0"}

    in_cluster(scenario)


def test_pods_are_charged_for_what_they_request(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await quota(cluster, {"pods": "5", "requests.cpu": "1"})
        await cluster.create("pods", asking("a", "600m"))
        assert await used(cluster) == {"pods": "1", "requests.cpu": "600m"}
        error = await refused(cluster.create("pods", asking("b", "500m")))
        assert "requested: requests.cpu=500m, used: requests.cpu=600m, limited: requests.cpu=1" in error.message
        error = await refused(cluster.create("pods", pod("c")))
        assert error.message == 'pods "c" is forbidden: failed quota: q: must specify requests.cpu for: c'

    in_cluster(scenario)


def test_a_quota_that_was_never_counted_lets_nothing_pass(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "1"}}})
        hard = {"hard": {"configmaps": "1"}}
        await cluster.update("resourcequotas", "q", lambda live: {**live, "status": hard}, subresource="status")
        error = await refused(cluster.create("configmaps", config_map("a")))
        assert error.message == 'configmaps "a" is forbidden: status unknown for quota: q, resources: configmaps'

    in_cluster(scenario)


def test_a_scope_limits_which_pods_count(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await quota(cluster, {"pods": "1"}, scopes=["BestEffort"])
        await cluster.create("pods", asking("burstable", "1"))
        assert await used(cluster) == {"pods": "0"}
        await cluster.create("pods", pod("best-effort"))
        assert await used(cluster) == {"pods": "1"}

    in_cluster(scenario)


def test_a_scope_selector_chooses_by_priority_class(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("priorityclasses.scheduling.k8s.io", {"metadata": {"name": "high"}, "value": 9})
        term = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
        await quota(cluster, {"pods": "0"}, scopeSelector={"matchExpressions": [term]})
        assert await cluster.create("pods", pod("low"))
        await refused(cluster.create("pods", pod("important", priorityClassName="high")))

    in_cluster(scenario)


def plain(**spec: Any) -> dict[str, Any]:
    """A pod as an evaluator gets it."""
    return {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}], **spec}}


def affinity(kind: str, weighted: bool = False, **term: Any) -> dict[str, Any]:
    terms: list[Any] = [{"topologyKey": "zone", **term}]
    if weighted:
        terms = [{"weight": 1, "podAffinityTerm": terms[0]}]
    when = "preferred" if weighted else "required"
    return plain(affinity={kind: {f"{when}DuringSchedulingIgnoredDuringExecution": terms}})


BEST_EFFORT = plain()
BURSTABLE = plain(containers=[{"name": "c", "resources": {"requests": {"cpu": "1"}}}])
ENDING, ENDLESS = plain(activeDeadlineSeconds=0), plain()
HIGH, CLASSLESS = plain(priorityClassName="high"), plain()


@pytest.mark.parametrize(
    ("scope", "operator", "values", "counted", "others"),
    [
        ("Terminating", "Exists", [], [ENDING], [ENDLESS]),
        ("NotTerminating", "Exists", [], [ENDLESS], [ENDING]),
        ("BestEffort", "Exists", [], [BEST_EFFORT], [BURSTABLE]),
        ("NotBestEffort", "Exists", [], [BURSTABLE], [BEST_EFFORT]),
        ("PriorityClass", "Exists", [], [HIGH], [CLASSLESS]),
        ("PriorityClass", "DoesNotExist", [], [CLASSLESS], [HIGH]),
        ("PriorityClass", "In", ["low", "high"], [HIGH], [CLASSLESS, plain(priorityClassName="other")]),
        ("PriorityClass", "NotIn", ["low"], [HIGH, CLASSLESS], [plain(priorityClassName="low")]),
        (
            "CrossNamespacePodAffinity",
            "Exists",
            [],
            [
                affinity("podAffinity", namespaces=["n"]),
                affinity("podAntiAffinity", namespaceSelector={}),
                affinity("podAffinity", weighted=True, namespaces=["n"]),
                affinity("podAntiAffinity", weighted=True, namespaceSelector={"matchLabels": {"a": "b"}}),
            ],
            [CLASSLESS, affinity("podAffinity"), affinity("podAntiAffinity", weighted=True, namespaces=[])],
        ),
        ("VolumeAttributesClass", "Exists", [], [], [CLASSLESS]),
    ],
)
def test_scopes_of_pods(scope: str, operator: str, values: list[str], counted: list[Any], others: list[Any]) -> None:
    evaluator = PodEvaluator("", "pods")
    selector = {"scopeName": scope, "operator": operator, "values": values}
    chosen: list[dict[str, Any]] = [{"scopeSelector": {"matchExpressions": [selector]}}]
    if operator == "Exists":
        chosen.append({"scopes": [scope]})
    for spec in chosen:
        limits = {"metadata": {"name": "q"}, "spec": spec, "status": {"hard": {"pods": "1"}}}
        assert [matches(limits, obj, evaluator) for obj in counted] == [True] * len(counted)
        assert [matches(limits, obj, evaluator) for obj in others] == [False] * len(others)


def claim(wanted: str = "", current: str = "", target: str = "") -> dict[str, Any]:
    status: dict[str, Any] = {"currentVolumeAttributesClassName": current} if current else {}
    if target:
        status["modifyVolumeStatus"] = {"targetVolumeAttributesClassName": target}
    spec = {"volumeAttributesClassName": wanted} if wanted else {}
    return {"metadata": {"name": "c"}, "spec": spec, "status": status}


@pytest.mark.parametrize(
    ("operator", "values", "counted", "others"),
    [
        ("Exists", [], [claim("gold"), claim(current="gold"), claim(target="gold")], [claim()]),
        ("DoesNotExist", [], [claim()], [claim("gold"), claim(current="gold")]),
        ("In", ["gold"], [claim("gold"), claim("tin", current="gold"), claim(target="gold")], [claim(), claim("tin")]),
        ("NotIn", ["gold"], [claim(), claim("tin"), claim("gold", current="tin")], [claim("gold")]),
    ],
)
def test_scopes_of_claims(operator: str, values: list[str], counted: list[Any], others: list[Any]) -> None:
    evaluator = ClaimEvaluator("", "persistentvolumeclaims")
    selector = {"scopeName": "VolumeAttributesClass", "operator": operator, "values": values}
    assert all(evaluator.in_scope(selector, obj) for obj in counted)
    assert not any(evaluator.in_scope(selector, obj) for obj in others)
    assert not evaluator.in_scope({"scopeName": "PriorityClass", "operator": "Exists"}, claim("gold"))


@pytest.mark.parametrize("scope", ["Terminating", "NotTerminating"])
@pytest.mark.parametrize("form", ["scopes", "scopeSelector"])
def test_pods_with_and_without_a_deadline_have_quotas_of_their_own(in_cluster, scope, form):
    async def scenario(cluster: Cluster) -> None:
        term = {"scopeName": scope, "operator": "Exists"}
        chosen = {"scopes": [scope]} if form == "scopes" else {"scopeSelector": {"matchExpressions": [term]}}
        await quota(cluster, {"pods": "1"}, **chosen)
        deadlines: dict[str, dict[str, Any]] = {"Terminating": {"activeDeadlineSeconds": 9}, "NotTerminating": {}}
        inside = deadlines.pop(scope)
        [outside] = deadlines.values()
        await cluster.create("pods", pod("a", **outside))
        assert await used(cluster) == {"pods": "0"}
        await cluster.create("pods", pod("b", **inside))
        assert await used(cluster) == {"pods": "1"}
        error = await refused(cluster.create("pods", pod("c", **inside)))
        assert "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1" in error.message

    in_cluster(scenario)


def test_a_pod_that_gets_a_deadline_is_charged_where_it_comes_to(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await quota(cluster, {"pods": "1"}, scopes=["Terminating"])
        await cluster.create("pods", pod("a"))
        await cluster.create("pods", pod("b"))

        def ending(live: dict[str, Any]) -> dict[str, Any]:
            return {**live, "spec": {**live["spec"], "activeDeadlineSeconds": 9}}

        await cluster.update("pods", "a", ending)
        assert await used(cluster) == {"pods": "1"}
        error = await refused(cluster.update("pods", "b", ending))
        assert error.message.startswith('pods "b" is forbidden: exceeded quota: q, requested: pods=1')

    in_cluster(scenario)


def test_what_a_pod_says_as_a_whole_its_containers_need_not_say() -> None:
    evaluator = PodEvaluator("", "pods")
    names = ["limits.cpu", "requests.memory"]
    assert evaluator.unmet(names, BEST_EFFORT) == "must specify limits.cpu for: c; requests.memory for: c"
    assert evaluator.unmet(names, plain(resources={"requests": {"cpu": "1"}})) == ""


def test_a_resource_claim_is_charged_for_what_an_update_adds() -> None:
    evaluator = ResourceClaimEvaluator("resource.k8s.io", "resourceclaims")
    info = resource("resource.k8s.io", "v1", "resourceclaims")
    assert info is not None

    def asked(operation: str, subresource: str = "") -> bool:
        empty: dict[str, Any] = {}
        return evaluator.handles(
            Attributes(operation, info, subresource, "ns", "c", empty, empty, ADMIN, False, empty, [])
        )

    assert asked("CREATE") and asked("UPDATE")
    assert not asked("UPDATE", "status")


def test_a_service_is_charged_when_its_type_changes(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await quota(cluster, {"services": "5", "services.nodeports": "0"})
        await cluster.create("services", {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}})
        assert await used(cluster) == {"services": "1", "services.nodeports": "0"}

        def exposed(live: dict[str, Any]) -> dict[str, Any]:
            return {**live, "spec": {**live["spec"], "type": "NodePort", "externalTrafficPolicy": "Cluster"}}

        error = await refused(cluster.update("services", "s", exposed))
        assert "exceeded quota: q, requested: services.nodeports=1" in error.message

    in_cluster(scenario)


def test_claims_are_charged_by_storage_class(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        gold = "gold.storageclass.storage.k8s.io/requests.storage"
        await quota(cluster, {gold: "3Gi", "requests.storage": "10Gi"})
        requests = {"requests": {"storage": "2Gi"}}
        spec = {"accessModes": ["ReadWriteOnce"], "resources": requests, "storageClassName": "gold"}
        await cluster.create("persistentvolumeclaims", {"metadata": {"name": "a"}, "spec": spec})
        assert await used(cluster) == {gold: "2Gi", "requests.storage": "2Gi"}
        error = await refused(cluster.create("persistentvolumeclaims", {"metadata": {"name": "b"}, "spec": spec}))
        assert f"requested: {gold}=2Gi, used: {gold}=2Gi, limited: {gold}=3Gi" in error.message

    in_cluster(scenario)


def test_two_workers_together_never_exceed_a_quota(config):
    async def both() -> None:
        async def first(one: Cluster) -> None:
            await quota(one, {"configmaps": "5"})

            async def second(other: Cluster) -> None:
                attempts = [
                    cluster.create("configmaps", config_map(f"{name}{number}"))
                    for number in range(8)
                    for name, cluster in (("a", one), ("b", other))
                ]
                results = await asyncio.gather(*attempts, return_exceptions=True)
                failures = [result for result in results if isinstance(result, BaseException)]
                assert len(results) - len(failures) == 5
                assert all(isinstance(failure, ApiError) and failure.code == 403 for failure in failures)
                assert await used(one) == {"configmaps": "5"}

            await _in_same_cluster(config, second)

        await run(config, first)

    asyncio.run(both())


async def _in_same_cluster(config: Any, scenario: Any) -> None:
    """Another worker on the same data."""
    from apiserver_workers.server.backend import Backend

    backend = Backend(config)
    await backend.start()
    try:
        await scenario(Cluster(backend))
    finally:
        await backend.stop()
