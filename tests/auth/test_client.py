"""The client of webhooks and issuers: kubeconfigs, certificates, kept connections, further tries."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from apiserver_workers.server.client.http import ClientError, HttpClient
from apiserver_workers.server.client.kubeconfig import load_kubeconfig
from apiserver_workers.server.client.tls import TlsConfig
from apiserver_workers.server.client.webhook import Backoff, Webhook, WebhookError

from tests.auth.remote import Authority, Remote, as_json, kubeconfig

REVIEW = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": {"token": "t"}}
ALLOWED = {**REVIEW, "status": {"authenticated": True}}
QUICK = Backoff(initial=0.01)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "remote")


def ask(config: Path, times: int = 1, **options: Any) -> Any:
    async def review() -> Any:
        webhook = Webhook(load_kubeconfig(str(config)), **{"backoff": QUICK, **options})
        for _ in range(times):
            answer = await webhook.review(REVIEW)
        webhook.close()
        return answer

    return asyncio.run(review())


def test_a_webhook_reviews_over_one_kept_connection(tmp_path, authority):
    clients = Authority(tmp_path / "clients")
    certificate, key = clients.pair("server")
    with Remote(authority, lambda *_: as_json(ALLOWED), clients=clients) as remote:
        config = kubeconfig(
            tmp_path / "config", f"{remote.url}/review?x=1", certificate_authority=authority.file,
            user={"client-certificate": str(certificate), "client-key": str(key)},
        )  # fmt: skip
        assert ask(config, times=3) == ALLOWED
        assert remote.connections == 1
        method, path, headers, body = remote.requests[0]
        assert (method, path) == ("POST", "/review?x=1&timeout=30s")
        assert headers["content-type"] == "application/json"
        assert json.loads(body) == REVIEW


def test_credentials_may_be_data_or_files_beside_the_kubeconfig(tmp_path, authority):
    data = base64.b64encode(authority.file.read_bytes()).decode()
    (tmp_path / "token").write_text("secret\n")
    with Remote(authority, lambda *_: as_json(ALLOWED)) as remote:
        for user, header in (
            ({"tokenFile": "token"}, "Bearer secret"),
            ({"token": "other"}, "Bearer other"),
            ({"username": "u", "password": "p"}, "Basic dTpw"),
        ):
            config = kubeconfig(tmp_path / "config", remote.url, user=user, certificate_authority_data=data)
            assert ask(config) == ALLOWED
            assert remote.requests[-1][2]["authorization"] == header


def test_a_server_that_is_not_trusted_is_not_asked(tmp_path, authority):
    other = Authority(tmp_path / "other")
    with Remote(authority, lambda *_: as_json(ALLOWED)) as remote:
        with pytest.raises(WebhookError, match=r'^Post "https://127.*tls: failed to verify certificate: x509'):
            ask(kubeconfig(tmp_path / "config", remote.url, certificate_authority=other.file))
        named = {"certificate_authority": authority.file, "tls_server_name": "elsewhere.example"}
        with pytest.raises(WebhookError, match="tls: failed to verify certificate"):
            ask(kubeconfig(tmp_path / "config", remote.url, **named))
        assert remote.requests == []
        named["tls_server_name"] = "remote.example"
        assert ask(kubeconfig(tmp_path / "config", remote.url, **named)) == ALLOWED


def test_passing_faults_are_tried_again_others_are_not(tmp_path, authority):
    answers = iter([(500, {}, b"oops"), (0, {}, b""), as_json({}, 429), as_json(ALLOWED), (403, {}, b"no")])
    with Remote(authority, lambda *_: next(answers)) as remote:
        config = kubeconfig(tmp_path / "config", remote.url, certificate_authority=authority.file)
        assert ask(config) == ALLOWED
        assert len(remote.requests) == 4
        with pytest.raises(WebhookError, match=r"^the server answered with status 403: no$"):
            ask(config)
        assert len(remote.requests) == 5


def test_after_five_tries_the_fault_is_told(tmp_path, authority):
    status = {"kind": "Status", "apiVersion": "v1", "message": "out of order"}
    with Remote(authority, lambda *_: as_json(status, 500)) as remote:
        with pytest.raises(WebhookError, match=r"^out of order$"):
            ask(kubeconfig(tmp_path / "config", remote.url, certificate_authority=authority.file))
        assert len(remote.requests) == 5


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, {}, b"<html>"), "the answer is not JSON"),
        (as_json([]), "the answer is not an object"),
        (as_json({**REVIEW, "kind": "Pod"}), 'the answer has kind "Pod" instead of "TokenReview"'),
        (as_json({"kind": "TokenReview"}), 'the answer has apiVersion "" instead of "authentication.k8s.io/v1"'),
        (as_json({**REVIEW, "status": 1}), "the answer's status is not an object"),
    ],
)
def test_what_is_no_review_is_an_error(tmp_path, authority, answer, message):
    with Remote(authority, lambda *_: answer) as remote, pytest.raises(WebhookError) as caught:
        ask(kubeconfig(tmp_path / "config", remote.url, certificate_authority=authority.file))
    assert str(caught.value) == message


def test_nobody_waits_longer_than_the_timeout(tmp_path, authority):
    def slow(*_: Any) -> Any:
        import time

        time.sleep(0.5)
        return as_json(ALLOWED)

    with Remote(authority, slow) as remote, pytest.raises(WebhookError, match="context deadline exceeded"):
        ask(kubeconfig(tmp_path / "config", remote.url, certificate_authority=authority.file), timeout=0.1)
    with pytest.raises(WebhookError, match="connect: connection refused"):
        ask(kubeconfig(tmp_path / "config", remote.url, certificate_authority=authority.file))


def test_a_closed_kept_connection_is_no_fault(tmp_path, authority):
    with Remote(authority, lambda *_: as_json({}, Connection="close")) as remote:

        async def twice() -> None:
            client = HttpClient(TlsConfig(ca_file=str(authority.file)))
            for _ in range(2):
                assert (await client.get(remote.url)).status == 200

        asyncio.run(twice())
        assert remote.connections == 2


@pytest.mark.parametrize(
    ("path", "headers"), [("/a b", []), ("/x", [("Authorization", "Bearer a\r\nHost: b")]), ("/x", [("A b", "c")])]
)
def test_nothing_that_breaks_a_request_is_sent(tmp_path, authority, path, headers):
    with Remote(authority, lambda *_: as_json({})) as remote, pytest.raises(ClientError, match="invalid URL or header"):
        asyncio.run(HttpClient(TlsConfig(ca_file=str(authority.file))).get(remote.url + path, headers=headers))
    assert remote.requests == []


def test_redirects_are_followed_without_credentials_elsewhere(tmp_path, authority):
    with (
        Remote(authority, lambda *_: as_json({"end": True})) as end,
        Remote(authority, lambda *_: (302, {"Location": f"{end.url}/there"}, b"")) as start,
    ):

        async def get() -> Any:
            client = HttpClient(TlsConfig(ca_file=str(authority.file)))
            return await client.get(f"{start.url}/here", headers=[("Authorization", "Bearer x")])

        assert json.loads(asyncio.run(get()).body) == {"end": True}
        assert start.requests[0][2]["authorization"] == "Bearer x"
        assert end.requests[0][1] == "/there"
        assert "authorization" not in end.requests[0][2]


def test_certificates_are_read_again_when_they_change(tmp_path, authority, monkeypatch):
    monkeypatch.setattr("apiserver_workers.server.tls.watched_files.CHECK_INTERVAL", 0.0)
    monkeypatch.setattr("apiserver_workers.server.tls.watched_files.SETTLED_AFTER", 0.0)
    bundle = tmp_path / "bundle.crt"
    bundle.write_bytes(Authority(tmp_path / "other").file.read_bytes())
    with Remote(authority, lambda *_: as_json({})) as remote:

        async def change() -> int:
            client = HttpClient(TlsConfig(ca_file=str(bundle)))
            with pytest.raises(ClientError, match="failed to verify certificate"):
                await client.get(remote.url)
            bundle.write_bytes(authority.file.read_bytes())
            status = (await client.get(remote.url)).status
            bundle.write_text("nonsense")
            client.close()
            assert (await client.get(remote.url)).status == status
            return status

        assert asyncio.run(change()) == 200


def changed(**changes: Any) -> Any:
    def change(document: dict[str, Any]) -> None:
        for path, value in changes.items():
            *sections, key = path.split("__")
            target: Any = document
            for section in sections:
                target = target[0][section] if isinstance(target, list) else target[section]
            (target[0] if isinstance(target, list) else target)[key.replace("_", "-")] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(**{"current-context": ""}), "no current-context"),
        (changed(**{"current-context": "other"}), 'context "other" does not exist'),
        (changed(clusters=[]), 'cluster "remote" does not exist'),
        (changed(clusters__cluster__server=""), 'no server found for cluster "remote"'),
        (changed(clusters__cluster__server="ftp://x"), 'server "ftp://x" is no http or https URL'),
        (changed(clusters__cluster__server="https://x:y"), "has no valid port"),
        (changed(clusters__cluster__server="https://u:secret@x"), "must not hold a user or password"),
        (changed(clusters__cluster__certificate_authority_data="%"), "certificate-authority-data is not base64"),
        (changed(clusters__cluster__certificate_authority_data="eA=="), "no certificate could be read"),
        (changed(users__user={"client-certificate": "ca.crt"}), "client-key-data or client-key must be specified"),
        (changed(users__user={"client-certificate": "ca.crt", "client-key": "ca.crt"}), "remote/ca.crt, "),
        (changed(users__user={"exec": {"command": "x"}}), r"credentials from a command \(exec\) of user server"),
        (changed(users__user={"token": "x", "username": "y"}), "more than one authentication method"),
        (changed(users__user={"token": 5}), "token must be a string"),
    ],
)
def test_a_bad_kubeconfig_is_an_error_that_names_the_file(tmp_path, authority, change, message):
    path = kubeconfig(authority.folder / "config", "https://127.0.0.1:1")
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=message) as caught:
        load_kubeconfig(str(path))
    assert str(caught.value).startswith(f"{path}: ")


def test_files_that_a_kubeconfig_names_must_be_there(tmp_path):
    path = kubeconfig(tmp_path / "config", "https://127.0.0.1:1", certificate_authority="gone.crt")
    with pytest.raises(FileNotFoundError, match=r"gone\.crt"):
        load_kubeconfig(str(path))
    path.write_text("{")
    with pytest.raises(ValueError, match="config: no YAML or JSON at line 2"):
        load_kubeconfig(str(path))
