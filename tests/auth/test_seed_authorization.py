"""Who may do what on a running server: modes in their order, policies, webhooks and the structured chain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.auth.asking import ask, pair_of
from tests.auth.remote import Authority, Remote, as_json, kubeconfig
from tests.auth.test_seed_authentication import refused
from tests.running import RunningServer, wait_for

pytestmark = pytest.mark.e2e

TOKENS = 'alice,alice,,"dev"\nbob,bob,,\nhooked,hooked,7\nbanned,banned,,\n'
PODS = "/api/v1/namespaces/default/pods"


def policy(**spec: Any) -> str:
    return json.dumps({"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": spec})


POLICIES = "\n".join(
    [
        "# who may do what",
        policy(group="dev", namespace="default", resource="pods", apiGroup="", readonly=True),
        policy(user="alice", nonResourcePath="/version"),
        policy(group="system:authenticated", namespace="*", resource="*", apiGroup="authorization.k8s.io"),
        policy(user="banned", namespace="default", resource="services", apiGroup=""),
        '{"user": "bob", "namespace": "default", "resource": "configmaps"}',
    ]
)


class Judge:
    """What the webhook answers, by the name of the user."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self, method: str, path: str, body: bytes) -> Any:
        if self.broken:
            return 503, {}, b"out of order"
        review = json.loads(body)
        user = review["spec"]["user"]
        status = {"allowed": user == "hooked", "denied": user == "banned", "reason": f"{user} was judged"}
        return as_json({"kind": "SubjectAccessReview", "apiVersion": review["apiVersion"], "status": status})


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server that asks a webhook and then a policy file."""
    folder = tmp_path_factory.mktemp("judged")
    authority = Authority(folder / "remote")
    (folder / "tokens.csv").write_text(TOKENS)
    (folder / "policy.jsonl").write_text(POLICIES)
    judge = Judge()
    with Remote(authority, judge) as hook:
        config = kubeconfig(folder / "hook", f"{hook.url}/authorize", certificate_authority=authority.file)
        flags = (
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=Webhook,ABAC",
            f"--authorization-policy-file={folder / 'policy.jsonl'}",
            f"--authorization-webhook-config-file={config}",
            "--authorization-webhook-version=v1",
            "--authorization-webhook-cache-authorized-ttl=1h",
            "--authorization-webhook-cache-unauthorized-ttl=0s",
            "--aggregator-workers=1",
            "--advertise-address=192.0.2.10",
        )
        with RunningServer(folder, *flags) as server:
            yield SimpleNamespace(server=server, hook=hook, judge=judge)


@pytest.mark.seed("S18")
def test_policies_allow_what_they_say(judged):
    server = judged.server
    assert ask(server, PODS, token="alice").status == 200
    assert ask(server, "/version", token="alice").status == 200
    answer = ask(server, f"{PODS}/x", token="alice", method="DELETE")
    assert answer.status == 403
    assert answer.message.endswith("alice was judged\nNo policy matched.")
    assert ask(server, "/version", token="bob").status == 403
    assert ask(server, "/api/v1/namespaces/default/configmaps", token="bob").status == 200
    assert ask(server, "/api/v1/namespaces/kube-system/configmaps", token="bob").status == 403
    assert ask(server, PODS).status == 403


def test_the_first_opinion_counts_and_answers_are_kept(judged):
    server, hook = judged.server, judged.hook
    before = len(hook.requests)
    for _ in range(3):
        assert ask(server, "/api/v1/nodes?fieldSelector=metadata.name%3Dn", token="hooked").status == 200
    asked = hook.requests[before:]
    assert [path for _, path, _, _ in asked] == ["/authorize?timeout=30s"]
    assert json.loads(asked[0][3])["spec"] == {
        "user": "hooked",
        "uid": "7",
        "groups": ["system:authenticated"],
        "resourceAttributes": {
            "verb": "list", "version": "v1", "resource": "nodes", "name": "n",
            "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "In", "values": ["n"]}]},
        },
    }  # fmt: skip
    answer = ask(server, "/api/v1/namespaces/default/services", token="banned")
    assert answer.status == 403
    assert answer.message.endswith("banned was judged")


def test_masters_are_not_judged(judged):
    before = len(judged.hook.requests)
    assert judged.server.request("GET", "/api/v1/nodes")[0] == 200
    assert len(judged.hook.requests) == before


def test_rules_are_those_that_the_policies_tell(judged):
    review = {
        "kind": "SelfSubjectRulesReview",
        "apiVersion": "authorization.k8s.io/v1",
        "spec": {"namespace": "default"},
    }
    answer = ask(judged.server, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review, token="alice")
    assert answer.status == 201
    status = answer.obj["status"]
    assert status["resourceRules"] == [
        {"verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["pods"]},
        {"verbs": ["*"], "apiGroups": ["authorization.k8s.io"], "resources": ["*"]},
    ]
    assert status["incomplete"] is True
    assert status["evaluationError"] == "webhook authorizer does not support user rule resolution"


def test_a_webhook_that_fails_has_no_opinion(judged):
    judged.judge.broken = True
    try:
        assert ask(judged.server, PODS, token="alice").status == 200
        answer = ask(judged.server, "/version", token="bob")
        assert answer.status == 500
        assert answer.body == b'Internal Server Error: "/version": the server answered with status 503: out of order\n'
    finally:
        judged.judge.broken = False
    metrics = judged.server.request("GET", "/metrics")[1].decode()
    assert 'apiserver_authorization_webhook_evaluations_fail_open_total{name="webhook",result="error"}' in metrics
    assert 'apiserver_authorization_decisions_total{decision="allowed",name="abac",type="ABAC"}' in metrics


def webhook_entry(config: Path) -> dict[str, Any]:
    connection = {"type": "KubeConfigFile", "kubeConfigFile": str(config)}
    webhook = {
        "timeout": "3s",
        "subjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "connectionInfo": connection,
        "cacheAuthorizedRequests": False,
        "cacheUnauthorizedRequests": False,
    }
    return {"type": "Webhook", "name": "judge", "webhook": webhook}


def chain(*authorizers: dict[str, Any]) -> str:
    start = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthorizationConfiguration"}
    return json.dumps({**start, "authorizers": list(authorizers)})


@pytest.mark.seed("S18")
def test_a_structured_chain_is_followed_by_all_workers(tmp_path):
    """At first it is AlwaysDeny alone, which masters do not mind."""
    authority = Authority(tmp_path / "remote")
    (tmp_path / "tokens.csv").write_text(TOKENS)
    deny = {"type": "AlwaysDeny", "name": "alwaysdeny"}
    path, judge = tmp_path / "authorization.json", Judge()
    path.write_text(chain(deny))
    flags = (
        f"--authorization-config={path}",
        f"--token-auth-file={tmp_path / 'tokens.csv'}",
        "--aggregator-workers=2",
        "--advertise-address=192.0.2.10",
    )
    with Remote(authority, judge) as hook, RunningServer(tmp_path, *flags) as server:
        config = kubeconfig(tmp_path / "hook", hook.url, certificate_authority=authority.file)
        assert ask(server, "/api/v1/nodes", pair=pair_of(server, "admin")).status == 200
        answer = ask(server, "/api/v1/nodes", token="hooked")
        assert answer.status == 403
        assert answer.message.endswith("Everything is forbidden.")
        assert ask(server, "/healthz/poststarthook/rbac/bootstrap-roles", pair=pair_of(server, "admin")).status == 404
        path.write_text(chain(webhook_entry(config), deny))

        def statuses(token: str) -> set[int]:
            return {ask(server, "/api/v1/nodes", token=token).status for _ in range(8)}

        wait_for(lambda: statuses("hooked") == {200}, what="the new chain")
        assert statuses("alice") == {403}
        path.write_text("nonsense")
        judge.broken = True
        assert statuses("hooked") == {500}
        judge.broken = False
        assert statuses("hooked") == {200}
        metrics = server.request("GET", "/metrics")[1].decode()
        assert 'apiserver_authorization_config_controller_automatic_reloads_total{status="success"' in metrics


@pytest.mark.seed("S18")
def test_with_alwaysdeny_only_masters_may_do_anything(tmp_path):
    (tmp_path / "tokens.csv").write_text(TOKENS)
    flags = ("--authorization-mode=AlwaysDeny", f"--token-auth-file={tmp_path / 'tokens.csv'}")
    with RunningServer(tmp_path, *flags, "--advertise-address=192.0.2.10") as server:
        assert ask(server, "/api/v1/nodes", pair=pair_of(server, "admin")).status == 200
        for credentials in ({"token": "alice"}, {}):
            answer = ask(server, "/api/v1/nodes", **credentials)
            assert answer.status == 403
            assert answer.message.endswith("Everything is forbidden.")


@pytest.mark.seed("S47")
@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--authorization-mode=RBAC,RBAC"], "has mode specified more than once"),
        (["--authorization-mode=RBAC,Nope"], 'authorization-mode "Nope" is not a valid mode'),
        (["--authorization-mode="], "at least one --authorization-mode must be passed"),
        (["--authorization-mode=ABAC"], "authorization-mode ABAC's authorization policy-file not passed"),
        (["--authorization-mode=Webhook"], "authorization-mode Webhook's authorization webhook-config-file not passed"),
        (["--authorization-policy-file=/dev/null"], "cannot specify --authorization-policy-file without mode ABAC"),
        (["--authorization-webhook-config-file=x"], "cannot specify --authorization-webhook-config-file without mode"),
        (["--authorization-config=x", "--authorization-mode=RBAC"], "--authorization-config can not be specified when"),
    ],
)
def test_modes_that_do_not_fit_are_refused_at_the_start(flags, told):
    assert told in refused(*flags)


@pytest.mark.seed("S47")
def test_files_of_authorization_that_are_no_use_are_refused_at_the_start(tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("{\n")
    hook = kubeconfig(tmp_path / "hook", "https://127.0.0.1:1", certificate_authority=tmp_path / "none.crt")
    told = refused(
        "--authorization-mode=ABAC,Webhook",
        f"--authorization-policy-file={bad}",
        f"--authorization-webhook-config-file={hook}",
    )
    assert f"--authorization-policy-file: error reading policy file {bad}, line 1: " in told
    assert f"--authorization-webhook-config-file: {tmp_path / 'none.crt'}: No such file or directory" in told
    config = tmp_path / "chain"
    config.write_text(chain({"type": "ABAC", "name": "abac"}))
    assert "authorizer ABAC needs --authorization-policy-file" in refused(f"--authorization-config={config}")
    config.write_text(chain({"type": "RBAC", "name": "other"}))
    told = refused(f"--authorization-config={config}")
    assert f'--authorization-config: failed to load AuthorizationConfiguration from file "{config}"' in told
    assert "expected name rbac for authorizer RBAC instead of other" in told
