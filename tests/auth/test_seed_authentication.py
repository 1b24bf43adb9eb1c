"""Who one is to a running server: every way in, in its order, and what refuses."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.internal_headers import USER_HEADER, encode_user
from cryptography.hazmat.primitives import serialization

from tests.auth.asking import ask, pair_of, whoami
from tests.auth.remote import Authority, Remote, as_json, kubeconfig
from tests.auth.test_authentication import DAY, NOW, Intermediate, private_pem
from tests.auth.test_authentication import Authority as ClientAuthority
from tests.auth.test_jwt import OpenIdProvider
from tests.running import COMMAND, RunningServer, wait_for

pytestmark = pytest.mark.e2e

ISSUER = "https://issuer.example"
BOOTSTRAP = "abcdef.0123456789abcdef"


def token_webhook(method: str, path: str, body: bytes) -> Any:
    review = json.loads(body)
    known = review["spec"]["token"] == "hooked"
    user = {"username": "hooked", "groups": ["remote"]}
    status = {"authenticated": True, "user": user} if known else {"authenticated": False}
    return as_json({"kind": "TokenReview", "apiVersion": review["apiVersion"], "status": status})


@pytest.fixture(scope="module")
def all_ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server with every authenticator that flags open, the issuer and the webhook that it asks."""
    folder = tmp_path_factory.mktemp("ways")
    authority = Authority(folder / "remote")
    (folder / "tokens.csv").write_text('static,alice,7,"dev,qa"\n')
    (folder / "passwords.csv").write_text('open sesame,basil,8,"ops"\n')
    with OpenIdProvider(authority) as provider, Remote(authority, token_webhook) as hook:
        config = kubeconfig(folder / "hook", hook.url, certificate_authority=authority.file)
        flags = (
            f"--token-auth-file={folder / 'tokens.csv'}",
            f"--basic-auth-file={folder / 'passwords.csv'}",
            "--enable-bootstrap-token-auth",
            f"--oidc-issuer-url={provider.url}",
            "--oidc-client-id=client",
            f"--oidc-ca-file={authority.file}",
            "--oidc-username-prefix=oidc:",
            "--oidc-groups-claim=groups",
            "--oidc-groups-prefix=oidc:",
            "--oidc-required-claim=team=a",
            "--oidc-signing-algs=RS256,ES256",
            f"--authentication-token-webhook-config-file={config}",
            "--authentication-token-webhook-version=v1",
            "--authentication-token-webhook-cache-ttl=0s",
            f"--service-account-issuer={ISSUER}",
            "--service-account-issuer=https://former.example",
            "--service-account-jwks-uri=https://keys.example/jwks",
            "--service-account-max-token-expiration=2h",
            "--requestheader-uid-headers=X-Remote-Uid",
            "--aggregator-workers=1",
            "--advertise-address=192.0.2.10",
        )
        with RunningServer(folder, *flags) as server:
            yield SimpleNamespace(server=server, provider=provider, hook=hook, folder=folder)


@pytest.mark.seed("S17")
def test_a_wrong_bearer_token_is_never_anonymous(all_ways):
    answer = ask(all_ways.server, "/api", token="wrong")
    assert answer.status == 401
    assert answer.obj["kind"] == "Status"
    assert answer.obj["reason"] == "Unauthorized"
    answer = ask(all_ways.server, "/api/v1/pods")
    assert answer.status == 403
    assert 'User "system:anonymous" cannot list' in answer.message


@pytest.mark.seed("S17")
def test_a_front_proxy_comes_before_everything_else(all_ways):
    front = pair_of(all_ways.server, "front-proxy-client")
    remote = {"X_Remote_User": "far", "X_Remote_Group": "g", "X_Remote_Uid": "9", "X_Remote_Extra_Why": "so"}
    user = whoami(all_ways.server, pair=front, token="static", **remote)
    assert user == {
        "username": "far",
        "uid": "9",
        "groups": ["g", "system:authenticated"],
        "extra": {"why": ["so"]},
    }
    others = dict.fromkeys(remote, "forged")
    assert whoami(all_ways.server, token="static", **others)["username"] == "alice"
    assert whoami(all_ways.server, pair=pair_of(all_ways.server, "admin"), **others)["username"] != "forged"


