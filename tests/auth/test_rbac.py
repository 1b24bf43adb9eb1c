"""RBAC: what rules allow, who holds them, and how refusals read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization import bootstrap_policy
from apiserver_workers.authorization.attributes import Attributes, Decision, forbidden_error
from apiserver_workers.authorization.building import Always
from apiserver_workers.authorization.policy import Policy
from apiserver_workers.authorization.rbac import RBACAuthorizer
from apiserver_workers.authorization.rules import compile_rule, describe, uncovered
from apiserver_workers.authorization.union import ServerAuthorizer

from tests.auth.stored import named

ALICE = UserInfo("alice", "", ("dev",))


def asks(verb: str, resource: str = "", **fields: Any) -> Attributes:
    resource, _, subresource = resource.partition("/")
    return Attributes(ALICE, verb, resource=resource, subresource=subresource, **fields)


def decide(policy: Policy, attributes: Attributes) -> tuple[Decision, str]:
    return asyncio.run(RBACAuthorizer(policy).authorize(attributes))


RULES: list[tuple[dict[str, Any], Attributes, bool]] = [
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, asks("get", "pods"), True),
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, asks("list", "pods"), False),
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, asks("get", "pods", api_group="apps"), False),
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}, asks("get", "pods/log"), False),
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"]}, asks("get", "pods/log"), True),
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"]}, asks("get", "pods"), False),
    ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, asks("any", "pods/log", api_group="x"), True),
    ({"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]}, asks("get", "pods"), False),
    (
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "resourceNames": ["a"]},
        asks("get", "pods", name="a"),
        True,
    ),
    ({"verbs": ["get"], "nonResourceURLs": ["/x/*"]}, asks("get", path="/x/y", resource_request=False), True),
    ({"verbs": ["get"], "nonResourceURLs": ["/x/*"]}, asks("get", path="/x", resource_request=False), False),
    ({"verbs": ["get"], "nonResourceURLs": ["*"]}, asks("get", path="/", resource_request=False), True),
    ({"verbs": ["get"], "nonResourceURLs": ["*"]}, asks("get", "pods"), False),
    ({"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"]}, asks("get", path="/x", resource_request=False), False),
]


@pytest.mark.parametrize(("rule", "attributes", "allowed"), RULES)
def test_a_rule_allows_what_it_names(rule, attributes, allowed):
    assert compile_rule(rule).allows(attributes) is allowed


def binding(name: str, subject: dict[str, str], role: tuple[str, str], namespace: str = "") -> dict[str, Any]:
    return named(name, namespace, subjects=[subject], roleRef={"kind": role[0], "name": role[1]})


READ = [{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]}]


@pytest.mark.parametrize(
    ("subject", "user", "shown"),
    [
        ({"kind": "User", "name": "alice"}, ALICE, 'User "alice"'),
        ({"kind": "Group", "name": "dev"}, ALICE, 'Group "dev"'),
        (
            {"kind": "ServiceAccount", "name": "robot"},
            UserInfo("system:serviceaccount:ns:robot"),
            'ServiceAccount "robot/ns"',
        ),
        (
            {"kind": "ServiceAccount", "name": "robot", "namespace": "other"},
            UserInfo("system:serviceaccount:other:robot"),
            'ServiceAccount "robot/other"',
        ),
    ],
)
def test_a_role_binding_allows_its_subjects_in_its_namespace_only(subject, user, shown):
    policy = Policy()
    policy.put_role(named("reader", "ns", rules=READ))
    policy.put_binding(binding("b", subject, ("Role", "reader"), "ns"))
    question = Attributes(user, "get", resource="configmaps", namespace="ns")
    expected = f'RBAC: allowed by RoleBinding "b/ns" of Role "reader" to {shown}'
    assert decide(policy, question) == (Decision.ALLOW, expected)
    assert decide(policy, Attributes(user, "get", resource="configmaps", namespace="x"))[0] is Decision.NO_OPINION
    assert decide(policy, Attributes(user, "get", resource="configmaps"))[0] is Decision.NO_OPINION
    assert (
        decide(policy, Attributes(UserInfo("bob"), "get", resource="configmaps", namespace="ns"))[0]
        is not Decision.ALLOW
    )


def test_a_cluster_role_binding_allows_everywhere():
    policy = Policy()
    policy.put_role(named("reader", rules=READ))
    policy.put_binding(binding("all", {"kind": "Group", "name": "dev"}, ("ClusterRole", "reader")))
    for namespace in ("", "a", "b"):
        decision, reason = decide(policy, asks("get", "configmaps", namespace=namespace))
        assert decision is Decision.ALLOW
        assert reason == 'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "reader" to Group "dev"'


def test_a_binding_to_a_missing_role_is_told():
    policy = Policy()
    policy.put_binding(binding("b", {"kind": "User", "name": "alice"}, ("Role", "gone"), "ns"))
    decision, reason = decide(policy, asks("get", "configmaps", namespace="ns"))
    assert decision is Decision.NO_OPINION
    assert reason == 'RBAC: role.rbac.authorization.k8s.io "gone" not found'


def test_changes_of_roles_and_bindings_take_effect_at_once():
    policy = Policy()
    rbac = RBACAuthorizer(policy)
    question = asks("get", "configmaps", namespace="ns")
    role = named("reader", "ns", rules=READ)
    bound = binding("b", {"kind": "User", "name": "alice"}, ("Role", "reader"), "ns")

    def allowed() -> bool:
        return asyncio.run(rbac.authorize(question))[0] is Decision.ALLOW

    generations = {rbac.policy.generation}
    for change, expected in [
        (lambda: policy.put_binding(bound), False),
        (lambda: policy.put_role(role), True),
        (lambda: policy.put_role({**role, "rules": []}), False),
        (lambda: policy.put_role(role), True),
        (lambda: policy.put_binding({**bound, "subjects": []}), False),
        (lambda: policy.put_binding(bound), True),
        (lambda: policy.delete_role(role), False),
        (lambda: policy.put_role(role), True),
        (lambda: policy.delete_binding(bound), False),
    ]:
        change()
        assert allowed() is expected
        assert rbac.policy.generation not in generations
        generations.add(rbac.policy.generation)


def test_masters_may_do_all_and_an_empty_union_refuses():
    nobody = ServerAuthorizer([])
    master = UserInfo("root", "", ("system:masters",))
    assert asyncio.run(nobody.authorize(Attributes(master, "delete", resource="nodes")))[0] is Decision.ALLOW
    assert asyncio.run(nobody.authorize(asks("get", "pods"))) == (Decision.NO_OPINION, "")


def test_the_union_asks_in_order_and_joins_reasons():
    silent = [Always(Decision.NO_OPINION, "one"), Always(Decision.NO_OPINION), Always(Decision.NO_OPINION, "two")]
    assert asyncio.run(ServerAuthorizer(silent).authorize(asks("get", "pods"))) == (Decision.NO_OPINION, "one\ntwo")
    allowing = ServerAuthorizer([*silent, Always(Decision.ALLOW, "three"), Always(Decision.DENY)])
    assert asyncio.run(allowing.authorize(asks("get", "pods"))) == (Decision.ALLOW, "three")


@pytest.mark.parametrize(
    ("attributes", "reason", "message"),
    [
        (
            asks("list", "pods", namespace="ns"),
            "",
            'pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "ns"',
        ),
        (
            asks("patch", "deployments/scale", api_group="apps", name="x"),
            "why",
            'deployments.apps "x" is forbidden: User "alice" cannot patch resource "deployments/scale" '
            'in API group "apps" at the cluster scope: why',
        ),
        (asks("get", path="/x", resource_request=False), "", 'forbidden: User "alice" cannot get path "/x"'),
    ],
)
def test_refusals_read_as_upstream(attributes, reason, message):
    error = forbidden_error(attributes, reason)
    assert (error.code, error.reason, error.message) == (403, "Forbidden", message)


@pytest.mark.parametrize(
    ("held", "wanted", "missing"),
    [
        (READ, READ, []),
        (READ, [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps", "secrets"]}],
         ['{APIGroups:[""], Resources:["configmaps"], Verbs:["list"]}',
          '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "list"]}']),
        ([{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"]}], READ,
         ['{APIGroups:[""], Resources:["configmaps"], Verbs:["get"]}']),
        (READ, [{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"]}], []),
        ([], [{"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a", "b"]}],
         ['{APIGroups:[""], Resources:["configmaps"], ResourceNames:["a"], Verbs:["get"]}',
          '{APIGroups:[""], Resources:["configmaps"], ResourceNames:["b"], Verbs:["get"]}']),
        ([{"verbs": ["get"], "nonResourceURLs": ["/a/*"]}], [{"verbs": ["get"], "nonResourceURLs": ["/a/b", "/c"]}],
         ['{NonResourceURLs:["/c"], Verbs:["get"]}']),
        ([{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}], [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
         ['{NonResourceURLs:["*"], Verbs:["*"]}']),
        ([{"verbs": ["get"], "apiGroups": [""], "resources": ["*/log"]}],
         [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods/log"]}], []),
    ],
)  # fmt: skip
def test_rules_cover_rules(held, wanted, missing):
    assert describe(uncovered(held, wanted)) == missing


def test_the_bootstrap_policy_gives_everyone_discovery_and_nobody_more():
    policy = Policy()
    for role in (*bootstrap_policy.cluster_roles(), *bootstrap_policy.roles()):
        policy.put_role(role)
    for bound in (*bootstrap_policy.cluster_role_bindings(), *bootstrap_policy.role_bindings()):
        policy.put_binding(bound)
    user = UserInfo("alice", "", ("system:authenticated",))
    discovery = Attributes(user, "get", resource_request=False, path="/openapi/v2")
    assert decide(policy, discovery) == (
        Decision.ALLOW,
        'RBAC: allowed by ClusterRoleBinding "system:discovery" of ClusterRole "system:discovery" '
        'to Group "system:authenticated"',
    )
    assert decide(policy, Attributes(user, "get", resource="secrets", namespace="kube-system"))[0] is not Decision.ALLOW
    scheduler = UserInfo("system:kube-scheduler", "", ("system:authenticated",))
    assert decide(policy, Attributes(scheduler, "create", resource="pods", subresource="binding"))[0] is Decision.ALLOW
