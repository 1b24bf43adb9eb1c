"""Requests to webhooks by their clientConfig: where they go, as whom, and what each failure is called."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from apiserver_workers.server.client import hooks
from apiserver_workers.server.client.hooks import HookClients, HookError
from apiserver_workers.server.client.services import Unresolvable
from apiserver_workers.server.client.users import HookUser, HookUsers, load_hook_users

from tests.auth.remote import Authority, Remote, as_json


class Services:
    """A resolver that knows one address."""

    def __init__(self, port: int = 0, why: str = "") -> None:
        self.port = port
        self.why = why
        self.asked: list[tuple[str, str, int]] = []

    async def resolve(self, namespace: str, name: str, port: int) -> tuple[str, int]:
        self.asked.append((namespace, name, port))
        if self.why:
            raise Unresolvable(self.why)
        return "127.0.0.1", self.port


def config_of(remote: Remote, path: str = "") -> dict[str, Any]:
    bundle = base64.b64encode(remote.authority.file.read_bytes()).decode()
    return {"url": remote.url + path, "caBundle": bundle}


def post(config: dict[str, Any], *, services: Any = None, users: HookUsers | None = None, timeout: float = 5.0) -> Any:
    async def ask() -> bytes:
        clients = HookClients(services or Services(), users or HookUsers())
        try:
            return await clients.post(config, b'{"a":1}', timeout=timeout)
        finally:
            clients.close()

    return json.loads(asyncio.run(ask()))


def refused(config: dict[str, Any], **how: Any) -> HookError:
    with pytest.raises(HookError) as caught:
        post(config, **how)
    return caught.value


def test_a_url_is_asked_with_the_time_that_is_left(authority: Authority) -> None:
    with Remote(authority, lambda *_: as_json({"ok": True})) as remote:
        assert post(config_of(remote, "/mutate/"), timeout=2.5) == {"ok": True}
        method, path, headers, body = remote.requests[0]
    assert (method, path, body) == ("POST", "/mutate?timeout=3s", b'{"a":1}')
    assert headers["user-agent"] == "kube-apiserver-admission"
    assert headers["accept"] == "application/json, */*"
    assert headers["content-type"] == "application/json"
    assert "authorization" not in headers


def test_connections_are_kept_for_each_client_config(authority: Authority) -> None:
    with Remote(authority, lambda *_: as_json({})) as remote:

        async def ask() -> None:
            clients = HookClients(Services())  # type: ignore[arg-type]
            for _ in range(4):
                await clients.post(config_of(remote), b"{}", timeout=5)
            clients.close()

        asyncio.run(ask())
        assert (len(remote.requests), remote.connections) == (4, 1)


def test_a_service_is_dialled_where_it_is_and_called_by_its_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Remote(authority, lambda *_: as_json({})) as remote:
        services = Services(int(remote.url.rpartition(":")[2]))
        config = config_of(remote)
        del config["url"]
        config["service"] = {"namespace": "ns", "name": "hook", "path": "/x", "port": 8443}
        error = refused(config, services=services)
    assert services.asked == [("ns", "hook", 8443)]
    start = 'Post "https://hook.ns.svc:8443/x?timeout=5s": tls: failed to verify certificate: x509: '
    assert str(error).startswith(start)
    assert "not valid for" in str(error)


def test_a_service_without_an_address_tells_why() -> None:
    services = Services(why='service "hook" not found')
    error = refused({"service": {"namespace": "ns", "name": "hook"}}, services=services)
    assert str(error) == 'Post "https://hook.ns.svc:443/?timeout=5s": service "hook" not found'


def slow(*_: Any) -> Any:
    time.sleep(1.0)
    return as_json({})


FAILURES = [
    ((404, {}, b"nothing"), "the server could not find the requested resource"),
    ((500, {}, b"oh"), 'an error on the server ("oh") has prevented the request from succeeding'),
    (as_json({}, 500), 'an error on the server ("unknown") has prevented the request from succeeding'),
    (
        as_json({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "go away"}, 403),
        "go away",
    ),
    (
        (302, {"Location": "https://127.0.0.1:1/"}, b""),
        "the server responded with the status code 302 but did not return",
    ),
    ((200, {"Content-Type": "text/x"}, b""), "0-length response with status code: 200 and content type: text/x"),
    ((503, {}, b""), "the server is currently unable to handle the request"),
]


@pytest.mark.parametrize(("answer", "message"), FAILURES)
def test_what_is_no_success_is_an_error_in_client_gos_words(authority: Authority, answer: Any, message: str) -> None:
    with Remote(authority, lambda *_: answer) as remote:
        error = refused(config_of(remote))
        assert len(remote.requests) == 1
    assert str(error).startswith(message)
    assert error.code == (0 if answer[0] == 200 else answer[0])


def test_a_webhook_that_says_when_it_can_answer_is_asked_again(authority: Authority) -> None:
    answers = [as_json({}, 429, Retry_After="0"), as_json({}, 503, Retry_After="0"), as_json({"third": True})]
    with Remote(authority, lambda *_: answers.pop(0)) as remote:
        assert post(config_of(remote)) == {"third": True}


def test_nobody_waits_beyond_the_timeout(authority: Authority) -> None:
    with Remote(authority, slow) as remote:
        error = refused(config_of(remote), timeout=0.2)
    assert str(error) == f'Post "{remote.url}/?timeout=1s": context deadline exceeded'
    error = refused(config_of(remote))
    address = remote.url.removeprefix("https://")
    assert str(error) == f'Post "{remote.url}/?timeout=5s": dial tcp {address}: connect: connection refused'


def test_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    other = Authority(tmp_path)
    with Remote(authority, lambda *_: as_json({})) as remote:
        config = {"url": remote.url, "caBundle": base64.b64encode(other.file.read_bytes()).decode()}
        error = refused(config)
        assert not remote.requests
    assert str(error).endswith("tls: failed to verify certificate: x509: certificate signed by unknown authority")


def test_an_answer_without_end_is_cut_off(authority: Authority) -> None:
    with Remote(authority, lambda *_: (200, {}, b" " * (30 << 20))) as remote:
        error = refused(config_of(remote))
    assert "answer too large" in str(error)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({}, "webhook configuration must have either service or URL"),
        ({"url": "https://h:99999/"}, "Unparsable URL: "),
        ({"url": "https://h/", "caBundle": "bm9uZQ=="}, "could not get REST client: "),
    ],
)
def test_a_client_config_that_cannot_be_used_is_an_error(config: Any, message: str) -> None:
    assert str(refused(config)).startswith(message)


def test_clients_that_nobody_asks_for_long_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "MAX_CLIENTS", 2)
    clients = HookClients(Services())  # type: ignore[arg-type]
    first = clients.client({"url": "https://a/"})
    clients.client({"url": "https://b/"})
    assert clients.client({"url": "https://a/"}) is first
    clients.client({"url": "https://c/"})
    assert clients.client({"url": "https://a/"}) is first
    assert len(clients._clients) == 2


# ---- users

USERS = {
    "hook.ns.svc:8443": {"token": "by-port"},
    "*.ns.svc:8443": {"token": "by-domain-and-port"},
    "plain.example": {"token": "by-host"},
    "*.example": {"username": "u", "password": "p"},
    "current": {"token": "of-the-context"},
}


@pytest.mark.parametrize(
    ("target", "header"),
    [
        ("hook.ns.svc:8443", "Bearer by-port"),
        ("other.ns.svc:8443", "Bearer by-domain-and-port"),
        ("plain.example:443", "Bearer by-host"),
        ("plain.example:444", "Bearer of-the-context"),
        ("some.example:443", "Basic dTpw"),
        ("elsewhere:443", "Bearer of-the-context"),
    ],
)
def test_the_user_is_found_by_the_webhooks_host(tmp_path: Path, target: str, header: str) -> None:
    users = load_hook_users(kubeconfig(tmp_path, USERS))
    assert users.of(target).headers == (("Authorization", header),)


def test_a_star_is_for_all_hosts(tmp_path: Path) -> None:
    users = load_hook_users(kubeconfig(tmp_path, {**USERS, "*": {"token": "all"}}))
    assert users.of("elsewhere:443").headers == (("Authorization", "Bearer all"),)
    assert HookUsers().of("elsewhere:443").headers == ()


def test_a_token_file_is_read_and_an_impersonated_user_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    user = {"tokenFile": "token", "as": "joe", "as-groups": ["a", "b"], "as-user-extra": {"k": ["v"]}}
    headers = load_hook_users(kubeconfig(tmp_path, {"*": user})).of("h:1").headers
    assert headers == (
        ("Authorization", "Bearer from-file"),
        ("Impersonate-User", "joe"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Extra-k", "v"),
    )


def test_a_certificate_of_the_kubeconfig_is_shown(tmp_path: Path, authority: Authority) -> None:
    clients = Authority(tmp_path)
    certificate, key = clients.pair("us")
    user = {"client-certificate": certificate.name, "client-key": key.name}
    users = load_hook_users(kubeconfig(tmp_path, {"127.0.0.1:*": {}, "*": user}))
    with Remote(authority, lambda *_: as_json({}), clients=clients) as remote:
        assert post(config_of(remote), users=users) == {}
        assert "Post" in str(refused(config_of(remote)))


def test_the_server_itself_is_asked_as_the_loopback_user() -> None:
    own = HookUser(token="loopback")
    users = HookUsers({"*": HookUser(token="all")}, own=own)
    assert users.of("kubernetes.default.svc:443") is own
    assert users.of("kubernetes.default.svc:8443").token == "all"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "no YAML or JSON"),
        ("[]", "no kubeconfig"),
        ("users: 1", "users must be a list of named entries"),
        (
            "users: [{name: a, user: {exec: {command: x}}}]",
            "credentials from a command (exec) of user a are not supported",
        ),
        ("users: [{name: a, user: {token: 1}}]", "token must be a string"),
        ("users: [{name: a, user: {client-certificate-data: '?'}}]", "client-certificate-data is not base64"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "bad"
    path.write_text(content)
    with pytest.raises(ValueError, match=str(path)) as caught:
        load_hook_users(str(path))
    assert message in str(caught.value)


def kubeconfig(folder: Path, users: dict[str, Any]) -> str:
    document = {
        "users": [{"name": name, "user": user} for name, user in users.items()],
        "contexts": [{"name": "c", "context": {"user": "current", "cluster": ""}}],
        "current-context": "c",
    }
    path = folder / "users.yaml"
    path.write_text(yaml.safe_dump(document))
    return str(path)
