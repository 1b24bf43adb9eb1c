"""MutatingAdmissionPolicy: what it changes, when it runs again, and how its failures are answered."""

from __future__ import annotations

import pytest
from apiserver_workers.admission.policies.mutating import MutatingAdmissionPolicy
from apiserver_workers.apimachinery import feature_gates

from tests.admission.cluster import Cluster, pod, refused
from tests.admission.policies.installed import (
    applying,
    config_map,
    mutating,
    outcome,
    patching,
    rule,
    validating,
)

LABEL = "Object{{metadata: Object.metadata{{labels: {{'{}': {}}}}}}}"
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}


def label(name: str, value: str = "'1'") -> dict:
    return applying(LABEL.format(name, value))


async def labels_of(cluster: Cluster, obj: dict) -> dict:
    created = await cluster.create("configmaps", obj, dry_run=True)
    return created["metadata"].get("labels", {})


@pytest.mark.parametrize(
    ("mutations", "labels"),
    [
        ([label("a")], {"a": "1"}),
        ([label("a"), label("b", "object.metadata.labels.a + '2'")], {"a": "1", "b": "12"}),
        (
            [patching("[JSONPatch{op: 'add', path: '/metadata/labels', value: {'a': namespaceObject.metadata.name}}]")],
            {"a": "ns"},
        ),
        (
            [
                patching(
                    "[JSONPatch{op: 'add', path: '/metadata/labels', value: {}}, JSONPatch{op: 'add', path: "
                    "'/metadata/labels/' + jsonpatch.escapeKey('x.y/z'), value: 'v'}]"
                ),
            ],
            {"x.y/z": "v"},
        ),
        ([patching("[JSONPatch{op: 'test', path: '/data/a', value: 'no'}]"), label("b")], {"b": "1"}),
    ],
)
def test_mutations_are_carried_out_in_their_order(in_cluster, mutations, labels):
    async def scenario(cluster: Cluster) -> None:
        await mutating(cluster, *mutations)
        assert await labels_of(cluster, config_map(a="1")) == labels

    in_cluster(scenario)


