"""Evictions, one by one and by kubectl drain, as disruption budgets allow them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.kubectl import needs_kubectl
from tests.running import RunningServer
from tests.subresources.conftest import Cluster, create_node, create_pod

pytestmark = pytest.mark.e2e
PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
MERGE = "application/merge-patch+json"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
numbers = itertools.count(1)


@pytest.fixture
def app(cluster: Cluster) -> Iterator[str]:
    """A label of the test's own, for its pods and budgets."""
    name = f"app-{next(numbers)}"
    yield name
    for path in (PODS, BUDGETS):
        cluster.server.request("DELETE", f"{path}?labelSelector=app%3D{name}")


def ask(server: RunningServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    code, answer = server.request(method, path, body, **headers)
    return code, json.loads(answer)


def budget(server: RunningServer, app: str, *, name: str = "", policy: str = "", **status: Any) -> str:
    """A budget whose status a disruption controller has just written."""
    name = name or app
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}}
    if policy:
        spec["unhealthyPodEvictionPolicy"] = policy
    code, made = ask(server, "POST", BUDGETS, {"metadata": {"name": name, "labels": {"app": app}}, "spec": spec})
    assert code == 201, made
    known = {"observedGeneration": 1, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}
    code, made = ask(server, "PATCH", f"{BUDGETS}/{name}/status", {"status": known | status}, Content_Type=MERGE)
    assert code == 200, made
    return name


def evict(server: RunningServer, pod: str, query: str = "", **options: Any) -> tuple[int, Any]:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}, "deleteOptions": options}
    return ask(server, "POST", f"{PODS}/{pod}/eviction{query}", body)


def there(server: RunningServer, pod: str) -> bool:
    return server.request("GET", f"{PODS}/{pod}")[0] == 200


def pods(server: RunningServer, app: str, count: int) -> list[str]:
    names = [f"{app}-{number}" for number in range(count)]
    for name in names:
        create_pod(server, name, "n", app=app)
    return names


def unready(server: RunningServer, pod: str, **status: Any) -> None:
    status = {"conditions": [{"type": "Ready", "status": "False"}]} | status
    assert ask(server, "PATCH", f"{PODS}/{pod}/status", {"status": status}, Content_Type=MERGE)[0] == 200


def test_a_pod_without_a_budget_goes(cluster: Cluster, app: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    code, told = evict(cluster.server, pod)
    assert (code, told["kind"], told["status"]) == (201, "Status", "Success")
    assert not there(cluster.server, pod)


def test_an_eviction_is_counted(cluster: Cluster, app: str) -> None:
    first, second = pods(cluster.server, app, 2)
    name = budget(cluster.server, app, disruptionsAllowed=1)
    assert evict(cluster.server, first)[0] == 201
    _, found = ask(cluster.server, "GET", f"{BUDGETS}/{name}")
    assert found["status"]["disruptionsAllowed"] == 0 and list(found["status"]["disruptedPods"]) == [first]
    (condition,) = found["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "DisruptionAllowed",
        "False",
        "InsufficientPods",
    )
    code, told = evict(cluster.server, second)
    assert (code, told["reason"], told["message"]) == (429, "TooManyRequests", REFUSED)
    assert told["details"]["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": f"The disruption budget {name} does not allow evicting pods currently",
        }
    ]
    assert "retryAfterSeconds" not in told["details"] and there(cluster.server, second)


def test_evictions_at_once_never_exceed_the_budget(cluster: Cluster, app: str) -> None:
    names = pods(cluster.server, app, 8)
    budget(cluster.server, app, disruptionsAllowed=3)
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(code for code, _ in pool.map(lambda pod: evict(cluster.server, pod), names))
    assert codes == [201] * 3 + [429] * 5
    assert sum(there(cluster.server, pod) for pod in names) == 5


