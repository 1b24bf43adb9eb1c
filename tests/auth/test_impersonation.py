"""Impersonation: headers, both kinds of permission, and whose refusal the client reads."""

from __future__ import annotations

import asyncio

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.policy import Policy
from apiserver_workers.authorization.rbac import RBACAuthorizer
from apiserver_workers.authorization.union import ServerAuthorizer
from apiserver_workers.server.filters.impersonation import Impersonation
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.http.request_info import request_info

from tests.auth.stored import named

ROOT = UserInfo("root", "", ("system:masters",))
ALICE = UserInfo("alice")
AUTHENTICATION = "authentication.k8s.io"


def go_on_as(
    user: UserInfo, headers: dict[str, str | list[str]], *rules: dict, path: str = "/api/v1/namespaces/ns/pods"
) -> UserInfo:
    """The user that a request of `user` with these headers goes on as, where `rules` are bound to `user`."""
    policy = Policy()
    policy.put_role(named("may", rules=list(rules)))
    ref = {"kind": "ClusterRole", "name": "may"}
    policy.put_binding(named("may", subjects=[{"kind": "User", "name": user.name}], roleRef=ref))
    seen: list[UserInfo | None] = []

    async def handler(request: Request) -> Response:
        seen.append(request.user)
        assert not any(name.startswith("impersonate-") for name in request.headers)
        return Response()

    repeated = {name: values for name, values in headers.items() if isinstance(values, list)}
    first = {name: value[0] if isinstance(value, list) else value for name, value in headers.items()}
    request = Request("GET", path, "", first, repeated=repeated, info=request_info("GET", path), user=user)
    asyncio.run(Impersonation(handler, ServerAuthorizer([RBACAuthorizer(policy)]))(request))
    (found,) = seen
    assert found is not None
    return found


def refusal(user: UserInfo, headers: dict[str, str | list[str]], *rules: dict) -> ApiError:
    with pytest.raises(ApiError) as caught:
        go_on_as(user, headers, *rules)
    return caught.value


def rule(verb: str, resource: str, *names: str, group: str = "") -> dict:
    return {
        "verbs": [verb],
        "apiGroups": [group],
        "resources": [resource],
        **({"resourceNames": list(names)} if names else {}),
    }


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, ROOT),
        ({"impersonate-user": "dave"}, UserInfo("dave", "", ("system:authenticated",))),
        ({"impersonate-user": "dave", "impersonate-group": ["a", "b, system:masters"]}, UserInfo("dave", "", ("a", "b, system:masters", "system:authenticated"))),
        ({"impersonate-user": "dave", "impersonate-uid": "7", "impersonate-extra-x%2Fy": ["1", "2, 3"]},
         UserInfo("dave", "7", ("system:authenticated",), {"x/y": ["1", "2, 3"]})),
        ({"impersonate-user": "system:anonymous"}, UserInfo("system:anonymous", "", ("system:unauthenticated",))),
        ({"impersonate-user": "system:serviceaccount:ns:robot"},
         UserInfo("system:serviceaccount:ns:robot", "",
                  ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"))),
        ({"impersonate-user": "system:node:n1"}, UserInfo("system:node:n1", "", ("system:nodes", "system:authenticated"))),
        ({"impersonate-user": "x", "impersonate-group": "system:masters"},
         UserInfo("x", "", ("system:masters", "system:authenticated"))),
    ],
)  # fmt: skip
def test_a_master_goes_on_as_anyone(headers, expected):
    assert go_on_as(ROOT, headers) == expected


@pytest.mark.parametrize(
    ("headers", "shown"),
    [
        (
            {"impersonate-extra-scopes": "x"},
            'UID:"", Groups:[]string(nil), Extra:map[string][]string{"scopes":[]string{"x"}}',
        ),
        ({"impersonate-uid": "x"}, 'UID:"x", Groups:[]string(nil), Extra:map[string][]string(nil)'),
        (
            {"impersonate-group": ["a", "b, system:masters"]},
            'UID:"", Groups:[]string{"a", "b, system:masters"}, Extra:map[string][]string(nil)',
        ),
    ],
)
def test_headers_without_a_user_are_a_bad_request(headers, shown):
    error = refusal(ROOT, headers)
    assert error.code == 400
    assert error.message == f'requested &user.DefaultInfo{{Name:"", {shown}}} without impersonating a user name'


def test_the_refusal_is_that_of_the_first_mode():
    error = refusal(ALICE, {"impersonate-user": "dave"})
    assert error.message == (
        'pods is forbidden: User "alice" cannot impersonate-on:user-info:list resource "pods" '
        'in API group "" in the namespace "ns"'
    )


def test_the_old_verb_allows_by_itself():
    headers = {"impersonate-user": "dave", "impersonate-group": "dev"}
    allowed = rule("impersonate", "users", "dave"), rule("impersonate", "groups", "dev")
    assert go_on_as(ALICE, headers, *allowed).name == "dave"
    for missing in allowed:
        refusal(ALICE, headers, missing)


def test_constrained_impersonation_needs_the_user_and_the_verb():
    headers = {"impersonate-user": "dave"}
    allowed = (
        rule("impersonate-on:user-info:list", "pods"),
        rule("impersonate:user-info", "users", "dave", group=AUTHENTICATION),
    )
    assert go_on_as(ALICE, headers, *allowed).groups == ("system:authenticated",)
    for missing in allowed:
        assert refusal(ALICE, headers, missing).code == 403


def test_constrained_impersonation_never_gives_the_masters_group():
    allowed = (
        {"verbs": ["impersonate-on:user-info:list"], "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": ["impersonate:user-info"], "apiGroups": ["*"], "resources": ["*"]},
    )
    error = refusal(ALICE, {"impersonate-user": "dave", "impersonate-group": "system:masters"}, *allowed)
    assert error.message.endswith("impersonating the system:masters group is not allowed")
    error = refusal(ALICE, {"impersonate-user": "dave", "impersonate-extra-scopes": "x"}, *allowed)
    assert error.message.endswith('Invalid value: "scopes": must be a domain-prefixed path (such as "acme.io/foo")')


def test_a_service_account_may_act_as_the_node_it_runs_on():
    robot = UserInfo("system:serviceaccount:ns:robot", "", (), {"authentication.kubernetes.io/node-name": ["n1"]})
    allowed = (
        rule("impersonate-on:associated-node:list", "pods"),
        rule("impersonate:associated-node", "nodes", group=AUTHENTICATION),
    )
    assert go_on_as(robot, {"impersonate-user": "system:node:n1"}, *allowed).name == "system:node:n1"
    assert refusal(robot, {"impersonate-user": "system:node:n2"}, *allowed).code == 403