def test_variables_and_conditions_of_a_mutating_policy(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await mutating(
            cluster,
            label("size", "variables.size"),
            variables=[{"name": "size", "expression": "string(object.data.size())"}],
            matchConditions=[{"name": "data", "expression": "has(object.data)"}],
        )
        assert await labels_of(cluster, config_map(a="1", b="2")) == {"size": "2"}
        assert await labels_of(cluster, config_map()) == {}

    in_cluster(scenario)


def test_a_sidecar_gets_its_defaults_and_passes_the_plugins_of_pods(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        side = "Object.spec.initContainers{name: 'side', image: 'proxy', restartPolicy: 'Always'}"
        await mutating(
            cluster,
            applying(f"Object{{spec: Object.spec{{initContainers: [{side}]}}}}"),
            rules=[rule(["CREATE"], **PODS)],
        )
        created = await cluster.create("pods", pod())
        (added,) = created["spec"]["initContainers"]
        assert (added["name"], added["imagePullPolicy"]) == ("side", "Always")
        # ServiceAccount adds its token's volume to containers that came after its first round.
        assert added["volumeMounts"] == created["spec"]["containers"][0]["volumeMounts"]

    in_cluster(scenario)


def test_validating_policies_see_what_mutating_ones_made(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await mutating(cluster, label("a"))
        await validating(cluster, "object.metadata.labels.a == '1'")
        assert await outcome(cluster, config_map()) == ""

    in_cluster(scenario)


@pytest.mark.parametrize(("policy", "labels"), [("Never", {"b": "1"}), ("IfNeeded", {"a": "seen", "b": "1"})])
def test_a_policy_may_run_again_when_a_later_one_changed_the_object(in_cluster, policy, labels):
    async def scenario(cluster: Cluster) -> None:
        seen = "has(object.metadata.labels) && 'b' in object.metadata.labels"
        labelled = patching(
            f"{seen} ? [JSONPatch{{op: 'add', path: '/metadata/labels/a', value: 'seen'}}] : []",
        )
        await mutating(cluster, labelled, name="first", reinvocationPolicy=policy)
        await mutating(cluster, label("b"), name="second")
        assert await labels_of(cluster, config_map()) == labels

    in_cluster(scenario)


DENIED = "policy 'policy' with binding 'policy' denied request: "


@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize(
    ("mutation", "why"),
    [
        (
            label("a", "object.data.none"),
            "expression 'Object{metadata: Object.metadata{labels: {'a': object.data.none}}}' resulted in error: "
            "no such key: none",
        ),
        (
            applying("Object{none: 1}"),
            "error applying patch: failed to convert patch object to typed object: .none: field not declared in schema",
        ),
        (
            patching("[JSONPatch{op: 'remove', path: '/data/none'}]"),
            "JSON Patch: error in remove for path: '/data/none': Unable to remove nonexistent key: none: missing value",
        ),
    ],
)
def test_a_mutation_that_fails(in_cluster, mutation, why, policy):
    async def scenario(cluster: Cluster) -> None:
        await mutating(cluster, mutation, label("b"), failurePolicy=policy)
        if policy == "Ignore":
            assert await labels_of(cluster, config_map(a="1")) == {"b": "1"}
            return
        error = await refused(cluster.create("configmaps", config_map(a="1")))
        assert (error.message, error.reason) == (DENIED + why, "Invalid")
        assert error.details == {"name": "c", "kind": "configmaps", "causes": [{"message": DENIED + why}]}

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("{op: 'add', path: '/none', value: 1}", 'strict decoding error: unknown field "none"'),
        (
            "{op: 'add', path: '/data', value: {'a': 1}}",
            "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
        ),
    ],
)
def test_a_patch_that_makes_no_object_is_an_internal_error_whatever_the_policy(in_cluster, patch, why):
    async def scenario(cluster: Cluster) -> None:
        await mutating(cluster, patching(f"[JSONPatch{patch}]"), failurePolicy="Ignore")
        error = await refused(cluster.create("configmaps", config_map(a="1")), 500)
        assert error.message == f"Internal error occurred: {why}"

    in_cluster(scenario)


def test_a_policy_that_cannot_be_configured_refuses_without_another_reason(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await mutating(cluster, label("a"), paramKind={"apiVersion": "v1", "kind": "Nope"})
        error = await refused(cluster.create("configmaps", config_map()))
        why = "failed to configure policy: failed to find resource referenced by paramKind: '/v1, Kind=Nope'"
        assert (error.message, error.reason) == (f'policy "policy" denied request: {why}', "Forbidden")

    in_cluster(scenario)


def test_deletions_are_not_mutated_and_updates_are(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("configmaps", config_map(a="1"))
        await mutating(cluster, label("a"), rules=[rule(["*"])])
        updated = await cluster.update("configmaps", "c", lambda live: {**live, "data": {"a": "2"}})
        assert updated["metadata"]["labels"] == {"a": "1"}
        await cluster.delete("configmaps", "c")

    in_cluster(scenario)


def test_the_name_cannot_be_changed_and_managed_fields_stay(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await cluster.create("configmaps", config_map(a="1"))
        await mutating(cluster, patching("[JSONPatch{op: 'replace', path: '/metadata/name', value: 'other'}]"))
        error = await refused(cluster.update("configmaps", "c", lambda live: {**live, "data": {"a": "2"}}), 422)
        assert "metadata.name: Invalid value" in error.message

    in_cluster(scenario)


@pytest.mark.parametrize(("on", "seen"), [(True, True), (False, False)])
def test_the_gate_decides_whether_stored_policies_count(on, seen):
    feature_gates.use({"MutatingAdmissionPolicy": on})
    try:
        assert MutatingAdmissionPolicy.handles("CREATE", "", "configmaps", "") is seen
    finally:
        feature_gates.use({})


@pytest.mark.parametrize(
    ("group", "resource", "seen"),
    [
        ("", "configmaps", True),
        ("admissionregistration.k8s.io", "mutatingadmissionpolicies", False),
        ("admissionregistration.k8s.io", "validatingadmissionpolicybindings", False),
        ("admissionregistration.k8s.io", "validatingwebhookconfigurations", True),
        ("authentication.k8s.io", "tokenreviews", False),
        ("authorization.k8s.io", "subjectaccessreviews", False),
    ],
)
def test_what_is_exempt(group, resource, seen):
    assert MutatingAdmissionPolicy.handles("CREATE", group, resource, "") is seen
    assert not MutatingAdmissionPolicy.handles("DELETE", group, resource, "")
