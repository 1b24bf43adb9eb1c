"""Kinds that are only asked for are never shown as tables."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.running import RunningServer

TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1"
AUTHORIZATION = "/apis/authorization.k8s.io/v1"
REVIEW = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{AUTHORIZATION}/selfsubjectaccessreviews", REVIEW),
        (f"{AUTHORIZATION}/subjectaccessreviews", {"spec": {"user": "u", **REVIEW["spec"]}}),
        (f"{AUTHORIZATION}/selfsubjectrulesreviews", {"spec": {"namespace": "default"}}),
        ("/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "t"}}),
        ("/apis/authentication.k8s.io/v1/selfsubjectreviews", {}),
        ("/api/v1/namespaces/default/bindings", {"metadata": {"name": "p"}, "target": {"name": "n"}}),
        ("/api/v1/namespaces/default/pods/p/binding", {"metadata": {"name": "p"}, "target": {"name": "n"}}),
        ("/api/v1/namespaces/default/pods/p/eviction", {"metadata": {"name": "p"}}),
        ("/api/v1/namespaces/default/serviceaccounts/s/token", {"spec": {"audiences": ["a"]}}),
    ],
)
def test_a_table_is_not_acceptable(server: RunningServer, path: str, body: dict[str, Any]) -> None:
    code, answer = server.request("POST", path, body, Accept=TABLE)
    assert code == 406, answer
    assert json.loads(answer)["message"].startswith("only the following media types are accepted")
    assert server.request("POST", path, body, Accept=f"{TABLE},application/json")[0] != 406
