"""Tokens that secrets, passwords files or webhooks know, and how long answers about them are kept."""

from __future__ import annotations

import asyncio
import base64
import datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import AuthenticationError, Response
from apiserver_workers.authentication.legacy_service_account import INVALID_SINCE, LAST_USED, PREFIX
from apiserver_workers.authentication.token_cache import TokenCache
from apiserver_workers.authentication.union import ServerAuthenticator, server_authenticator
from apiserver_workers.server.filters.authentication import Authentication
from cryptography.hazmat.primitives.asymmetric import ec

from tests.auth.remote import Authority, Remote, as_json, kubeconfig, pem
from tests.auth.test_authentication import Objects as StoredObjects
from tests.auth.test_authentication import bearer, config, find, request

TOKEN = "abcdef.0123456789abcdef"
SOON = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=1)).isoformat(timespec="seconds")


class Objects(StoredObjects):
    """Stored objects, secrets among them."""

    def secret(self, name: str, namespace: str, kind: str = "", labels: Any = None, **data: str) -> None:
        self.put("secrets", namespace, name, f"uid of {name}", **({"labels": labels} if labels else {}))
        encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self.stored[("secrets", namespace, name)].update(type=kind, data=encoded)


@pytest.fixture
def objects() -> Objects:
    objects = Objects()
    objects.put("serviceaccounts", "ns", "robot", "u1")
    return objects


def bootstrap(objects: Objects, **changes: str) -> None:
    data = {"token_id": "abcdef", "token_secret": "0123456789abcdef", "usage_bootstrap_authentication": "true"}
    kind = changes.pop("kind", "bootstrap.kubernetes.io/token")
    objects.secret("bootstrap-token-abcdef", "kube-system", kind, **{**data, **changes})


def with_bootstrap_tokens(tmp_path: Path, objects: Objects) -> ServerAuthenticator:
    return server_authenticator(config(tmp_path, enable_bootstrap_token_auth=True), objects)


def test_a_bootstrap_token_names_its_user(tmp_path, objects):
    bootstrap(objects, auth_extra_groups="system:bootstrappers:z,system:bootstrappers:a:b", expiration=SOON)
    groups = ("system:bootstrappers", "system:bootstrappers:a:b", "system:bootstrappers:z", "system:authenticated")
    user = find(with_bootstrap_tokens(tmp_path, objects), headers=bearer(TOKEN))
    assert user == UserInfo("system:bootstrap:abcdef", "", groups)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "Opaque"},
        {"token_secret": "0123456789abcdee"},
        {"token_id": "abcdee"},
        {"expiration": "2020-01-01T00:00:00Z"},
        {"expiration": "soon"},
        {"usage_bootstrap_authentication": "yes"},
        {"auth_extra_groups": "system:masters"},
        {"auth_extra_groups": "system:bootstrappers:Big"},
    ],
    ids=str,
)
def test_a_secret_that_is_no_good_bootstrap_token_lets_nobody_in(tmp_path, objects, changes):
    bootstrap(objects, **changes)
    with pytest.raises(AuthenticationError, match=r"^invalid bearer token$"):
        find(with_bootstrap_tokens(tmp_path, objects), headers=bearer(TOKEN))


def test_bootstrap_tokens_are_off_by_default(tmp_path, objects):
    bootstrap(objects)
    with pytest.raises(AuthenticationError):
        find(server_authenticator(config(tmp_path), objects), headers=bearer(TOKEN))


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def passwords(tmp_path: Path) -> ServerAuthenticator:
    path = tmp_path / "passwords.csv"
    path.write_text('open,alice,alice-uid,"dev,qa"\nsesa:me,bob,7\n')
    return server_authenticator(config(tmp_path, basic_auth_file=str(path)))


def test_a_password_names_its_user_and_is_taken_off(passwords):
    asked = request(basic("alice", "open"))
    user = asyncio.run(passwords.authenticate(asked))
    assert user == UserInfo("alice", "alice-uid", ("dev", "qa", "system:authenticated"))
    assert asked.headers == {}
    assert find(passwords, headers=basic("bob", "sesa:me")).name == "bob"


@pytest.mark.parametrize(("name", "password"), [("alice", "x"), ("bob", "open"), ("carol", "open"), ("carol", "")])
def test_a_wrong_password_is_never_anonymous(passwords, name, password):
    async def handler(_: Any) -> Any:
        raise AssertionError("reached")

    with pytest.raises(ApiError) as caught:
        asyncio.run(Authentication(handler, passwords)(request(basic(name, password))))
    assert caught.value.code == 401
    assert list(caught.value.headers) == [("WWW-Authenticate", 'Basic realm="kubernetes-master"')]


