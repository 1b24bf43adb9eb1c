"""Who may write policies with parameters: whoever may read these."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import Rights

from tests.admission.cluster import ADMIN, ALICE, Cluster, refused
from tests.admission.policies.installed import GROUP, bind, rule

SECRETS = {"apiVersion": "v1", "kind": "Secret"}
REF = {"name": "s", "namespace": "ns", "parameterNotFoundAction": "Deny"}
SHOWN = "&{alice  [dev] map[]}"
READER = UserInfo("reader", "", ("dev",))


async def install(cluster: Cluster, user: UserInfo, resource: str, name: str, spec: dict):
    return await cluster.create(f"{resource}.{GROUP}", {"metadata": {"name": name}, "spec": spec}, user=user)


def policy(kind: dict | None) -> dict:
    made = {"matchConstraints": {"resourceRules": [rule()]}, "validations": [{"expression": "true"}]}
    return made if kind is None else {**made, "paramKind": kind}


async def allow_reader(cluster: Cluster, **more) -> None:
    """Let READER get all secrets."""
    cluster.backend.registry.permits = Rights(cluster.backend.admission.initializer.authorizer)
    api = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"], **more}]
    await cluster.create(f"clusterroles.{api}", {"metadata": {"name": "r"}, "rules": rules})
    subjects = [{"kind": "User", "name": "reader", "apiGroup": api}]
    ref = {"kind": "ClusterRole", "name": "r", "apiGroup": api}
    await cluster.create(
        f"clusterrolebindings.{api}", {"metadata": {"name": "r"}, "subjects": subjects, "roleRef": ref}
    )


def message(error) -> str:
    return error.message.partition(": ")[2]


def test_the_kind_of_parameters_needs_the_right_to_get_them_all(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await allow_reader(cluster)
        await install(cluster, ALICE, "validatingadmissionpolicies", "none", policy(None))
        error = await refused(install(cluster, ALICE, "validatingadmissionpolicies", "p", policy(SECRETS)), 422)
        why = 'must have "get" permission on all objects of the referenced paramKind (kind=Secret, apiVersion=v1)'
        assert message(error) == f"spec.paramKind: Forbidden: user {SHOWN} {why}"
        await install(cluster, READER, "validatingadmissionpolicies", "p", policy(SECRETS))
        await install(cluster, ADMIN, "validatingadmissionpolicies", "q", policy(SECRETS))
        unknown = policy({"apiVersion": "v1", "kind": "None"})
        await refused(install(cluster, READER, "validatingadmissionpolicies", "r", unknown), 422)

    in_cluster(scenario)


def test_an_update_that_leaves_the_kind_of_parameters_is_not_asked_about(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await allow_reader(cluster)
        await install(cluster, ADMIN, "validatingadmissionpolicies", "p", policy(SECRETS))

        def fails(live):
            return {**live, "spec": {**live["spec"], "failurePolicy": "Ignore"}}

        def others(live):
            return {**live, "spec": {**live["spec"], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}}

        await cluster.update(f"validatingadmissionpolicies.{GROUP}", "p", fails, user=ALICE)
        await refused(cluster.update(f"validatingadmissionpolicies.{GROUP}", "p", others, user=ALICE), 422)

    in_cluster(scenario)


@pytest.mark.parametrize(
    ("resource", "ref", "why"),
    [
        (
            "validatingadmissionpolicybindings",
            REF,
            f'user {SHOWN} does not have "get" permission on the object referenced by paramRef',
        ),
        (
            "validatingadmissionpolicybindings",
            {"selector": {}, "parameterNotFoundAction": "Deny"},
            f'user {SHOWN} does not have "list" permission on the object referenced by paramRef',
        ),
        (
            "mutatingadmissionpolicybindings",
            REF,
            f"unable to get policy p to determine minimum required permissions and user {SHOWN} does not have "
            '"get" permission for all groups, versions and resources',
        ),
    ],
)
def test_a_binding_needs_the_right_to_read_its_parameters(in_cluster, resource, ref, why):
    async def scenario(cluster: Cluster) -> None:
        await allow_reader(cluster)
        await install(cluster, ADMIN, "validatingadmissionpolicies", "p", policy(SECRETS))
        spec = {"policyName": "p", "paramRef": ref}
        if resource.startswith("validating"):
            spec["validationActions"] = ["Deny"]
        error = await refused(install(cluster, ALICE, resource, "b", spec), 422)
        assert message(error) == f"spec.paramRef: Forbidden: {why}"
        if ref is REF and resource.startswith("validating"):
            await install(cluster, READER, resource, "b", spec)

    in_cluster(scenario)


def test_names_of_files_are_reserved_while_there_may_be_files(in_cluster):
    async def scenario(cluster: Cluster) -> None:
        await bind(cluster, "p", name="free.static.k8s.io")
        feature_gates.use({"ManifestBasedAdmissionControlConfig": True})
        try:
            attempt = bind(cluster, "p", name="taken.static.k8s.io")
            error = await refused(attempt, 422)
        finally:
            feature_gates.use({})
        why = 'names ending with ".static.k8s.io" are reserved for static manifest-based configurations and cannot be '
        assert why in error.message

    in_cluster(scenario)