@pytest.mark.seed("S17")
def test_a_certificate_comes_before_tokens_and_after_passwords(all_ways):
    admin = pair_of(all_ways.server, "admin")
    user = whoami(all_ways.server, pair=admin, token="wrong")
    assert "system:masters" in user["groups"]
    assert "system:authenticated" in user["groups"]
    assert whoami(all_ways.server, pair=admin, password=("basil", "open sesame"))["username"] == "basil"
    assert whoami(all_ways.server, pair=admin, password=("basil", "wrong")) == user


@pytest.mark.seed("S17")
def test_passwords_name_users(all_ways):
    user = whoami(all_ways.server, password=("basil", "open sesame"))
    assert user == {"username": "basil", "uid": "8", "groups": ["ops", "system:authenticated"]}
    answer = ask(all_ways.server, "/api", password=("basil", "close sesame"))
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="kubernetes-master"'


@pytest.mark.seed("S17")
def test_static_tokens_name_users(all_ways):
    user = whoami(all_ways.server, token="static")
    assert user == {"username": "alice", "uid": "7", "groups": ["dev", "qa", "system:authenticated"]}


@pytest.mark.seed("S17")
def test_bootstrap_tokens_name_users(all_ways):
    server = all_ways.server
    assert whoami(server, token=BOOTSTRAP)["code"] == 401
    data = {"token-id": "abcdef", "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true"}
    secret = {
        "kind": "Secret", "apiVersion": "v1", "metadata": {"name": "bootstrap-token-abcdef"},
        "type": "bootstrap.kubernetes.io/token", "stringData": data,
    }  # fmt: skip
    assert server.request("POST", "/api/v1/namespaces/kube-system/secrets", secret)[0] == 201
    groups = ["system:bootstrappers", "system:authenticated"]
    assert whoami(server, token=BOOTSTRAP) == {"username": "system:bootstrap:abcdef", "groups": groups}


@pytest.mark.seed("S17")
def test_id_tokens_name_users_also_with_new_keys(all_ways):
    server, provider = all_ways.server, all_ways.provider
    token = provider.token(team="a", groups=["dev"])
    wait_for(lambda: "username" in whoami(server, token=token), what="the issuer is found")
    groups = ["oidc:dev", "system:authenticated"]
    assert whoami(server, token=token) == {"username": "oidc:jane", "groups": groups}
    provider.rotate("ES256")
    assert whoami(server, token=provider.token(team="a", sub="joe"))["username"] == "oidc:joe"
    for wrong in ({"team": "b"}, {"team": "a", "aud": "other"}, {"team": "a", "exp": 1}, {"team": "a", "iss": "x"}):
        assert whoami(server, token=provider.token(**wrong))["code"] == 401


@pytest.mark.seed("S17")
def test_a_webhook_is_asked_last_and_its_good_answers_are_kept(all_ways):
    server, hook = all_ways.server, all_ways.hook
    before = len(hook.requests)
    for _ in range(3):
        user = whoami(server, token="hooked")
        assert user == {"username": "hooked", "groups": ["remote", "system:authenticated"]}
    assert whoami(server, token="static")["username"] == "alice"
    assert len(hook.requests) == before + 1
    for _ in range(2):
        assert whoami(server, token="unknown")["code"] == 401
    assert len(hook.requests) == before + 3
    spec = hook.bodies[-1]["spec"]
    assert spec == {"token": "unknown", "audiences": [ISSUER, "https://former.example"]}


@pytest.mark.seed("S17")
def test_a_token_review_sees_the_same(all_ways):
    def review(token: str, *audiences: str) -> Any:
        spec = {"token": token} | ({"audiences": list(audiences)} if audiences else {})
        obj = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
        status, body = all_ways.server.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", obj)
        assert status == 201
        return json.loads(body)["status"]

    both = [ISSUER, "https://former.example"]
    assert review("hooked")["audiences"] == both
    assert review("static", ISSUER, "x")["audiences"] == [ISSUER]
    assert review("static", "x") == {"user": {}, "error": "invalid bearer token"}


