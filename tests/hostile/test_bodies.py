"""Bodies whose handling was once quadratic or cubic: another client is served meanwhile."""

from __future__ import annotations

import json
from typing import Any

from tests.hostile.attacking import bystanders_unharmed
from tests.running import RunningServer

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
ROLES = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles"
AUTHORIZATION = {"apiVersion": "rbac.authorization.k8s.io/v1"}


def test_22_000_owners_cost_nobody_else_anything(server: RunningServer) -> None:
    owners = [{"apiVersion": "v1", "kind": "K", "name": f"n{i}", "uid": f"u{i}"} for i in range(22_000)]
    with bystanders_unharmed(server):
        code, body = server.request(
            "POST", CONFIG_MAPS, {"metadata": {"name": "owned", "ownerReferences": owners}}, timeout=30
        )
        assert code == 201, body[:300]  # without managedFields, as upstream stores what is too large with them
        assert "managedFields" not in json.loads(body)["metadata"]
        server.request("DELETE", f"{CONFIG_MAPS}/owned", timeout=30)


def test_600_controlling_owners_are_refused_in_a_small_answer(server: RunningServer) -> None:
    owners = [
        {"apiVersion": "v1", "kind": "K", "name": f"n{i}", "uid": f"u{i}", "controller": True} for i in range(600)
    ]
    code, body = server.request("POST", CONFIG_MAPS, {"metadata": {"name": "owned", "ownerReferences": owners}})
    assert code == 422
    assert len(body) < 1 << 20


def wide(verbs: str = "v") -> dict[str, Any]:
    numbers = range(80)
    return {
        "apiGroups": [f"g{i}" for i in numbers],
        "resources": [f"r{i}" for i in numbers],
        "verbs": [f"{verbs}{i}" for i in numbers],
    }


def test_a_wide_role_of_somebody_who_may_not_give_it(server: RunningServer) -> None:
    may = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]}
    held = {**AUTHORIZATION, "kind": "Role", "metadata": {"name": "maker"}, "rules": [may, wide("held")]}
    assert server.request("POST", ROLES, held)[0] == 201
    binding = {
        **AUTHORIZATION,
        "kind": "RoleBinding",
        "metadata": {"name": "maker"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "mallory"}],
    }
    assert server.request("POST", ROLES.replace("roles", "rolebindings"), binding)[0] == 201
    role = {**AUTHORIZATION, "kind": "Role", "metadata": {"name": "wide"}, "rules": [wide()]}
    with bystanders_unharmed(server):
        code, body = server.request("POST", ROLES, role, timeout=30, Impersonate_User="mallory")
    assert code == 403
    assert "attempting to grant RBAC permissions not currently held" in json.loads(body)["message"]
    assert len(body) < 1 << 20