@pytest.mark.parametrize("content", ["a,b\n", 'a,b,c,"d\n'])
def test_a_broken_password_file_is_an_error_at_start(tmp_path, content):
    (tmp_path / "passwords.csv").write_text(content)
    with pytest.raises(ValueError, match=r"^line 1: "):
        server_authenticator(config(tmp_path, basic_auth_file=str(tmp_path / "passwords.csv")))


class Legacy:
    """A controller manager that signs tokens of old."""

    def __init__(self, tmp_path: Path) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = tmp_path / "sa.key"
        self.file.write_bytes(pem(self.key))

    def token(self, **changes: str) -> str:
        claims = {
            "iss": "kubernetes/serviceaccount",
            "sub": "system:serviceaccount:ns:robot",
            PREFIX + "namespace": "ns",
            PREFIX + "secret.name": "robot-token",
            PREFIX + "service-account.name": "robot",
            PREFIX + "service-account.uid": "u1",
        }
        named = {PREFIX + name.replace("__", "-").replace("_", "."): value for name, value in changes.items()}
        named = {("sub" if name == PREFIX + "sub" else name): value for name, value in named.items()}
        return jwt.encode({**claims, **named}, self.key, "ES256")


@pytest.fixture
def legacy(tmp_path: Path) -> Legacy:
    return Legacy(tmp_path)


def accepts(tmp_path: Path, objects: Objects, **fields: Any) -> ServerAuthenticator:
    files = (str(tmp_path / "sa.key"),)
    return server_authenticator(config(tmp_path, service_account_key_file=files, **fields), objects)


def test_a_token_of_old_is_good_while_its_secret_is_there(tmp_path, objects, legacy):
    token = legacy.token()
    objects.secret("robot-token", "ns", token=token)
    user = find(accepts(tmp_path, objects), headers=bearer(token))
    groups = ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")
    assert user == UserInfo("system:serviceaccount:ns:robot", "u1", groups)
    objects.secret("robot-token", "ns", token="another")
    with pytest.raises(AuthenticationError, match="service account token does not match server's copy"):
        find(accepts(tmp_path, objects), headers=bearer(token))
    del objects.stored[("secrets", "ns", "robot-token")]
    with pytest.raises(AuthenticationError, match="service account token has been invalidated"):
        find(accepts(tmp_path, objects), headers=bearer(token))
    assert find(accepts(tmp_path, objects, service_account_lookup=False), headers=bearer(token)) == user


def test_the_secret_tells_when_a_token_of_old_was_used_last(tmp_path, objects, legacy):
    token, today = legacy.token(), str(datetime.datetime.now(datetime.UTC).date())
    objects.secret("robot-token", "ns", labels={LAST_USED: "2024-01-01", "other": "x"}, token=token)
    find(accepts(tmp_path, objects), headers=bearer(token))
    assert objects.stored[("secrets", "ns", "robot-token")]["metadata"]["labels"] == {LAST_USED: today, "other": "x"}


def test_a_token_of_old_that_is_marked_as_unused_is_refused(tmp_path, objects, legacy):
    token = legacy.token()
    objects.secret("robot-token", "ns", labels={INVALID_SINCE: "2024-01-01"}, token=token)
    with pytest.raises(AuthenticationError, match="the token in secret ns/robot-token for service account ns/robot"):
        find(accepts(tmp_path, objects), headers=bearer(token))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sub": ""}, "sub claim is missing"),
        ({"secret_name": ""}, "secretName claim is missing"),
        ({"sub": "system:serviceaccount:ns:other"}, "sub claim is invalid"),
        ({"service__account_uid": "u2"}, r"service account UID \(u1\) does not match claim \(u2\)"),
    ],
)
def test_a_token_of_old_with_other_claims_is_refused(tmp_path, objects, legacy, changes, message):
    token = legacy.token(**changes)
    objects.secret("robot-token", "ns", token=token)
    with pytest.raises(AuthenticationError, match=message):
        find(accepts(tmp_path, objects), headers=bearer(token))


def test_a_certificate_verifies_tokens_too(tmp_path, objects):
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.pair("issuer")
    objects.secret("robot-token", "ns", token="")
    legacy = Legacy(tmp_path)
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    legacy.key = load_pem_private_key(key.read_bytes(), None)  # type: ignore[assignment]
    legacy.file.write_bytes(certificate.read_bytes())
    token = legacy.token()
    objects.secret("robot-token", "ns", token=token)
    assert find(accepts(tmp_path, objects), headers=bearer(token)).name == "system:serviceaccount:ns:robot"


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"]
)
def test_a_file_without_keys_is_an_error_at_start(tmp_path, objects, content):
    (tmp_path / "sa.key").write_bytes(content)
    with pytest.raises(ValueError, match="data does not contain any valid RSA or ECDSA public keys"):
        accepts(tmp_path, objects)