def account_token(server: RunningServer, **spec: Any) -> tuple[str, dict[str, str]]:
    path = "/api/v1/namespaces/default/serviceaccounts/robot"
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "robot"}}
    assert server.request("POST", path.rpartition("/")[0], account)[0] in (201, 409)
    request = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": spec}
    answer = ask(server, f"{path}/token", request, pair=pair_of(server, "admin"))
    assert answer.status == 201, answer.body
    return answer.obj["status"]["token"], answer.headers


@pytest.mark.seed("S62")
def test_tokens_are_issued_by_the_first_issuer_and_live_as_long_as_allowed(all_ways):
    server = all_ways.server
    token, _ = account_token(server, expirationSeconds=3600)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iss"] == ISSUER
    assert claims["aud"] == [ISSUER, "https://former.example"]
    assert claims["exp"] - claims["iat"] == 3600
    assert whoami(server, token=token)["username"] == "system:serviceaccount:default:robot"
    capped, headers = account_token(server, expirationSeconds=86400)
    claims = jwt.decode(capped, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200
    assert "requested expiration of 86400 seconds shortened to 7200 seconds" in headers["Warning"]


@pytest.mark.seed("S62")
def test_tokens_of_every_issuer_are_accepted_and_of_no_other(all_ways):
    key = (all_ways.server.data_dir / "pki" / "sa.key").read_bytes()
    token, _ = account_token(all_ways.server)
    claims = jwt.decode(token, options={"verify_signature": False})
    for issuer, accepted in (("https://former.example", True), ("https://other.example", False)):
        signed = jwt.encode({**claims, "iss": issuer}, key, jwt.get_unverified_header(token)["alg"])
        assert ("username" in whoami(all_ways.server, token=signed)) is accepted


@pytest.mark.seed("S17")
def test_tokens_of_old_are_accepted_while_their_secret_is_there(all_ways):
    server = all_ways.server
    token, _ = account_token(server)
    uid = json.loads(server.request("GET", "/api/v1/namespaces/default/serviceaccounts/robot")[1])["metadata"]["uid"]
    names = {"namespace": "default", "secret.name": "old", "service-account.name": "robot", "service-account.uid": uid}
    claims = {f"kubernetes.io/serviceaccount/{name}": value for name, value in names.items()}
    claims |= {"iss": "kubernetes/serviceaccount", "sub": "system:serviceaccount:default:robot"}
    key = (server.data_dir / "pki" / "sa.key").read_bytes()
    old = jwt.encode(claims, key, jwt.get_unverified_header(token)["alg"])
    assert whoami(server, token=old)["code"] == 401
    secret = {
        "kind": "Secret", "apiVersion": "v1", "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "old", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "data": {"token": base64.b64encode(old.encode()).decode()},
    }  # fmt: skip
    assert server.request("POST", "/api/v1/namespaces/default/secrets", secret)[0] == 201
    assert whoami(server, token=old)["username"] == "system:serviceaccount:default:robot"
    kept = json.loads(server.request("GET", "/api/v1/namespaces/default/secrets/old")[1])
    assert "kubernetes.io/legacy-token-last-used" in kept["metadata"]["labels"]
    assert base64.b64decode(kept["data"]["token"]).decode() == old


@pytest.mark.seed("S62")
def test_the_discovery_document_names_the_given_keys_address(all_ways):
    token, _ = account_token(all_ways.server)
    answer = ask(all_ways.server, "/.well-known/openid-configuration", token=token)
    assert answer.obj["issuer"] == ISSUER
    assert answer.obj["jwks_uri"] == "https://keys.example/jwks"


@pytest.mark.seed("S17")
def test_metrics_tell_how_authentication_went(all_ways):
    whoami(all_ways.server, token="hooked")
    whoami(all_ways.server, token="wrong")
    text = all_ways.server.request("GET", "/metrics")[1].decode()
    for line in (
        'authentication_attempts{result="error"}',
        'authentication_token_cache_fetch_total{status="ok"}',
        'authentication_token_cache_request_total{status="miss"}',
        "serviceaccount_valid_tokens_total",
        'authentication_duration_seconds_bucket{result="success"',
        'authorization_duration_seconds_bucket{result="allowed"',
        "apiserver_client_certificate_expiration_seconds_bucket",
    ):
        assert line in text


@pytest.mark.seed("S34")
def test_with_alwaysallow_nobody_is_anonymous(tmp_path):
    with RunningServer(tmp_path, "--authorization-mode=AlwaysAllow", "--advertise-address=192.0.2.10") as server:
        assert ask(server, "/api").status == 401
        assert ask(server, "/api", pair=pair_of(server, "admin")).status == 200
        assert "AnonymousAuth is not allowed with the AlwaysAllow authorizer" in server.output


def refused(*flags: str) -> str:
    """What a start that fails prints; nothing may be left behind."""
    done = subprocess.run([*COMMAND, "start", *flags], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.seed("S46")
def test_flags_of_authentication_that_do_not_fit_are_refused_at_the_start(tmp_path):
    assert "--oidc-issuer-url and --oidc-client-id must be specified together" in refused("--oidc-issuer-url=https://x")
    told = refused(
        "--service-account-issuer=a",
        "--service-account-issuer=a",
        "--service-account-jwks-uri=http://x",
        "--service-account-max-token-expiration=10m",
        "--requestheader-group-headers= ",
        "--oidc-client-id=x",
    )
    for fault in (
        'service-account-issuer "a" is already specified',
        "--service-account-jwks-uri requires https scheme",
        "--service-account-max-token-expiration must be between 1 hour and 2^32 seconds",
        "--requestheader-group-headers: ",
        "--oidc-issuer-url and --oidc-client-id must be specified together",
    ):
        assert fault in told
    assert "must be specified together when any oidc-* flags are set" in refused("--oidc-groups-claim=g")
    assert "must contain X-Remote-Uid" in refused("--requestheader-uid-headers=X-Uid")
    assert "contained a ':' but was not a valid URL" in refused("--service-account-issuer=:x")
    authority = Authority(tmp_path / "ca").file
    same = (f"--client-ca-file={authority}", f"--requestheader-client-ca-file={authority}")
    assert "contain overlapping certificates; --requestheader-allowed-names must be specified" in refused(*same)


@pytest.mark.seed("S46")
def test_kube_apiserver_needs_an_issuer_and_a_key(tmp_path):
    command = (sys.executable, "-c", "from apiserver_supervisor.starting import kube_apiserver; kube_apiserver()")
    flags = ("--etcd-servers=http://127.0.0.1:1", f"--run-dir={tmp_path}", f"--cert-dir={tmp_path}")
    done = subprocess.run([*command, *flags], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "--service-account-issuer is a required flag" in done.stderr
    assert "--service-account-key-file is a required flag" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.seed("S46")
def test_files_of_authentication_that_are_no_use_are_refused_at_the_start(tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("a,b\n")
    anonymous = tmp_path / "anonymous"
    anonymous.write_text(
        '{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", "anonymous": {"enabled": true}}'
    )
    told = refused(
        f"--token-auth-file={bad}",
        f"--basic-auth-file={bad}",
        f"--service-account-key-file={bad}",
        f"--authentication-token-webhook-config-file={bad}",
        f"--authentication-config={bad}",
        f"--client-ca-file={tmp_path / 'none'}",
    )
    for flag in ("token-auth-file", "basic-auth-file", "service-account-key-file", "authentication-config"):
        assert f"--{flag}: " in told
    assert told.count(str(bad)) >= 5
    assert str(tmp_path / "none") in told
    told = refused(f"--authentication-config={anonymous}", "--anonymous-auth=true")
    assert "--anonymous-auth flag cannot be set when anonymous field is configured" in told


@pytest.mark.seed("S17")
def test_a_structured_configuration_is_followed_by_all_workers(tmp_path):
    authority = Authority(tmp_path / "remote")
    path = Path(tmp_path, "authentication.json")
    document: dict[str, Any] = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "anonymous": {"enabled": True, "conditions": [{"path": "/livez"}]},
        "jwt": [],
    }
    path.write_text(json.dumps(document))
    flags = (f"--authentication-config={path}", "--aggregator-workers=2", "--advertise-address=192.0.2.10")
    with OpenIdProvider(authority) as provider, RunningServer(tmp_path, *flags) as server:
        assert ask(server, "/livez").status == 200
        assert ask(server, "/version").status == 401
        token = provider.token()
        assert whoami(server, token=token)["code"] == 401
        issuer = {"url": provider.url, "audiences": ["client"], "certificateAuthority": authority.file.read_text()}
        document["jwt"] = [{"issuer": issuer, "claimMappings": {"username": {"claim": "sub", "prefix": "j:"}}}]
        path.write_text(json.dumps(document))
        deadline = time.monotonic() + 15
        good = 0
        while good < 10:
            good = good + 1 if whoami(server, token=provider.token(n=good)).get("username") == "j:jane" else 0
            assert time.monotonic() < deadline
        metrics = server.request("GET", "/metrics")[1].decode()
        assert 'apiserver_authentication_config_controller_automatic_reloads_total{status="success"' in metrics


@pytest.mark.seed("S17")
def test_certificates_of_intermediate_authorities_and_expired_ones(tmp_path):
    """The first lead in when their chain is shown; the others are told so by an answer."""
    authority = ClientAuthority("clients")
    middle = Intermediate("middle", authority)
    pems = {"ca": authority.certificate, "middle": middle.certificate}
    for name, certificate in pems.items():
        (tmp_path / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    jane = written_pair(tmp_path, "jane", middle, chain=(tmp_path / "middle.crt").read_bytes())
    late = written_pair(tmp_path, "late", authority, end=NOW - DAY / 2)
    flags = (f"--client-ca-file={tmp_path / 'ca.crt'}", "--advertise-address=192.0.2.10")
    with RunningServer(tmp_path, *flags) as server:
        assert whoami(server, pair=jane)["username"] == "jane"
        answer = ask(server, "/api", pair=late)
        assert (answer.status, answer.obj["reason"]) == (401, "Unauthorized")


def written_pair(
    folder: Path, name: str, issuer: ClientAuthority, chain: bytes = b"", **dates: Any
) -> tuple[Path, Path]:
    certificate, key = issuer.client_pair(name, **dates)
    files = folder / f"{name}.crt", folder / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + chain)
    files[1].write_bytes(private_pem(key))
    return files


def test_one_may_be_taken_for_anyone_with_uid_groups_and_extras(all_ways):
    server, admin = all_ways.server, pair_of(all_ways.server, "admin")
    asked = {
        "Impersonate_User": "jane",
        "Impersonate_Uid": "5",
        "Impersonate_Group": "dev",
        "Impersonate_Extra_Acme.io%2fProject": "x",
        "Impersonate_Extra_Scopes": "view",
    }
    user = whoami(server, pair=admin, **asked)
    assert user == {
        "username": "jane",
        "uid": "5",
        "groups": ["dev", "system:authenticated"],
        "extra": {"acme.io/project": ["x"], "scopes": ["view"]},
    }
    refused = whoami(server, token="static", **asked)
    assert refused["code"] == 403
    assert 'User "alice" cannot impersonate' in refused["message"]
    nobody = whoami(server, pair=admin, Impersonate_Uid="5")
    assert nobody["code"] == 400
    assert "without impersonating a user name" in nobody["message"]
    account = whoami(server, pair=admin, Impersonate_User="system:serviceaccount:ns:robot")
    assert account["groups"] == ["system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"]
    anonymous = whoami(server, pair=admin, Impersonate_User="system:anonymous")
    assert anonymous["message"].startswith(
        'selfsubjectreviews.authentication.k8s.io is forbidden: User "system:anonymous"'
    )


def test_what_a_client_says_of_its_identity_counts_nowhere(all_ways):
    """Neither the headers of front proxies nor those by which this server's processes tell each other the user."""
    forged = {
        "X_Remote_User": "system:admin",
        "X_Remote_Group": "system:masters",
        USER_HEADER.replace("-", "_"): encode_user(UserInfo("root", "", ("system:masters",))),
    }
    for credentials in ({"token": "static"}, {}):
        answer = ask(all_ways.server, "/api/v1/namespaces/kube-system/secrets", **credentials, **forged)
        assert answer.status == 403
    user = whoami(all_ways.server, token="static", **forged)
    assert (user["username"], user["groups"]) == ("alice", ["dev", "qa", "system:authenticated"])
