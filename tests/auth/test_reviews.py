"""Access and token reviews, as functions from question to answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.union import server_authenticator
from apiserver_workers.authorization.node import NodeAuthorizer
from apiserver_workers.authorization.node_graph import NodeGraph
from apiserver_workers.authorization.policy import Policy
from apiserver_workers.authorization.rbac import RBACAuthorizer
from apiserver_workers.authorization.union import ServerAuthorizer
from apiserver_workers.core.reviews import AUTHENTICATION, AUTHORIZATION, Reviews
from apiserver_workers.server.config import ServerConfig

from tests.auth.stored import named

ALICE = UserInfo("alice", "alice-uid", ("dev", "system:authenticated"), {"k": ["v"]})
RULES = [
    {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["configmaps"]},
    {"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["one"]},
    {"verbs": ["get"], "nonResourceURLs": ["/x"]},
]


@pytest.fixture
def reviews(tmp_path) -> Reviews:
    policy = Policy()
    policy.put_role(named("reader", "ns", rules=RULES))
    ref = {"kind": "Role", "name": "reader"}
    policy.put_binding(named("alice", "ns", subjects=[{"kind": "User", "name": "alice"}], roleRef=ref))
    tokens = tmp_path / "tokens.csv"
    tokens.write_text('secret,alice,alice-uid,"dev"\n')
    config = ServerConfig(
        instance="i", run_dir=str(tmp_path), service_ip="10.0.0.1", loopback_token="l", token_auth_file=str(tokens),
        api_audiences=("api",),
    )  # fmt: skip
    authorizer = ServerAuthorizer([NodeAuthorizer(NodeGraph(), []), RBACAuthorizer(policy)])
    return Reviews(server_authenticator(config), authorizer)


def ask(reviews: Reviews, group: str, kind: str, spec: Any = None, *, namespace: str = "", **metadata: Any) -> Any:
    obj: dict[str, Any] = {"kind": kind, "apiVersion": f"{group}/v1", "metadata": dict(metadata)}
    if spec is not None:
        obj["spec"] = spec
    return asyncio.run(reviews.create(group, kind.lower() + "s", obj, ALICE, namespace))


def resource(verb: str, name: str, namespace: str = "ns") -> dict[str, Any]:
    return {"resourceAttributes": {"namespace": namespace, "verb": verb, "resource": name}}


ALLOWED = {"allowed": True, "reason": 'RBAC: allowed by RoleBinding "alice/ns" of Role "reader" to User "alice"'}


def test_one_asks_about_oneself(reviews):
    spec = resource("get", "configmaps")
    answer = ask(reviews, AUTHORIZATION, "SelfSubjectAccessReview", spec)
    assert answer["spec"] == spec
    assert answer["status"] == ALLOWED
    denied = ask(reviews, AUTHORIZATION, "SelfSubjectAccessReview", resource("delete", "configmaps"))
    assert denied["status"] == {"allowed": False}


def test_one_asks_about_others(reviews):
    spec = {**resource("get", "configmaps"), "user": "alice"}
    assert ask(reviews, AUTHORIZATION, "SubjectAccessReview", spec)["status"] == ALLOWED
    masters = {**resource("delete", "nodes"), "groups": ["system:masters"]}
    assert ask(reviews, AUTHORIZATION, "SubjectAccessReview", masters)["status"] == {"allowed": True}
    node = {"resourceAttributes": {"namespace": "ns", "verb": "get", "resource": "secrets", "name": "x"},
            "user": "system:node:n", "groups": ["system:nodes"]}  # fmt: skip
    assert ask(reviews, AUTHORIZATION, "SubjectAccessReview", node)["status"] == {
        "allowed": False,
        "reason": "no relationship found between node 'n' and this object",
    }


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("SelfSubjectAccessReview", {},
         "spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes "
         "must be specified"),
        ("SelfSubjectAccessReview", {**resource("get", "pods"), "nonResourceAttributes": {"path": "/x", "verb": "get"}},
         'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: '
         "cannot be specified in combination with resourceAttributes"),
        ("SubjectAccessReview", resource("get", "pods"),
         'spec.user: Invalid value: "": at least one of user or group must be specified'),
        ("LocalSubjectAccessReview", {**resource("get", "pods", "other"), "user": "x"},
         'spec.resourceAttributes.namespace: Invalid value: "other": must match metadata.namespace'),
        ("LocalSubjectAccessReview", {"nonResourceAttributes": {"path": "/x", "verb": "get"}, "user": "x"},
         'spec.nonResourceAttributes: Invalid value: {"Path":"/x","Verb":"get"}: disallowed on this kind of request'),
        ("SelfSubjectAccessReview", {"resourceAttributes": {"verb": "list", "fieldSelector": {}}},
         "spec.resourceAttributes.fieldSelector.requirements: Required value: when spec.resourceAttributes.fieldSelector "
         "is specified, requirements or rawSelector is required"),
    ],
)  # fmt: skip
def test_a_malformed_question_is_invalid(reviews, kind, spec, message):
    metadata = {"namespace": "ns"} if kind.startswith("Local") else {}
    with pytest.raises(ApiError) as caught:
        ask(reviews, AUTHORIZATION, kind, spec, **metadata)
    if metadata:
        assert caught.value.code == 422
    assert caught.value.message == f'.authorization.k8s.io "" is invalid: {message}'


def test_a_local_question_is_about_its_namespace(reviews):
    spec = {**resource("list", "configmaps"), "user": "alice"}
    obj = {"kind": "LocalSubjectAccessReview", "apiVersion": "v1", "metadata": {"namespace": "ns"}, "spec": spec}
    answer = asyncio.run(reviews.create(AUTHORIZATION, "localsubjectaccessreviews", obj, ALICE, "ns"))
    assert answer["status"] == ALLOWED


def test_ones_rules_are_listed(reviews):
    answer = ask(reviews, AUTHORIZATION, "SelfSubjectRulesReview", {"namespace": "ns"})
    assert answer == {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": {},
        "status": {"resourceRules": RULES[:2], "nonResourceRules": RULES[2:], "incomplete": False},
    }
    with pytest.raises(ApiError, match="no namespace on request"):
        ask(reviews, AUTHORIZATION, "SelfSubjectRulesReview", {})


def test_the_rules_of_a_node_are_incomplete(reviews):
    node = UserInfo("system:node:n", "", ("system:nodes",))
    obj = {"kind": "SelfSubjectRulesReview", "apiVersion": "v1", "metadata": {}, "spec": {"namespace": "ns"}}
    status = asyncio.run(reviews.create(AUTHORIZATION, "selfsubjectrulesreviews", obj, node))["status"]
    assert status["incomplete"] is True
    assert status["evaluationError"] == "node authorizer does not support user rule resolution"


def test_one_asks_who_one_is(reviews):
    answer = ask(reviews, AUTHENTICATION, "SelfSubjectReview")
    expected = {
        "username": "alice",
        "uid": "alice-uid",
        "groups": ["dev", "system:authenticated"],
        "extra": {"k": ["v"]},
    }
    assert answer["status"] == {"userInfo": expected}
    assert answer["metadata"].keys() == {"creationTimestamp"}


@pytest.mark.parametrize(
    ("spec", "status"),
    [
        ({"token": "secret"},
         {"authenticated": True, "audiences": ["api"],
          "user": {"username": "alice", "uid": "alice-uid", "groups": ["dev", "system:authenticated"]}}),
        ({"token": "wrong"}, {"user": {}, "error": "invalid bearer token"}),
        ({"token": "secret", "audiences": ["other"]}, {"user": {}, "error": "invalid bearer token"}),
    ],
)  # fmt: skip
def test_one_asks_whose_a_token_is(reviews, spec, status):
    assert ask(reviews, AUTHENTICATION, "TokenReview", spec)["status"] == status


def test_a_token_review_needs_a_token(reviews):
    with pytest.raises(ApiError, match="token is required for TokenReview in authentication"):
        ask(reviews, AUTHENTICATION, "TokenReview", {})
