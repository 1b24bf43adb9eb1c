"""The ABAC authorizer: policies by line, of both forms."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.abac import ABACAuthorizer, load_policy_file
from apiserver_workers.authorization.attributes import Attributes, Decision

ALICE = UserInfo("alice", "", ("dev", "system:authenticated"))
NOBODY = UserInfo("system:anonymous", "", ("system:unauthenticated",))


def policy(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": spec}


def authorizer(tmp_path, *lines: Any) -> ABACAuthorizer:
    path = tmp_path / "policy.jsonl"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return ABACAuthorizer(load_policy_file(str(path)))


def pods(verb: str = "get", user: UserInfo = ALICE, namespace: str = "ns", group: str = "") -> Attributes:
    return Attributes(user, verb, namespace=namespace, api_group=group, resource="pods")


def path(path: str, verb: str = "get", user: UserInfo = ALICE) -> Attributes:
    return Attributes(user, verb, resource_request=False, path=path)


def allows(abac: ABACAuthorizer, attributes: Attributes) -> bool:
    decision, reason = asyncio.run(abac.authorize(attributes))
    assert decision in (Decision.ALLOW, Decision.NO_OPINION)
    assert reason == ("" if decision is Decision.ALLOW else "No policy matched.")
    return decision is Decision.ALLOW


EVERYTHING = {"namespace": "*", "resource": "*", "apiGroup": "*", "nonResourcePath": "*"}


@pytest.mark.parametrize(
    ("line", "asked", "allowed"),
    [
        (policy(user="alice", **EVERYTHING), pods("delete"), True),
        (policy(user="bob", **EVERYTHING), pods(), False),
        (policy(group="dev", **EVERYTHING), path("/healthz"), True),
        (policy(user="alice", group="qa", **EVERYTHING), pods(), False),
        (policy(user="*", **EVERYTHING), pods(), True),
        (policy(user="*", **EVERYTHING), pods(user=NOBODY), False),
        (policy(group="*", **EVERYTHING), pods(user=NOBODY), False),
        (policy(group="system:unauthenticated", **EVERYTHING), pods(user=NOBODY), True),
        (policy(**EVERYTHING), pods(), False),
        (policy(user="alice", readonly=True, **EVERYTHING), pods("list"), True),
        (policy(user="alice", readonly=True, **EVERYTHING), pods("create"), False),
        (policy(user="alice", namespace="ns", resource="pods", apiGroup=""), pods(), True),
        (policy(user="alice", namespace="ns", resource="pods"), pods(namespace="other"), False),
        (policy(user="alice", namespace="ns", resource="pods"), pods(group="apps"), False),
        (policy(user="alice", namespace="ns", resource="services"), pods(), False),
        (policy(user="alice", namespace="*", resource="*", apiGroup="*"), path("/healthz"), False),
        (policy(user="alice", nonResourcePath="/logs/*"), path("/logs/x"), True),
        (policy(user="alice", nonResourcePath="/logs/*"), path("/version"), False),
        (policy(user="alice", nonResourcePath="/version"), path("/version"), True),
        (policy(user="alice", nonResourcePath="*"), pods(), False),
        ({"user": "alice", "resource": "pods"}, pods("delete", group="apps"), True),
        ({"user": "alice", "resource": "pods"}, path("/healthz"), False),
        ({"user": "alice"}, path("/healthz"), True),
        ({"readonly": True}, pods(), True),
        ({"readonly": True}, pods(user=NOBODY), False),
        ({"user": "alice", "namespace": "other"}, pods(), False),
        ({"group": "dev", "namespace": "ns"}, pods(), True),
    ],
)
def test_a_policy_allows_what_it_says(tmp_path, line, asked, allowed):
    assert allows(authorizer(tmp_path, "# a comment", "", line), asked) is allowed


def test_any_line_may_allow(tmp_path, caplog):
    abac = authorizer(tmp_path, policy(user="bob", **EVERYTHING), {"user": "alice"})
    assert allows(abac, pods())
    assert "contained unversioned rules" in caplog.text


def test_a_users_rules_are_those_of_the_policies(tmp_path):
    abac = authorizer(
        tmp_path,
        policy(user="alice", namespace="ns", resource="pods", apiGroup="apps", readonly=True),
        policy(user="alice", namespace="*", resource="*", nonResourcePath="/x"),
        policy(user="alice", namespace="other", resource="secrets"),
        policy(user="bob", **EVERYTHING),
    )
    held = abac.rules_for(ALICE, "ns")
    assert held.rules == [
        {"verbs": ["get", "list", "watch"], "apiGroups": ["apps"], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": [""], "resources": ["*"]},
        {"verbs": ["*"], "nonResourceURLs": ["/x"]},
    ]
    assert not held.incomplete


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: {: "),
        ("[]", "not a JSON object"),
        (json.dumps(policy(user=5)), "user must be of type string"),
        ('{"readonly": "yes"}', "readonly must be of type boolean"),
        ('{"kind": "Pod", "apiVersion": "v1"}', 'no kind "Pod" is registered for version "v1"'),
    ],
)
def test_a_bad_line_is_an_error_that_names_it(tmp_path, line, message):
    with pytest.raises(ValueError, match=r"error reading policy file .*policy\.jsonl, line 2: ") as caught:
        authorizer(tmp_path, policy(user="a"), line)
    assert message in str(caught.value)