def reviewed(**status: Any) -> Any:
    return as_json({"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status})


class Hook:
    """A webhook for tokens, and the authenticator that asks it."""

    def __init__(self, tmp_path: Path, remote: Remote, **fields: Any) -> None:
        path = kubeconfig(tmp_path / "hook", remote.url, certificate_authority=remote.authority.file)
        given = {
            "authentication_token_webhook_config_file": str(path),
            "authentication_token_webhook_version": "v1",
            "api_audiences": ("api",),
        }
        self.settings = config(tmp_path, **{**given, **fields})

    def find(self, *tokens: str) -> list[Any]:
        async def ask() -> list[Any]:
            authenticator = server_authenticator(self.settings)
            answers: list[Any] = []
            for token in tokens:
                try:
                    answers.append(await authenticator.authenticate(request(bearer(token))))
                except AuthenticationError as error:
                    answers.append(str(error))
            return answers

        return asyncio.run(ask())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "remote")


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_webhook_names_a_tokens_user(tmp_path, authority, version):
    user = {"username": "jane", "uid": "7", "groups": ["dev"], "extra": {"k": ["v"]}}
    answer = {"kind": "TokenReview", "apiVersion": f"authentication.k8s.io/{version}"}
    with Remote(authority, lambda *_: as_json({**answer, "status": {"authenticated": True, "user": user}})) as remote:
        hook = Hook(tmp_path, remote, authentication_token_webhook_version=version)
        assert hook.find("t") == [UserInfo("jane", "7", ("dev", "system:authenticated"), {"k": ["v"]})]
        assert remote.bodies == [{**answer, "metadata": {}, "spec": {"token": "t", "audiences": ["api"]}}]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (reviewed(authenticated=False), "invalid bearer token"),
        (reviewed(authenticated="yes"), "invalid bearer token"),
        (reviewed(error="no such token"), "[invalid bearer token, no such token]"),
        (reviewed(authenticated=True, audiences=["other"], user={"username": "u"}), "invalid bearer token"),
        (reviewed(authenticated=True, user={"username": 5}),
         "[invalid bearer token, the webhook's answer has no valid user]"),
        ((403, {}, b""), "[invalid bearer token, the server answered with status 403]"),
    ],
)  # fmt: skip
def test_who_a_webhook_does_not_know_is_nobody(tmp_path, authority, answer, message):
    with Remote(authority, lambda *_: answer) as remote:
        assert Hook(tmp_path, remote).find("t") == [message]


def test_a_webhooks_answers_are_kept_its_faults_are_not(tmp_path, authority):
    answers = iter([(403, {}, b""), reviewed(authenticated=False), reviewed(authenticated=True)])
    with Remote(authority, lambda *_: next(answers)) as remote:
        hook = Hook(tmp_path, remote)
        found = hook.find("t", "t", "t", "other", "other")
        assert found[1:3] == ["invalid bearer token"] * 2
        assert [user.name for user in found[3:]] == ["", ""]
        assert len(remote.requests) == 3


def test_without_a_cache_ttl_a_webhook_is_asked_each_time(tmp_path, authority):
    with Remote(authority, lambda *_: reviewed()) as remote:
        Hook(tmp_path, remote, authentication_token_webhook_cache_ttl=0.0).find("t", "t")
        assert len(remote.requests) == 2


class Slow:
    """An authenticator that takes its time, and counts."""

    asked = 0

    async def authenticate_token(self, token: str, audiences: Any) -> Response | None:
        self.asked += 1
        await asyncio.sleep(0.05)
        if token == "bad":
            raise AuthenticationError("bad")
        return Response(UserInfo(token))


def test_those_who_ask_the_same_at_once_share_one_answer():
    async def scenario() -> None:
        slow = Slow()
        cache = TokenCache(slow, success=10)
        first, second = (asyncio.ensure_future(cache.authenticate_token("good")) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        response = await second
        assert response is not None
        assert response.user.name == "good"
        assert slow.asked == 1
        results = await asyncio.gather(*(cache.authenticate_token("bad") for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [AuthenticationError] * 3
        assert slow.asked == 2
        with pytest.raises(AuthenticationError):
            await cache.authenticate_token("bad")
        assert slow.asked == 3

    asyncio.run(scenario())
