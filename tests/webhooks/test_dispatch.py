"""Webhooks on real stores: who is asked what, and what their answers make of a write."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.admission.cluster import ALICE, Cluster, pod, refused
from tests.auth.remote import Authority, as_json
from tests.webhooks.hooks import HookServer, allow, configuration, deny, encoded, label, patch, rule

Object = dict[str, Any]
InCluster = Callable[[Any], None]
MUTATING = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
VALIDATING = "validatingwebhookconfigurations.admissionregistration.k8s.io"


async def install(cluster: Cluster, *hooks: Object, mutating: bool, name: str = "hooks") -> None:
    """Create a configuration; it is in force when this returns."""
    obj = configuration(name, *hooks, mutating=mutating)
    await cluster.create(MUTATING if mutating else VALIDATING, obj)


def config_map(name: str = "c", **metadata: Any) -> Object:
    return {"metadata": {"name": name, **metadata}, "data": {"a": "1"}}


def test_a_validating_webhook_is_asked_with_the_whole_request(in_cluster: InCluster, authority: Authority) -> None:
    with HookServer(authority, check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("check"), mutating=False)
            await cluster.create("configmaps", config_map(), user=ALICE)

        in_cluster(scenario)
        (name, review), *others = server.asked
    assert not others and name == "check"
    assert (review["kind"], review["apiVersion"]) == ("AdmissionReview", "admission.k8s.io/v1")
    request = review["request"]
    obj = request.pop("object")
    assert len(request.pop("uid")) == 36
    assert request == {
        "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "c",
        "namespace": "ns",
        "operation": "CREATE",
        "userInfo": {"username": "alice", "groups": ["dev"]},
        "oldObject": None,
        "dryRun": False,
        "options": None,
    }
    assert obj["data"] == {"a": "1"}
    assert obj["metadata"]["uid"]  # validating webhooks see what will be stored


def test_a_refusal_passes_on_code_reason_and_details(in_cluster: InCluster, authority: Authority) -> None:
    answers = [
        (
            {"message": "go away", "code": 418, "reason": "Teapot", "details": {"retryAfterSeconds": 7}},
            418,
            ": go away",
        ),
        ({"reason": "Why"}, 400, ": Why"),
        ({"code": 200, "message": "m"}, 400, ": m"),
        ({"code": 4000, "message": "m"}, 500, ": m"),
        ({}, 400, " without explanation"),
    ]
    statuses = iter(answers)
    with HookServer(authority, check=lambda _: {"allowed": False, "status": next(statuses)[0]}) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("check"), mutating=False)
            for status, code, ending in answers:
                error = await refused(cluster.create("configmaps", config_map()), code)
                assert error.message == f'admission webhook "check.example.com" denied the request{ending}'
                assert error.reason == status.get("reason", "")
            assert not await absent(cluster)

        async def absent(cluster: Cluster) -> bool:
            return cluster.store("configmaps").cache.get(cluster.store("configmaps").key("ns", "c")) is not None

        in_cluster(scenario)


def test_mutating_webhooks_run_in_order_and_each_sees_what_came_before(
    in_cluster: InCluster, authority: Authority
) -> None:
    with HookServer(authority, first=label("first"), second=label("second"), check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("second"), mutating=True, name="b")
            await install(cluster, server.hook("first"), mutating=True, name="a")
            await install(cluster, server.hook("check"), mutating=False)
            created = await cluster.create("configmaps", config_map())
            assert created["metadata"]["labels"] == {"first": "1", "second": "1"}

        in_cluster(scenario)
        assert [name for name, _ in server.asked] == ["first", "second", "check"]
        assert server.requests("second")[0]["object"]["metadata"]["labels"] == {"first": "1"}
        assert server.requests("check")[0]["object"]["metadata"]["labels"] == {"first": "1", "second": "1"}


def test_what_a_patch_adds_is_pruned_and_defaulted(in_cluster: InCluster, authority: Authority) -> None:
    container = {"op": "add", "path": "/spec/containers/-", "value": {"name": "side", "image": "i", "nonsense": 1}}
    with HookServer(authority, change=patch(container), check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("change", rules=[rule("pods")]), mutating=True)
            await install(cluster, server.hook("check", rules=[rule("pods")]), mutating=False)
            created = await cluster.create("pods", pod())
            side = created["spec"]["containers"][1]
            assert "nonsense" not in side
            assert side["terminationMessagePath"] == "/dev/termination-log"

        in_cluster(scenario)
        assert server.requests("check")[0]["object"]["spec"]["containers"][1]["imagePullPolicy"] == "Always"


def test_updates_and_deletions_show_the_old_object(in_cluster: InCluster, authority: Authority) -> None:
    with HookServer(authority, check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await cluster.create("configmaps", config_map())
            await install(cluster, server.hook("check", rules=[rule(operations="UPDATE DELETE")]), mutating=False)
            await cluster.update("configmaps", "c", lambda live: {**live, "data": {"a": "2"}})
            await cluster.delete("configmaps", "c")

        in_cluster(scenario)
        update, delete = server.requests()
    assert (update["object"]["data"], update["oldObject"]["data"]) == ({"a": "2"}, {"a": "1"})
    assert (delete["object"], delete["oldObject"]["data"]) == (None, {"a": "2"})
    assert delete["name"] == "c"


def test_a_patch_on_a_deletion_is_an_error(in_cluster: InCluster, authority: Authority) -> None:
    change = patch({"op": "add", "path": "/metadata/labels", "value": {}})
    with HookServer(authority, change=change) as server:

        async def scenario(cluster: Cluster) -> None:
            await cluster.create("configmaps", config_map())
            await install(cluster, server.hook("change", rules=[rule(operations="DELETE")]), mutating=True)
            error = await refused(cluster.delete("configmaps", "c"), 500)
            assert error.message == (
                'Internal error occurred: admission webhook "change.example.com" attempted to modify the object, '
                "which is not supported for this operation"
            )

        in_cluster(scenario)


SELECTED = [
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ns"}}}, True),
    ({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}, False),
    ({"objectSelector": {"matchLabels": {"x": "y"}}}, True),
    ({"objectSelector": {"matchLabels": {"x": "z"}}}, False),
    ({"rules": [rule(scope="Namespaced")]}, True),
    ({"rules": [rule(scope="Cluster")]}, False),
    ({"rules": [rule("*/*")]}, True),
    ({"rules": [rule("*")]}, True),
    ({"rules": [rule("configmaps/status")]}, False),
    ({"rules": [rule(operations="UPDATE")]}, False),
    ({"rules": [rule(operations="*")]}, True),
    ({"rules": [rule(groups="apps")]}, False),
    ({"rules": [rule(groups="core")]}, True),
    ({"rules": [{**rule(), "apiVersions": ["v2"]}]}, False),
    ({"rules": [rule("pods"), rule()]}, True),
    ({"matchConditions": [{"name": "a", "expression": "request.userInfo.username == 'alice'"}]}, False),
    ({"matchConditions": [{"name": "a", "expression": "object.data.a == '1'"}]}, True),
    (
        {"matchConditions": [{"name": "a", "expression": "object.missing == 1"}, {"name": "b", "expression": "false"}]},
        False,
    ),
    (
        {"failurePolicy": "Ignore", "matchConditions": [{"name": "a", "expression": "object.missing == 1"}]},
        False,
    ),
    (
        {
            "matchConditions": [
                {
                    "name": "a",
                    "expression": "authorizer.group('').resource('secrets').namespace('ns').check('get').allowed()",
                }
            ]
        },
        True,
    ),
]


@pytest.mark.parametrize("mutating", [True, False])
def test_a_webhook_is_called_for_what_it_selects(in_cluster: InCluster, authority: Authority, mutating: bool) -> None:
    with HookServer(authority, check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            for number, (fields, called) in enumerate(SELECTED):
                name = f"hooks-{number}"
                await install(cluster, server.hook("check", **fields), mutating=mutating, name=name)
                await cluster.create("configmaps", config_map(f"c{number}", labels={"x": "y"}))
                assert len(server.requests()) == called, fields
                server.asked.clear()
                await cluster.delete(MUTATING if mutating else VALIDATING, name)
                await cluster.store(MUTATING).cache.fresh()

        in_cluster(scenario)


def test_a_condition_that_cannot_be_evaluated_refuses(in_cluster: InCluster, authority: Authority) -> None:
    conditions = [{"name": "a", "expression": "object.missing == 1"}]
    with HookServer(authority, check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("check", matchConditions=conditions), mutating=False)
            error = await refused(cluster.create("configmaps", config_map()), 403)
            assert error.message == (
                "configmaps \"c\" is forbidden: expression 'object.missing == 1' resulted in error: no such key: missing"
            )

        in_cluster(scenario)
        assert not server.asked


def test_configurations_of_webhooks_are_exempt(in_cluster: InCluster, authority: Authority) -> None:
    with HookServer(authority, check=deny(), change=deny()) as server:
        everything = [rule("*/*", "*")]

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("check", rules=everything), mutating=False)
            await install(cluster, server.hook("change", rules=everything), mutating=True)
            await cluster.delete(MUTATING, "hooks")
            await cluster.delete(VALIDATING, "hooks")

        in_cluster(scenario)
        assert not server.asked


# ---- failures

FAILURES: list[tuple[Any, str]] = [
    (
        (500, {}, b"oh"),
        'failed to call webhook: an error on the server ("oh") has prevented the request from succeeding',
    ),
    (
        (200, {}, b"<html>"),
        "failed to call webhook: couldn't get version/kind; json parse error: invalid character '<' ",
    ),
    (as_json({}), "received invalid webhook response: webhook response was absent"),
    ({"uid": "other", "allowed": True}, "received invalid webhook response: expected response.uid="),
    ({"allowed": "yes"}, "failed to call webhook: json: cannot unmarshal string into Go struct field "),
    (
        as_json({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1", "response": {}}),
        "failed to call webhook: converting (v1beta1.AdmissionReview) to (v1.AdmissionReview): unknown conversion",
    ),
]
MUTATING_FAILURES = [
    *FAILURES,
    ({"allowed": True, "patch": "W10="}, "received invalid webhook response: webhook returned response.patch but not "),
    (
        {"allowed": True, "patchType": "JSONPatch"},
        "received invalid webhook response: webhook returned response.patchType ",
    ),
    (
        {"allowed": True, "patchType": "MergePatch", "patch": encoded([{"op": "add", "path": "/a", "value": 1}])},
        'unsupported patch type "MergePatch"',
    ),
    (
        {"allowed": True, "patchType": "JSONPatch", "patch": encoded({"a": 1})},
        "received undecodable patch in webhook response: json: cannot unmarshal object into Go value of type jsonpatch.Patch",
    ),
    ({"allowed": True, "patchType": "JSONPatch", "patch": "?"}, "illegal base64 data at input byte 0"),
]
VALIDATING_FAILURES = [
    *FAILURES,
    (
        {"allowed": True, "patchType": "JSONPatch"},
        "received invalid webhook response: validating webhook may not return ",
    ),
]
CASES = [(True, *case) for case in MUTATING_FAILURES] + [(False, *case) for case in VALIDATING_FAILURES]


def test_the_failure_policy_decides_about_what_is_no_answer(in_cluster: InCluster, authority: Authority) -> None:
    answers: list[Any] = []
    with HookServer(authority, check=lambda _: answers[-1]) as server:

        async def scenario(cluster: Cluster) -> None:
            for mutating in (True, False):
                for policy in ("Fail", "Ignore"):
                    hook = server.hook("check", failurePolicy=policy)
                    await install(cluster, hook, mutating=mutating, name=policy.lower())
                    await attempts(cluster, mutating, policy)
                    await cluster.delete(MUTATING if mutating else VALIDATING, policy.lower())
                    await cluster.store(MUTATING).cache.fresh()

        async def attempts(cluster: Cluster, mutating: bool, policy: str) -> None:
            for number, (kind, answer, message) in enumerate(CASES):
                if kind is not mutating:
                    continue
                answers.append(answer)
                creation = cluster.create("configmaps", config_map(f"{policy.lower()}-{mutating}-{number}".lower()))
                if policy == "Ignore":
                    await creation
                    continue
                error = await refused(creation, 500)
                start = 'Internal error occurred: failed calling webhook "check.example.com": '
                assert error.message.startswith(start), error.message
                assert message in error.message

        in_cluster(scenario)


BROKEN_PATCHES = [
    (
        [{"op": "add", "path": "/a/b", "value": 1}],
        'add operation does not apply: doc is missing path: "/a/b": missing value',
    ),
    ([{"op": "test", "path": "/data/a", "value": "2"}], "testing value /data/a failed: test failed"),
    ([{"op": "replace", "path": "/kind", "value": "Secret"}], 'no kind "Secret" is registered'),
    ([{"op": "remove", "path": "/kind"}], "Object 'Kind' is missing in '"),
    (
        [{"op": "replace", "path": "/data", "value": 1}],
        "json: cannot unmarshal number into Go struct field ConfigMap.data",
    ),
    ([{"op": "replace", "path": "", "value": []}], "cannot unmarshal array"),
]


def test_a_patch_that_does_not_fit_is_an_error_whatever_the_policy(in_cluster: InCluster, authority: Authority) -> None:
    patches: list[Any] = []
    with HookServer(authority, change=lambda request: patch(*patches[-1])(request)) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("change", failurePolicy="Ignore"), mutating=True)
            for operations, message in BROKEN_PATCHES:
                patches.append(operations)
                error = await refused(cluster.create("configmaps", config_map()), 500)
                assert error.message.startswith("Internal error occurred: ")
                assert message in error.message

        in_cluster(scenario)


def test_a_patch_may_not_move_the_object(in_cluster: InCluster, authority: Authority) -> None:
    changes: list[Object] = []
    with HookServer(authority, change=lambda request: patch(*changes)(request)) as server:

        async def scenario(cluster: Cluster) -> None:
            await cluster.create("configmaps", config_map())
            hook = server.hook("change", rules=[rule(operations="CREATE UPDATE")])
            await install(cluster, hook, mutating=True)
            changes[:] = [{"op": "replace", "path": "/metadata/namespace", "value": "other"}]
            error = await refused(cluster.create("configmaps", config_map("d")), 400)
            assert (
                error.message == "the namespace of the provided object does not match the namespace sent on the request"
            )
            await refused(cluster.update("configmaps", "c", lambda live: {**live, "data": {}}), 400)
            changes[:] = [{"op": "replace", "path": "/metadata/name", "value": "other"}]
            error = await refused(cluster.update("configmaps", "c", lambda live: {**live, "data": {}}), 422)
            assert "field is immutable" in error.message
            created = await cluster.create("configmaps", config_map("d"))
            assert created["metadata"]["name"] == "other"

        in_cluster(scenario)


def test_a_name_is_generated_after_the_webhooks(in_cluster: InCluster, authority: Authority) -> None:
    with HookServer(authority, change=label("x"), check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("change"), mutating=True)
            await install(cluster, server.hook("check"), mutating=False)
            await cluster.create("configmaps", {"metadata": {"generateName": "c-"}})

        in_cluster(scenario)
        (change,), (check,) = server.requests("change"), server.requests("check")
    assert "name" not in change and "name" not in change["object"]["metadata"]
    assert check["name"] == check["object"]["metadata"]["name"]


# ---- dry runs, warnings, annotations


def test_dry_runs_reach_only_webhooks_without_side_effects(in_cluster: InCluster, authority: Authority) -> None:
    with HookServer(authority, check=allow) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("check", sideEffects="NoneOnDryRun"), mutating=False)
            await cluster.create("configmaps", config_map(), dry_run=True)
            assert server.requests()[0]["dryRun"] is True
            store = cluster.store(VALIDATING)
            entry = store.cache.get(store.key("", "hooks"))
            stored = json.loads(entry.value)
            stored["webhooks"][0]["sideEffects"] = "Some"  # what older versions let pass
            await store.storage.update(entry.key, json.dumps(stored).encode(), entry.mod_revision, ttl=0)
            await store.cache.fresh()
            error = await refused(cluster.create("configmaps", config_map(), dry_run=True), 400)
            assert error.message == 'admission webhook "check.example.com" does not support dry run'

        in_cluster(scenario)


def test_warnings_reach_the_client_also_when_the_request_is_refused(
    in_cluster: InCluster, authority: Authority
) -> None:
    verdict = {"allowed": True, "warnings": ["careful", "very"]}
    with HookServer(authority, check=lambda _: dict(verdict)) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("check"), mutating=False)
            await cluster.create("configmaps", config_map())
            assert cluster.warnings == ["careful", "very"]
            verdict["allowed"] = False
            await refused(cluster.create("configmaps", config_map("d")), 400)
            assert cluster.warnings == ["careful", "very"]

        in_cluster(scenario)


# ---- reinvocation


def test_a_webhook_is_called_again_when_a_later_one_changes_the_object(
    in_cluster: InCluster, authority: Authority
) -> None:
    with HookServer(authority, first=label("a"), never=label("n"), second=label("b")) as server:

        async def scenario(cluster: Cluster) -> None:
            hooks = [
                server.hook("first", reinvocationPolicy="IfNeeded"),
                server.hook("never"),
                server.hook("second", reinvocationPolicy="IfNeeded"),
            ]
            await install(cluster, *hooks, mutating=True)
            await cluster.create("configmaps", config_map())
            assert [name for name, _ in server.asked] == ["first", "never", "second", "first"]
            server.asked.clear()
            await cluster.create("configmaps", config_map("d", labels={"a": "1", "n": "1", "b": "1"}))
            assert [name for name, _ in server.asked] == ["first", "never", "second"]  # nobody changes anything

        in_cluster(scenario)


def test_a_second_round_is_the_last(in_cluster: InCluster, authority: Authority) -> None:
    count = iter(range(100))

    def counting(request: Object) -> Object:
        found: Object = label("n", str(next(count)))(request)
        return found

    with HookServer(authority, one=counting, two=counting) as server:

        async def scenario(cluster: Cluster) -> None:
            hooks = [server.hook(name, reinvocationPolicy="IfNeeded") for name in ("one", "two")]
            await install(cluster, *hooks, mutating=True)
            created = await cluster.create("configmaps", config_map())
            assert [name for name, _ in server.asked] == ["one", "two", "one", "two"]
            assert created["metadata"]["labels"] == {"n": "3"}

        in_cluster(scenario)


# ---- concurrency


def test_validating_webhooks_are_asked_side_by_side_and_the_first_refusal_counts(
    in_cluster: InCluster, authority: Authority
) -> None:
    def slowly(seconds: float, message: str) -> Any:
        def decide(_: Object) -> Object:
            time.sleep(seconds)
            return {"allowed": False, "status": {"message": message}}

        return decide

    with HookServer(
        authority, slow=slowly(0.5, "late"), quick=slowly(0.1, "early"), third=slowly(0.5, "late")
    ) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, *map(server.hook, ("slow", "quick", "third")), mutating=False)
            began = time.monotonic()
            error = await refused(cluster.create("configmaps", config_map()), 400)
            assert error.message.endswith(": early")
            assert time.monotonic() - began < 1.0

        in_cluster(scenario)


def test_a_hanging_webhook_holds_nobody_but_its_requests(in_cluster: InCluster, authority: Authority) -> None:
    def hang(_: Object) -> Object:
        time.sleep(1.5)
        return {"allowed": True}

    with HookServer(authority, hang=hang) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("hang", timeoutSeconds=1), mutating=False)
            began = time.monotonic()
            creation = asyncio.create_task(cluster.create("configmaps", config_map()))
            await asyncio.sleep(0)
            await cluster.create("secrets", {"metadata": {"name": "s"}})
            assert time.monotonic() - began < 0.9
            error = await refused(creation, 500)
            assert error.message == (
                'Internal error occurred: failed calling webhook "hang.example.com": failed to call webhook: '
                f'Post "{server.remote.url}/hang?timeout=1s": context deadline exceeded'
            )
            assert time.monotonic() - began < 1.4

        in_cluster(scenario)


def test_the_older_review_is_understood(in_cluster: InCluster, authority: Authority) -> None:
    change = {"allowed": True, "patch": encoded([{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}])}
    answer = as_json({"response": {**change, "uid": "whatever"}})
    with HookServer(authority, change=lambda _: answer) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("change", admissionReviewVersions=["v9", "v1beta1"]), mutating=True)
            created = await cluster.create("configmaps", config_map())
            assert created["metadata"]["labels"] == {"x": "y"}

        in_cluster(scenario)
        assert server.asked[0][1]["apiVersion"] == "admission.k8s.io/v1beta1"


def test_managed_fields_that_a_webhook_breaks_are_put_back(in_cluster: InCluster, authority: Authority) -> None:
    broken = {"op": "add", "path": "/metadata/managedFields", "value": [{"operation": "Nope", "apiVersion": "v1"}]}
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}
    owners = {"op": "add", "path": "/metadata/ownerReferences", "value": [owner, owner]}
    with HookServer(authority, change=patch(broken, owners)) as server:

        async def scenario(cluster: Cluster) -> None:
            await install(cluster, server.hook("change"), mutating=True)
            created = await cluster.create("configmaps", config_map())
            assert "managedFields" not in created["metadata"]
            assert len(created["metadata"]["ownerReferences"]) == 1
            broken_warning, owner_warning = cluster.warnings
            assert broken_warning.endswith("please fix your requests: operation must be `Apply` or `Update`")
            assert "contains duplicate entries after mutating admission happens" in owner_warning

        in_cluster(scenario)
