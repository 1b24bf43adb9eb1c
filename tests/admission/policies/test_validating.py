"""ValidatingAdmissionPolicy: what it refuses, in which words, and what it only warns of."""

from __future__ import annotations

import pytest

from tests.admission.cluster import ALICE, Cluster, pod, refused
from tests.admission.policies.installed import bind, config_map, outcome, rule, validating

DENIED = """configmaps "c" is forbidden: ValidatingAdmissionPolicy 'policy' with binding 'policy' denied request: """


@pytest.mark.parametrize(
    ("validation", "why"),
    [
        ("true", ""),
        ("object.data.a == 'x'", ""),
        ("object.data.a == 'y'", "failed expression: object.data.a == 'y'"),
        ({"expression": "false", "message": " no such thing "}, "no such thing"),
        ({"expression": "false", "messageExpression": "'no ' + object.data.a"}, "no x"),
        ({"expression": "false", "message": "m", "messageExpression": "'  '"}, "m"),
        ({"expression": "false", "message": "m", "messageExpression": "'a\\nb'"}, "m"),
        ({"expression": "false", "message": "m", "messageExpression": "string(object.data.none)"}, "m"),
        ({"expression": "false", "messageExpression": "string(object.data.none)"}, "failed expression: false"),
        (
            "object.data.none == 'x'",
            "expression 'object.data.none == 'x'' resulted in error: no such key: none",
        ),
        ("object.data.none == 'x' || true", ""),
        ("object.kind == 'ConfigMap' && object.apiVersion == 'v1'", ""),
        ("oldObject == null && request.operation == 'CREATE'", ""),
        ("request.kind.kind == 'ConfigMap' && request.requestKind.version == 'v1'", ""),
        ("request.resource.resource == 'configmaps' && request.requestResource.group == ''", ""),
        ("!has(request.subResource) && request.name == 'c' && request.namespace == 'ns'", ""),
        ("request.userInfo.username == 'admin' && 'system:masters' in request.userInfo.groups", ""),
        ("!has(request.userInfo.extra) && request.dryRun", ""),
        ("namespaceObject.metadata.name == 'ns' && namespaceObject.status.phase == 'Active'", ""),
        ("namespaceObject.metadata.labels['kubernetes.io/metadata.name'] == 'ns'", ""),
        ("authorizer.group('').resource('pods').namespace('ns').check('create').allowed()", ""),
        ("authorizer.requestResource.check('create').allowed()", ""),
        (
            "authorizer.serviceAccount('ns', 'default').group('').resource('pods').check('create').allowed()",
            "failed expression: authorizer.serviceAccount('ns', 'default').group('').resource('pods').check('create')"
            ".allowed()",
        ),
    ],
)
def test_a_validation_decides(in_cluster, validation, why):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, validation)
        assert await outcome(cluster, config_map(a="x")) == (DENIED + why if why else "")

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("reason", "code"), [(None, 422), ("Invalid", 422), ("Forbidden", 403), ("RequestEntityTooLarge", 413)]
)
def test_the_reason_decides_the_code(in_cluster, reason, code):
    async def scenario(cluster: Cluster) -> None:
        validation = {"expression": "false", "message": "no"}
        await validating(cluster, {**validation, "reason": reason} if reason else validation)
        error = await refused(cluster.create("configmaps", config_map()), code)
        assert error.reason == reason or "Invalid"
        message = DENIED.partition(": ")[2] + "no"
        assert error.details == {"name": "c", "kind": "configmaps", "causes": [{"message": message}]}

    in_cluster(scenario)


def test_only_the_first_denial_is_told_and_policies_come_by_name(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, {"expression": "false", "message": "b"}, name="b")
        await validating(cluster, "true", {"expression": "false", "message": "a"}, "1 == 2", name="a")
        await bind(cluster, "a", name="a-0")
        message = await outcome(cluster, config_map())
        assert message.endswith("ValidatingAdmissionPolicy 'a' with binding 'a' denied request: a")

    in_cluster(scenario)


def test_a_policy_without_a_binding_and_a_binding_without_a_policy_do_nothing(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, "false", bound=False)
        await bind(cluster, "other")
        assert await outcome(cluster, config_map()) == ""
        await bind(cluster, "policy", name="late")
        assert await outcome(cluster, config_map()) != ""
        await cluster.delete("validatingadmissionpolicybindings.admissionregistration.k8s.io", "late")
        await cluster.store("validatingadmissionpolicybindings.admissionregistration.k8s.io").cache.fresh()
        assert await outcome(cluster, config_map()) == ""

    in_cluster(scenario)