def test_a_budget_that_was_not_observed_yet(cluster: Cluster, app: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    name = budget(cluster.server, app, disruptionsAllowed=1, observedGeneration=0)
    code, told = evict(cluster.server, pod)
    assert (code, told["details"]["retryAfterSeconds"]) == (429, 10)
    assert (
        told["details"]["causes"][0]["message"]
        == f"The disruption budget {name} is still being processed by the server."
    )


def test_two_budgets_for_one_pod(cluster: Cluster, app: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    budget(cluster.server, app, disruptionsAllowed=1)
    budget(cluster.server, app, name=f"{app}-other", disruptionsAllowed=1)
    code, told = evict(cluster.server, pod)
    assert (code, told["status"]) == (500, "Failure")
    assert told["message"].startswith("This pod has more than one PodDisruptionBudget")


@pytest.mark.parametrize(
    ("policy", "healthy", "code"),
    [
        ("IfHealthyBudget", 1, 201),
        ("", 1, 201),
        ("IfHealthyBudget", 0, 429),
        ("", 0, 429),
        ("AlwaysAllow", 0, 201),
    ],
)
def test_unhealthy_pods_go_as_the_policy_says(cluster: Cluster, app: str, policy: str, healthy: int, code: int) -> None:
    (pod,) = pods(cluster.server, app, 1)
    unready(cluster.server, pod)
    name = budget(cluster.server, app, policy=policy, disruptionsAllowed=0, currentHealthy=healthy)
    assert evict(cluster.server, pod)[0] == code
    assert "disruptedPods" not in ask(cluster.server, "GET", f"{BUDGETS}/{name}")[1]["status"]
    assert there(cluster.server, pod) == (code != 201)


@pytest.mark.parametrize("phase", ["Pending", "Succeeded", "Failed"])
def test_pods_that_do_not_run_need_no_budget(cluster: Cluster, app: str, phase: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    unready(cluster.server, pod, phase=phase)
    budget(cluster.server, app, disruptionsAllowed=0)
    assert evict(cluster.server, pod)[0] == 201
    assert not there(cluster.server, pod)


@pytest.mark.parametrize("where", ["query", "body"])
def test_a_dry_run_evicts_nothing(cluster: Cluster, app: str, where: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    name = budget(cluster.server, app, disruptionsAllowed=1)
    if where == "query":
        code, _ = evict(cluster.server, pod, "?dryRun=All")
    else:
        code, _ = evict(cluster.server, pod, dryRun=["All"])
    assert code == 201 and there(cluster.server, pod)
    assert ask(cluster.server, "GET", f"{BUDGETS}/{name}")[1]["status"]["disruptionsAllowed"] == 1
    assert "DisruptionTarget" not in cluster.server.request("GET", f"{PODS}/{pod}")[1].decode()


def test_a_precondition_that_fails_uses_up_the_budget_all_the_same(cluster: Cluster, app: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    name = budget(cluster.server, app, disruptionsAllowed=1)
    code, told = evict(cluster.server, pod, preconditions={"uid": "another"})
    assert (code, told["reason"]) == (409, "Conflict") and there(cluster.server, pod)
    assert ask(cluster.server, "GET", f"{BUDGETS}/{name}")[1]["status"]["disruptionsAllowed"] == 0


def test_a_pod_that_ends_slowly_says_why(cluster: Cluster, app: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    assert evict(cluster.server, pod, gracePeriodSeconds=30)[0] == 201
    _, found = ask(cluster.server, "GET", f"{PODS}/{pod}")
    target = next(one for one in found["status"]["conditions"] if one["type"] == "DisruptionTarget")
    assert (target["status"], target["reason"]) == ("True", "EvictionByEvictionAPI")
    assert found["metadata"]["deletionGracePeriodSeconds"] == 30
    cluster.server.request("DELETE", f"{PODS}/{pod}?gracePeriodSeconds=0")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"metadata": {"name": "other"}}, 400, "name in URL does not match name in Eviction object"),
        ({"metadata": {"name": "p", "namespace": "other"}}, 400, "the namespace of the provided object does not match"),
        ({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}, 400, "Pod"),
    ],
)
def test_bad_evictions(cluster: Cluster, body: dict[str, Any], code: int, message: str) -> None:
    found, told = ask(cluster.server, "POST", f"{PODS}/p/eviction", body)
    assert found == code and message in told["message"]


def test_an_eviction_of_the_old_version_and_of_nobody(cluster: Cluster, app: str) -> None:
    (pod,) = pods(cluster.server, app, 1)
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": pod}}
    assert ask(cluster.server, "POST", f"{PODS}/{pod}/eviction", body)[0] == 201
    code, told = evict(cluster.server, pod)
    assert (code, told["message"]) == (404, f'pods "{pod}" not found')


@needs_kubectl
def test_drain_waits_for_the_budget(cluster: Cluster, app: str) -> None:
    create_node(cluster.server, f"node-{app}", cluster.kubelet)
    names = [f"{app}-a", f"{app}-b"]
    for name in names:
        create_pod(cluster.server, name, f"node-{app}", app=app)
    guard = budget(cluster.server, app, disruptionsAllowed=0)
    blocked = cluster.kubectl.fails("drain", f"node-{app}", "--force", "--timeout=2s")
    assert REFUSED in blocked and all(there(cluster.server, name) for name in names)
    _, node = ask(cluster.server, "GET", f"/api/v1/nodes/node-{app}")
    assert node["spec"]["unschedulable"] is True
    allowed = {"status": {"disruptionsAllowed": 2}}
    assert ask(cluster.server, "PATCH", f"{BUDGETS}/{guard}/status", allowed, Content_Type=MERGE)[0] == 200
    drained = cluster.kubectl("drain", f"node-{app}", "--force", "--timeout=30s")
    assert all(f"pod/{name} evicted" in drained for name in names)
    assert not any(there(cluster.server, name) for name in names)
    cluster.kubectl("uncordon", f"node-{app}")
    assert "unschedulable" not in ask(cluster.server, "GET", f"/api/v1/nodes/node-{app}")[1]["spec"]
