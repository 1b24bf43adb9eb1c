"""Authorization by webhooks, and the structured authorization configuration."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.union import server_authenticator
from apiserver_workers.authorization.attributes import Attributes, Decision, EvaluationError, FieldRequirement
from apiserver_workers.authorization.building import webhook_authorizer
from apiserver_workers.authorization.configuration import WebhookConfig, load_authorization_config
from apiserver_workers.authorization.union import ServerAuthorizer, server_authorizer
from apiserver_workers.authorization.webhook import WebhookAuthorizer
from apiserver_workers.core.reviews import AUTHORIZATION, Reviews
from apiserver_workers.server import config_reload
from apiserver_workers.server.client import webhook as client
from apiserver_workers.server.filters.authorization import Authorization
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.request_info import request_info

from tests.auth.remote import Authority, Remote, as_json, kubeconfig
from tests.auth.test_authentication import config

JANE = UserInfo("jane", "7", ("dev",), {"k": ["v"]})
PODS = Attributes(JANE, "list", namespace="ns", api_version="v1", resource="pods")


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.Backoff, "waits", lambda self: [0.001] * (self.steps - 1))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("remote"))


def reviewed(version: str = "v1", **status: Any) -> Any:
    return as_json({"kind": "SubjectAccessReview", "apiVersion": f"authorization.k8s.io/{version}", "status": status})


def hook(remote: Remote, **fields: Any) -> WebhookAuthorizer:
    path = kubeconfig(remote.authority.folder / "hook", remote.url, certificate_authority=remote.authority.file)
    return webhook_authorizer(WebhookConfig(str(path), **{"version": "v1", **fields}), "hook")


def ask(remote: Remote, *questions: Attributes, **fields: Any) -> list[Any]:
    async def scenario() -> list[Any]:
        authorizer = hook(remote, **fields)
        answers: list[Any] = []
        for question in questions:
            try:
                answers.append(await authorizer.authorize(question))
            except EvaluationError as error:
                answers.append((error.decision, error.reason_given, error.fault))
        authorizer.close()
        return answers

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        ({"allowed": True, "reason": "so"}, (Decision.ALLOW, "so")),
        ({"allowed": False, "reason": "no"}, (Decision.NO_OPINION, "no")),
        ({"allowed": False, "denied": True, "reason": "never"}, (Decision.DENY, "never")),
        ({"allowed": True, "denied": True},
         (Decision.DENY, "", "webhook subject access review returned both allow and deny response")),
        ({}, (Decision.NO_OPINION, "")),
        ({"allowed": "yes"}, (Decision.NO_OPINION, "")),
    ],
)  # fmt: skip
def test_a_webhook_decides(authority, status, answer):
    with Remote(authority, lambda *_: reviewed(**status)) as remote:
        assert ask(remote, PODS) == [answer]


def test_a_webhook_is_told_everything_about_the_request(authority):
    selecting = Attributes(
        JANE, "watch", namespace="ns", api_group="apps", api_version="v1", resource="deployments", subresource="scale",
        name="d", fields=(FieldRequirement("metadata.name", "!=", "x"),), label_selector="a=b,c notin (d,e),!f,g",
    )  # fmt: skip
    plain = Attributes(UserInfo("joe"), "get", resource_request=False, path="/version")
    with Remote(authority, lambda *_: reviewed()) as remote:
        ask(remote, selecting, plain)
        review, other = remote.bodies
    assert review["spec"] == {
        "user": "jane",
        "uid": "7",
        "groups": ["dev"],
        "extra": {"k": ["v"]},
        "resourceAttributes": {
            "namespace": "ns", "verb": "watch", "group": "apps", "version": "v1", "resource": "deployments",
            "subresource": "scale", "name": "d",
            "fieldSelector": {"requirements": [{"key": "metadata.name", "operator": "NotIn", "values": ["x"]}]},
            "labelSelector": {"requirements": [
                {"key": "a", "operator": "In", "values": ["b"]},
                {"key": "c", "operator": "NotIn", "values": ["d", "e"]},
                {"key": "f", "operator": "DoesNotExist"},
                {"key": "g", "operator": "Exists"},
            ]},
        },
    }  # fmt: skip
    assert other["spec"] == {"user": "joe", "nonResourceAttributes": {"path": "/version", "verb": "get"}}


def test_old_webhooks_know_groups_as_group(authority):
    with Remote(authority, lambda *_: reviewed("v1beta1", allowed=True)) as remote:
        assert ask(remote, PODS, version="v1beta1") == [(Decision.ALLOW, "")]
        (review,) = remote.bodies
    assert review["apiVersion"] == "authorization.k8s.io/v1beta1"
    assert review["spec"]["group"] == ["dev"]
    assert "groups" not in review["spec"]


def test_answers_are_kept_as_long_as_said(authority):
    status = {"allowed": True}
    with Remote(authority, lambda *_: reviewed(**status)) as remote:
        long = Attributes(JANE, "get", resource_request=False, path="/" + "x" * 10000)
        ask(remote, PODS, PODS, long, long)
        assert len(remote.requests) == 3
        ask(remote, PODS, PODS, authorized_ttl=0.0)
        assert len(remote.requests) == 5
        status["allowed"] = False
        ask(remote, PODS, PODS, authorized_ttl=0.0)
        assert len(remote.requests) == 6
        ask(remote, PODS, PODS, unauthorized_ttl=0.0)
        assert len(remote.requests) == 8


@pytest.mark.parametrize("decision", [Decision.NO_OPINION, Decision.DENY])
def test_a_webhook_that_fails_decides_as_configured(authority, decision):
    with Remote(authority, lambda *_: (500, {}, b"")) as remote:
        assert ask(remote, PODS, on_error=decision) == [(decision, "", "the server answered with status 500")]
        assert len(remote.requests) == 5


class Says:
    """An authorizer with one answer."""

    def __init__(self, *answer: Any, fault: str = "") -> None:
        self._answer = answer
        self._fault = fault

    async def authorize(self, attributes: Attributes) -> Any:
        if self._fault:
            raise EvaluationError(self._answer[0], self._answer[1], self._fault)
        return self._answer


FAILING = Says(Decision.NO_OPINION, "", fault="broken <x>")


def filtered(*authorizers: Any) -> tuple[int, bytes | str]:
    path = "/api/v1/namespaces/ns/pods"
    request = Request("GET", path, "limit=1", {}, info=request_info("GET", path, "limit=1"), user=JANE)

    async def handler(_: Request) -> Any:
        from apiserver_workers.server.http.messages import Response

        return Response(200, b"reached")

    try:
        response = asyncio.run(Authorization(handler, ServerAuthorizer(authorizers))(request))
    except ApiError as error:
        return error.code, error.message
    assert isinstance(response.body, bytes)
    return response.status, response.body


def test_a_failure_matters_only_if_nobody_else_decides():
    assert filtered(FAILING, Says(Decision.ALLOW, "")) == (200, b"reached")
    code, message = filtered(FAILING, Says(Decision.DENY, "never"))
    assert code == 403
    assert str(message).endswith(": never")
    expected = b'Internal Server Error: "/api/v1/namespaces/ns/pods?limit=1": broken &lt;x&gt;\n'
    assert filtered(FAILING, Says(Decision.NO_OPINION, "no")) == (500, expected)
    denying = Says(Decision.DENY, "", fault="broken")
    assert filtered(denying, Says(Decision.ALLOW, ""))[0] == 500


def test_a_review_tells_of_the_failure(tmp_path):
    reviews = Reviews(
        server_authenticator(config(tmp_path)), ServerAuthorizer([FAILING, Says(Decision.NO_OPINION, "no")])
    )
    spec = {"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}
    obj = {"kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "metadata": {}, "spec": spec}
    answer = asyncio.run(reviews.create(AUTHORIZATION, "subjectaccessreviews", obj, JANE))
    assert answer["status"] == {"allowed": False, "reason": "no", "evaluationError": "broken <x>"}


def chain(*authorizers: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthorizationConfiguration",
        "authorizers": list(authorizers),
    }


def webhook_entry(path: Path, **changes: Any) -> dict[str, Any]:
    webhook = {
        "timeout": "3s",
        "subjectAccessReviewVersion": "v1",
        "failurePolicy": "Deny",
        "connectionInfo": {"type": "KubeConfigFile", "kubeConfigFile": str(path)},
    }
    merged = {name: value for name, value in {**webhook, **changes}.items() if value is not None}
    return {"type": "Webhook", "name": "first.example", "webhook": merged}


DENY_ALL = {"type": "AlwaysDeny", "name": "alwaysdeny"}


def written(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "authorization.yaml"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_configuration_file_is_a_chain(tmp_path, authority):
    with Remote(authority, lambda method, path, body: reviewed(allowed=b"jane" in body)) as remote:
        path = kubeconfig(tmp_path / "hook", remote.url, certificate_authority=authority.file)
        entry = webhook_entry(path, cacheAuthorizedRequests=False)
        settings = config(tmp_path, authorization_config=written(tmp_path, chain(entry, DENY_ALL)))

        async def scenario() -> list[Any]:
            authorizer = server_authorizer(settings, None)  # type: ignore[arg-type]
            joe = Attributes(UserInfo("joe"), "get", resource="pods")
            master = Attributes(UserInfo("root", "", ("system:masters",)), "get", resource="pods")
            return [await authorizer.authorize(question) for question in (PODS, PODS, joe, joe, master)]

        allowed, refused = (Decision.ALLOW, ""), (Decision.NO_OPINION, "Everything is forbidden.")
        assert asyncio.run(scenario()) == [allowed, allowed, refused, refused, allowed]
        assert len(remote.requests) == 3
        assert remote.requests[0][1] == "/?timeout=3s"


def test_a_changed_chain_is_followed(tmp_path, authority, monkeypatch, caplog):
    monkeypatch.setattr(config_reload, "CHECK_SECONDS", 0.02)
    path = Path(written(tmp_path, chain(DENY_ALL)))
    settings = config(tmp_path, authorization_config=str(path))

    async def until(authorizer: ServerAuthorizer, decision: Decision) -> None:
        async with asyncio.timeout(5):
            while (await authorizer.authorize(PODS))[0] is not decision:
                await asyncio.sleep(0.02)

    async def scenario(entry: dict[str, Any]) -> None:
        authorizer = server_authorizer(settings, None)  # type: ignore[arg-type]
        await authorizer.start()
        await until(authorizer, Decision.NO_OPINION)
        path.write_text(json.dumps(chain(entry, DENY_ALL)))
        await until(authorizer, Decision.ALLOW)
        for bad in ("[", json.dumps(chain({"type": "RBAC", "name": "rbac"}))):
            path.write_text(bad)
            await asyncio.sleep(0.1)
            await until(authorizer, Decision.ALLOW)
        await authorizer.stop()

    with Remote(authority, lambda *_: reviewed(allowed=True)) as remote:
        hook_file = kubeconfig(tmp_path / "hook", remote.url, certificate_authority=authority.file)
        asyncio.run(scenario(webhook_entry(hook_file)))
    assert caplog.text.count("cannot reload") == 2
    assert "may not change while the server runs: AlwaysDeny" in caplog.text


def test_abac_may_be_in_a_chain(tmp_path):
    policies = tmp_path / "policy.jsonl"
    policies.write_text('{"user": "jane", "namespace": "ns"}\n')
    content = chain({"type": "ABAC", "name": "abac"})
    settings = config(
        tmp_path, authorization_config=written(tmp_path, content), authorization_policy_file=str(policies)
    )
    authorizer = server_authorizer(settings, None)  # type: ignore[arg-type]
    assert asyncio.run(authorizer.authorize(PODS))[0] is Decision.ALLOW


def with_webhook(**changes: Any) -> Callable[[Path], Any]:
    return lambda path: chain(webhook_entry(path, **changes))


def conditions(*sources: str) -> Callable[[Path], Any]:
    listed = [{"expression": source} for source in sources]
    return with_webhook(matchConditions=listed, matchConditionSubjectAccessReviewVersion="v1")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: chain(), "authorizers: Required value: at least one authorization mode must be defined"),
        (lambda path: chain({"name": "x"}), "authorizers[0].type: Required value"),
        (lambda path: chain({"type": "X", "name": "x"}), 'authorizers[0].type: Unsupported value: "X"'),
        (lambda path: chain(DENY_ALL, DENY_ALL), 'authorizers[1].type: Duplicate value: "AlwaysDeny"'),
        (lambda path: chain({"type": "RBAC"}), "authorizers[0].name: Required value"),
        (lambda path: chain({"type": "RBAC", "name": "x"}), "expected name rbac for authorizer RBAC instead of x"),
        (lambda path: chain({"type": "Webhook", "name": "x"}), "authorizers[0].webhook: Required value"),
        (lambda path: chain({**DENY_ALL, "webhook": {}}), "may only be specified when type=Webhook"),
        (lambda path: chain({**DENY_ALL, "extra": 1}), 'unknown field "authorizers[0].extra"'),
        (with_webhook(timeout=None), "authorizers[0].timeout: Required value"),
        (with_webhook(timeout="31s"), "must be > 0s and <= 30s"),
        (with_webhook(timeout="soon"), "authorizers[0].webhook.timeout must be of type duration"),
        (with_webhook(authorizedTTL="-1s"), 'authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s'),
        (with_webhook(failurePolicy=None), "authorizers[0].failurePolicy: Required value"),
        (with_webhook(failurePolicy="Ignore"), 'Unsupported value: "Ignore": supported values: "NoOpinion", "Deny"'),
        (with_webhook(subjectAccessReviewVersion="v2"), 'Unsupported value: "v2"'),
        (with_webhook(connectionInfo={"type": "InClusterConfig"}), 'Unsupported value: "InClusterConfig"'),
        (with_webhook(connectionInfo={"type": "KubeConfigFile", "kubeConfigFile": "x"}), "must be an absolute path"),
        (with_webhook(connectionInfo={"type": "KubeConfigFile", "kubeConfigFile": "/nowhere/x"}),
         "error loading file: no such file or directory"),
        (with_webhook(connectionInfo={"type": "KubeConfigFile", "kubeConfigFile": "/"}), "must be a regular file"),
        (conditions("1"), 'authorizers[0].matchConditions[0].expression: Invalid value: "1": must evaluate to bool but'),
        (conditions(" "), "authorizers[0].matchConditions[0].expression: Required value"),
        (conditions("true", "true"), 'authorizers[0].matchConditions[1].expression: Duplicate value: "true"'),
        (conditions("request.x"), "ERROR: <input>:1:8: undefined field 'x'"),
        (conditions(*["true"] * 65), "authorizers[0].matchConditions: Too many: 65: must have at most 64 items"),
        (with_webhook(matchConditions=[{"expression": "true"}]), "required if match conditions are specified"),
    ],
)  # fmt: skip
def test_a_chain_that_is_not_sound_is_an_error_that_names_file_and_field(tmp_path, make, message):
    path = kubeconfig(tmp_path / "hook", "https://127.0.0.1:1")
    file = written(tmp_path, make(path))
    with pytest.raises(ValueError, match="failed to load AuthorizationConfiguration from file") as caught:
        load_authorization_config(file)
    assert file in str(caught.value)
    assert message in str(caught.value)


NOT_RESOURCE = Attributes(JANE, "get", resource_request=False, path="/healthz")
FAILED = "cel evaluation error: expression 'request.nonResourceAttributes.path == 'x'' resulted in error: no such key:"


@pytest.mark.parametrize(
    ("sources", "question", "answer"),
    [
        (("true",), PODS, (Decision.ALLOW, "")),
        (
            ("request.user == 'jane'", "'dev' in request.groups", "request.extra['k'] == ['v']"),
            PODS,
            (Decision.ALLOW, ""),
        ),
        (("request.user == 'joe'",), PODS, (Decision.NO_OPINION, "")),
        (
            ("request.resourceAttributes.name == '' && request.resourceAttributes.group == ''",),
            PODS,
            (Decision.ALLOW, ""),
        ),
        (("has(request.resourceAttributes)",), NOT_RESOURCE, (Decision.NO_OPINION, "")),
        (("request.nonResourceAttributes.path == '/healthz'",), NOT_RESOURCE, (Decision.ALLOW, "")),
        (("has(request.resourceAttributes.labelSelector)",), PODS, (Decision.NO_OPINION, "")),
        # what is false counts before what fails
        (("request.nonResourceAttributes.path == 'x'", "false"), PODS, (Decision.NO_OPINION, "")),
    ],
)
def test_a_webhook_is_asked_of_what_its_conditions_let_through(authority, sources, question, answer):
    with Remote(authority, lambda *_: reviewed(allowed=True)) as remote:
        assert ask(remote, question, conditions=sources, on_error=Decision.DENY) == [answer]
        assert len(remote.requests) == (answer[0] is Decision.ALLOW)


@pytest.mark.parametrize("decision", [Decision.DENY, Decision.NO_OPINION])
def test_conditions_that_fail_decide_as_configured(authority, decision):
    with Remote(authority, lambda *_: reviewed(allowed=True)) as remote:
        fails = "request.nonResourceAttributes.path == 'x'"
        ((found, reason, fault),) = ask(remote, PODS, conditions=(fails, "true"), on_error=decision)
        assert (found, reason) == (decision, "")
        assert fault == f"{FAILED} nonResourceAttributes"
        assert not remote.requests