def test_warnings_and_audit_annotations_instead_of_a_denial(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await validating(
            cluster,
            {"expression": "!('bad' in object.data)", "message": "<bad>"},
            actions=["Warn", "Audit"],
            auditAnnotations=[
                {"key": "size", "valueExpression": "string(object.data.size())"},
                {"key": "none", "valueExpression": "null"},
                {"key": "blank", "valueExpression": "'  '"},
            ],
        )
        await cluster.create("configmaps", config_map(bad="1"))
        assert cluster.warnings == [
            "Validation failed for ValidatingAdmissionPolicy 'policy' with binding 'policy': <bad>"
        ]
        values = {key: annotation.value for key, annotation in cluster.annotations.items()}
        assert values == {
            "policy/size": "1",
            "validation.policy.admission.k8s.io/validation_failure": (
                '[{"message":"\\u003cbad\\u003e","policy":"policy","binding":"policy","expressionIndex":0,'
                '"validationActions":["Warn","Audit"]}]'
            ),
        }

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("conditions", "denied"),
    [
        (["true"], True),
        (["true", "false"], False),
        (["object.data.none == ''"], "no such key: data"),
        (["object.data.none == ''", "false"], False),
        (["object.metadata.name != 'c'"], False),
        (["namespaceObject == null"], True),
        (["authorizer.group('').resource('pods').check('get').allowed()"], True),
    ],
)
def test_match_conditions(in_cluster, conditions, denied):
    async def scenario(cluster: Cluster) -> None:
        matching = [{"name": f"c{index}", "expression": source} for index, source in enumerate(conditions)]
        await validating(cluster, {"expression": "false", "message": "no"}, matchConditions=matching)
        message = await outcome(cluster, config_map())
        if isinstance(denied, str):
            assert message.endswith(denied)
        else:
            assert message == (DENIED + "no" if denied else "")

    in_cluster(scenario)


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize(
    ("spec", "why"),
    [
        (
            {"validations": [{"expression": "object.data.none == ''"}]},
            "expression 'object.data.none == ''' resulted in error: no such key: none",
        ),
        (
            {"matchConditions": [{"name": "a", "expression": "object.data.none == ''"}]},
            "expression 'object.data.none == ''' resulted in error: no such key: none",
        ),
        (
            {
                "variables": [{"name": "v", "expression": "object.data.none"}],
                "validations": [{"expression": "variables.v == ''"}],
            },
            "expression 'variables.v == ''' resulted in error: composited variable \"v\" fails to evaluate: no such key: none",
        ),
        (
            {"auditAnnotations": [{"key": "a", "valueExpression": "string(object.data.none)"}]},
            "expression 'string(object.data.none)' resulted in error: no such key: none",
        ),
        (
            {"paramKind": {"apiVersion": "v1", "kind": "Nope"}},
            "failed to configure policy: failed to find resource referenced by paramKind: '/v1, Kind=Nope'",
        ),
        (
            {
                "validations": [
                    {
                        "expression": "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16].all(a, object.data.x.split('').all(b, b != 'b'))"
                    }
                ]
            },
            "expression '[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16].all(a, object.data.x.split('').all(b, b != 'b'))' resulted in error: "
            "operation cancelled: actual cost limit exceeded",
        ),
    ],
)
def test_failures_deny_or_are_ignored_as_the_policy_says(in_cluster, spec, why, policy):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, **{"validations": [{"expression": "true"}], "failurePolicy": policy, **spec})
        message = await outcome(cluster, config_map(x="x" * 20_000))
        if policy == "Ignore":
            assert message == ""
        elif "configure policy" in why:
            assert message.endswith(f"ValidatingAdmissionPolicy 'policy' denied request: {why}")
        else:
            assert message == DENIED + why

    in_cluster(scenario)


def test_updates_deletions_and_collections(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await validating(
            cluster,
            "request.operation != 'UPDATE' || oldObject.data.a == object.data.a",
            "request.operation != 'DELETE' || (object == null && oldObject.metadata.name != 'keep')",
            rules=[rule(["*"])],
        )
        await cluster.create("configmaps", config_map("keep", a="1"))
        await cluster.create("configmaps", config_map("go", a="1"))
        await refused(cluster.update("configmaps", "go", lambda live: {**live, "data": {"a": "2"}}), 422)
        await cluster.update("configmaps", "go", lambda live: {**live, "data": {"a": "1", "b": ""}})
        await refused(cluster.delete("configmaps", "keep"), 422)
        await cluster.delete("configmaps", "go")

    in_cluster(scenario)


def test_an_authorizers_decision_is_that_about_the_user(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, "authorizer.requestResource.check('anything').allowed()")
        assert await outcome(cluster, config_map(), user=ALICE) != ""
        assert await outcome(cluster, config_map()) == ""

    in_cluster(scenario)


def test_subresources_and_other_kinds_are_matched_by_their_names(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        status = {"apiGroups": [""], "apiVersions": ["*"], "resources": ["pods/status"]}
        await validating(cluster, "has(object.spec) && request.subResource == 'none'", rules=[rule(["*"], **status)])
        await cluster.create("pods", pod())
        change = {"phase": "Running"}
        await cluster.update("pods", "p", lambda live: {**live, "metadata": {**live["metadata"], "labels": {"a": "b"}}})
        await refused(cluster.update("pods", "p", lambda live: {**live, "status": change}, subresource="status"), 422)

    in_cluster(scenario)


def test_a_policy_is_compiled_once_for_each_generation(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await validating(cluster, "object.data.a == '1'")
        plugin = next(each for each in cluster.backend.admission.plugins if each.name == "ValidatingAdmissionPolicy")
        assert await outcome(cluster, config_map(a="1")) == ""
        ((policy, _),) = plugin.source.force().hooks
        resource = "validatingadmissionpolicies.admissionregistration.k8s.io"

        def relabelled(live):
            return {**live, "metadata": {**live["metadata"], "labels": {"a": "b"}}}

        await cluster.update(resource, "policy", relabelled)
        ((same, _),) = plugin.source.force().hooks
        assert same is policy

        def stricter(live):
            return {**live, "spec": {**live["spec"], "validations": [{"expression": "object.data.a == '2'"}]}}

        await cluster.update(resource, "policy", stricter)
        ((other, _),) = plugin.source.force().hooks
        assert other is not policy
        assert await outcome(cluster, config_map(a="1")) != ""

    in_cluster(scenario)
