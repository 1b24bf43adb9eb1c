"""Authentication: certificates, proxies' headers, token files, service account tokens, anonymous."""

from __future__ import annotations

import asyncio
import base64
import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.certificates import UID_OID
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.service_account import TokenSigner
from apiserver_workers.authentication.union import ServerAuthenticator, server_authenticator
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.filters.authentication import Authentication
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.tls import watched_files
from apiserver_workers.storage.interface import Unavailable
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER = "https://kubernetes.default.svc"
DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.now(datetime.UTC)


class Authority:
    """A CA that signs client certificates."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(self.name, self.key, NOW - DAY, NOW + DAY, [])

    def _sign(self, subject: x509.Name, key: Any, start: Any, end: Any, usages: list[Any]) -> x509.Certificate:
        builder = x509.CertificateBuilder(self.name, subject, key.public_key(), x509.random_serial_number(), start, end)
        if subject == self.name:
            builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        if usages:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def client(
        self,
        common_name: str,
        *organizations: str,
        uids: tuple[str, ...] = (),
        usage: Any = ExtendedKeyUsageOID.CLIENT_AUTH,
        end: datetime.datetime = NOW + DAY,
    ) -> bytes:
        certificate, _ = self.client_pair(common_name, *organizations, uids=uids, usage=usage, end=end)
        return certificate.public_bytes(serialization.Encoding.DER)

    def client_pair(
        self,
        common_name: str,
        *organizations: str,
        uids: tuple[str, ...] = (),
        usage: Any = ExtendedKeyUsageOID.CLIENT_AUTH,
        end: datetime.datetime = NOW + DAY,
    ) -> tuple[x509.Certificate, Any]:
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
        attributes += [x509.NameAttribute(UID_OID, uid) for uid in uids]
        if common_name:
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
        key = ec.generate_private_key(ec.SECP256R1())
        return self._sign(x509.Name(attributes), key, NOW - DAY, end, [usage]), key

    def write(self, path: Path) -> str:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return str(path)


def private_pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def config(tmp_path: Path, **fields: Any) -> ServerConfig:
    return ServerConfig(
        **{"instance": "test", "run_dir": str(tmp_path), "service_ip": "10.0.0.1", "loopback_token": "loop", **fields}
    )


def request(headers: dict[str, str] | None = None, peer: bytes | None = None) -> Request:
    return Request("GET", "/api", "", headers or {}, peer_certificates=(peer,) if peer else ())


def find(authenticator: ServerAuthenticator, **fields: Any) -> UserInfo | None:
    return asyncio.run(authenticator.authenticate(request(**fields)))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def tokens(tmp_path: Path) -> ServerAuthenticator:
    path = tmp_path / "tokens.csv"
    path.write_text('secret-a,alice,alice-uid,"dev,qa"\nsecret-b,bob,,\nsecret-c,carol,7\n')
    return server_authenticator(config(tmp_path, token_auth_file=str(path)))


@pytest.mark.parametrize(
    ("token", "user"),
    [
        ("secret-a", UserInfo("alice", "alice-uid", ("dev", "qa", "system:authenticated"))),
        ("secret-b", UserInfo("bob", "", ("", "system:authenticated"))),
        ("secret-c", UserInfo("carol", "7", ("system:authenticated",))),
        ("loop", UserInfo("system:apiserver", "", ("system:masters", "system:authenticated"))),
    ],
)
def test_tokens_name_users(tokens, token, user):
    assert find(tokens, headers=bearer(token)) == user


@pytest.mark.parametrize("header", ["", "Bearer ", "Bearer", "Basic YWRtaW46YWRtaW4=", "Negotiate x"])
def test_a_request_without_a_bearer_token_is_anonymous(tokens, header):
    headers = {"authorization": header} if header else {}
    assert find(tokens, headers=headers) == UserInfo("system:anonymous", "", ("system:unauthenticated",))


def test_a_wrong_token_is_never_anonymous(tokens):
    with pytest.raises(AuthenticationError, match=r"^invalid bearer token$"):
        find(tokens, headers=bearer("secret-x"))

    async def handler(_: Request) -> Response:
        raise AssertionError("reached")

    with pytest.raises(ApiError) as caught:
        asyncio.run(Authentication(handler, tokens)(request(bearer("secret-x"))))
    assert (caught.value.code, caught.value.message) == (401, "Unauthorized")


def test_without_anonymous_requests_credentials_are_needed(tmp_path):
    assert find(server_authenticator(config(tmp_path, anonymous_auth=False))) is None


def test_the_token_is_taken_off_the_request(tokens):
    asked = request(bearer("secret-a"))
    asyncio.run(tokens.authenticate(asked))
    assert asked.headers == {}


def test_a_websocket_may_carry_its_token_as_a_protocol(tokens):
    encoded = base64.urlsafe_b64encode(b"secret-a").rstrip(b"=").decode()
    protocols = f"v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.{encoded}"
    asked = request({"upgrade": "websocket", "sec-websocket-protocol": protocols})
    user = asyncio.run(tokens.authenticate(asked))
    assert user is not None
    assert user.name == "alice"
    assert asked.headers["sec-websocket-protocol"] == "v4.channel.k8s.io"


def test_a_changed_token_file_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(watched_files, "CHECK_INTERVAL", 0.0)
    monkeypatch.setattr(watched_files, "SETTLED_AFTER", 0.0)
    path = tmp_path / "tokens.csv"
    path.write_text("one,alice,1\n")
    authenticator = server_authenticator(config(tmp_path, token_auth_file=str(path)))
    path.write_text("two,alice,1\nthree,bob,2\n")
    assert find(authenticator, headers=bearer("three")).name == "bob"
    with pytest.raises(AuthenticationError):
        find(authenticator, headers=bearer("one"))
    path.write_text("broken\n")
    assert find(authenticator, headers=bearer("two")).name == "alice"


def test_a_broken_token_file_is_an_error_at_start(tmp_path):
    path = tmp_path / "tokens.csv"
    path.write_text("a,b\n")
    with pytest.raises(ValueError, match="line 1: must have at least 3 columns"):
        server_authenticator(config(tmp_path, token_auth_file=str(path)))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    authority = Authority("clients")
    authority.write(tmp_path / "ca.crt")
    return authority


def test_a_client_certificate_names_its_user(tmp_path, authority):
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    user = find(authenticator, peer=authority.client("jane", "dev", "ops", uids=("u-1",)))
    assert user is not None
    assert (user.name, user.uid, user.groups) == ("jane", "u-1", ("dev", "ops", "system:authenticated"))
    (credential,) = user.extra["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("X509SHA256=")
    assert len(credential) == len("X509SHA256=") + 64


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ca: Authority("clients").client("jane"), "signed by unknown authority"),
        (lambda ca: ca.client("jane", end=NOW - DAY / 2), "has expired"),
        (lambda ca: ca.client("jane", usage=ExtendedKeyUsageOID.SERVER_AUTH), "incompatible key usage"),
        (lambda ca: ca.client("jane", uids=("a", "b")), "multiple UIDs"),
        (lambda ca: b"garbage", "malformed"),
    ],
)
def test_a_bad_certificate_is_unauthorized(tmp_path, authority, make: Callable[[Authority], bytes], message):
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    certificate = make(authority)
    for _ in range(2):
        with pytest.raises(AuthenticationError, match=message):
            find(authenticator, peer=certificate)


def test_a_certificate_that_expires_while_remembered_is_refused(tmp_path, authority):
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    certificate = authority.client("jane", end=datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2))
    assert find(authenticator, peer=certificate) is not None
    time.sleep(2.1)
    with pytest.raises(AuthenticationError, match="expired"):
        find(authenticator, peer=certificate)


def proxied(tmp_path: Path, **fields: Any) -> ServerAuthenticator:
    return server_authenticator(
        config(
            tmp_path,
            requestheader_client_ca_file=str(tmp_path / "proxy-ca.crt"),
            requestheader_allowed_names=("front",),
            requestheader_username_headers=("X-Remote-User",),
            requestheader_group_headers=("X-Remote-Group",),
            requestheader_extra_headers_prefix=("X-Remote-Extra-",),
            **fields,
        )
    )


REMOTE = {"x-remote-user": "jane", "x-remote-group": "a", "x-remote-extra-x%2Fy": "1, 2"}


def test_a_trusted_proxy_states_the_user(tmp_path):
    proxies = Authority("proxies")
    proxies.write(tmp_path / "proxy-ca.crt")
    asked = request(dict(REMOTE), proxies.client("front"))
    asked.repeated = {"x-remote-group": ["a", "x, system:masters"], "x-remote-user": ["jane", "root"]}
    user = asyncio.run(proxied(tmp_path).authenticate(asked))
    assert user == UserInfo("jane", "", ("a", "x, system:masters", "system:authenticated"), {"x/y": ["1, 2"]})
    assert asked.headers == {}


def test_anyone_elses_remote_headers_are_not_believed(tmp_path, authority):
    proxies = Authority("proxies")
    proxies.write(tmp_path / "proxy-ca.crt")
    authenticator = proxied(tmp_path, client_ca_file=str(tmp_path / "ca.crt"))
    assert find(authenticator, headers=dict(REMOTE)).name == "system:anonymous"
    assert find(authenticator, headers=dict(REMOTE), peer=authority.client("front")).name == "front"
    with pytest.raises(AuthenticationError):
        find(authenticator, headers=dict(REMOTE), peer=proxies.client("other"))


class Objects:
    """What service account tokens name, by (resource, namespace, name)."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str, str], dict[str, Any]] = {}

    def put(self, resource: str, namespace: str, name: str, uid: str, **metadata: Any) -> None:
        self.stored[(resource, namespace, name)] = {"metadata": {"name": name, "uid": uid, **metadata}}

    async def get(self, resource: str, namespace: str, name: str) -> dict[str, Any] | None:
        return self.stored.get((resource, namespace, name))

    async def label(self, resource: str, namespace: str, name: str, label: str, value: str) -> None:
        metadata = self.stored[(resource, namespace, name)]["metadata"]
        metadata["labels"] = {**metadata.get("labels", {}), label: value}


@pytest.fixture
def objects() -> Objects:
    objects = Objects()
    objects.put("serviceaccounts", "ns", "robot", "u1")
    objects.put("pods", "ns", "p", "p1")
    return objects


@pytest.fixture
def signer(tmp_path: Path) -> TokenSigner:
    (tmp_path / "sa.key").write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())))
    return TokenSigner(str(tmp_path / "sa.key"), ISSUER)


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    private = {"namespace": "ns", "serviceaccount": {"name": "robot", "uid": "u1"}, **more.pop("bound", {})}
    times = {"iat": now, "nbf": now, "exp": now + 600}
    return {
        "aud": [ISSUER],
        "jti": "j",
        "sub": "system:serviceaccount:ns:robot",
        **times,
        "kubernetes.io": private,
        **more,
    }


def accounts(tmp_path: Path, objects: Objects) -> ServerAuthenticator:
    settings = config(tmp_path, service_account_issuer=(ISSUER,), service_account_key_file=(str(tmp_path / "sa.key"),))
    return server_authenticator(settings, objects)


def test_a_service_account_token_names_its_account(tmp_path, objects, signer):
    token = signer.sign(claims(bound={"pod": {"name": "p", "uid": "p1"}, "node": {"name": "n", "uid": "n1"}}))
    assert jwt.get_unverified_header(token).keys() == {"alg", "kid"}
    user = find(accounts(tmp_path, objects), headers=bearer(token))
    assert user == UserInfo(
        "system:serviceaccount:ns:robot",
        "u1",
        ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"),
        {
            "authentication.kubernetes.io/credential-id": ["JTI=j"],
            "authentication.kubernetes.io/node-name": ["n"],
            "authentication.kubernetes.io/node-uid": ["n1"],
            "authentication.kubernetes.io/pod-name": ["p"],
            "authentication.kubernetes.io/pod-uid": ["p1"],
        },
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"exp": 1000}, "service account token has expired"),
        ({"nbf": 1 << 40}, "service account token is not valid yet"),
        ({"aud": ["other"]}, f'token audiences ["other"] is invalid for the target audiences ["{ISSUER}"]'),
        ({"bound": {"serviceaccount": {"name": "gone", "uid": "u"}}}, 'serviceaccounts "gone" not found'),
        (
            {"bound": {"serviceaccount": {"name": "robot", "uid": "old"}}},
            "service account UID (u1) does not match claim (old)",
        ),
        ({"bound": {"pod": {"name": "gone", "uid": "p1"}}}, "service account token has been invalidated"),
        (
            {"bound": {"pod": {"name": "p", "uid": "old"}}},
            "pod UID (p1) does not match service account pod ref claim (old)",
        ),
        ({"bound": {"secret": {"name": "s", "uid": "s"}}}, "service account token has been invalidated"),
    ],
)
def test_a_token_dies_with_what_it_names(tmp_path, objects, signer, changes, message):
    with pytest.raises(AuthenticationError) as caught:
        find(accounts(tmp_path, objects), headers=bearer(signer.sign(claims(**changes))))
    assert str(caught.value) == f"[invalid bearer token, {message}]"


def test_an_account_being_deleted_for_long_is_gone(tmp_path, objects, signer):
    objects.put("serviceaccounts", "ns", "robot", "u1", deletionTimestamp="2020-01-01T00:00:00Z")
    with pytest.raises(AuthenticationError, match="service account ns/robot has been deleted"):
        find(accounts(tmp_path, objects), headers=bearer(signer.sign(claims())))


def test_a_forged_signature_is_refused(tmp_path, objects, signer):
    (tmp_path / "other.key").write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())))
    forged = TokenSigner(str(tmp_path / "other.key"), ISSUER).sign(claims())
    head, body, _ = signer.sign(claims()).split(".")
    mixed = ".".join([head, body, forged.split(".")[2]])
    unsigned = jwt.encode({**claims(), "iss": ISSUER}, "", "none")
    for token in (forged, mixed, unsigned):
        with pytest.raises(AuthenticationError):
            find(accounts(tmp_path, objects), headers=bearer(token))


def test_a_token_is_not_good_while_etcd_cannot_be_asked(tmp_path, objects, signer, monkeypatch):
    async def unavailable(*_: str) -> None:
        raise Unavailable("no leader")

    monkeypatch.setattr(objects, "get", unavailable)
    with pytest.raises(AuthenticationError, match="cannot look up what the token names: no leader"):
        find(accounts(tmp_path, objects), headers=bearer(signer.sign(claims())))


def test_answers_about_tokens_are_kept_for_a_while(tmp_path, objects, signer):
    authenticator, token = accounts(tmp_path, objects), signer.sign(claims())
    assert find(authenticator, headers=bearer(token)) is not None
    objects.stored.clear()
    assert find(authenticator, headers=bearer(token)) is not None
    with pytest.raises(AuthenticationError):
        find(accounts(tmp_path, objects), headers=bearer(token))


def test_a_token_review_asks_for_audiences(tmp_path, objects, signer):
    authenticator = accounts(tmp_path, objects)
    token = signer.sign(claims(aud=["a", "b"]))
    response = asyncio.run(authenticator.review_token(token, ("b", "c")))
    assert response.audiences == ("b",)
    with pytest.raises(AuthenticationError):
        asyncio.run(authenticator.review_token(token, None))
    loopback = asyncio.run(authenticator.review_token("loop", None))
    assert loopback.audiences == (ISSUER,)
    with pytest.raises(AuthenticationError, match=r"^invalid bearer token$"):
        asyncio.run(authenticator.review_token("loop", ("other",)))
    assert os.listdir(tmp_path) == ["sa.key"]


class Intermediate(Authority):
    """An authority that another one has made."""

    def __init__(self, name: str, parent: Authority, *, ca: bool = True, room: int | None = None) -> None:
        super().__init__(name)
        start, end = NOW - DAY, NOW + DAY
        builder = x509.CertificateBuilder(
            parent.name, self.name, self.key.public_key(), x509.random_serial_number(), start, end
        )
        constraints = x509.BasicConstraints(ca=ca, path_length=room if ca else None)
        builder = builder.add_extension(constraints, critical=True)
        self.certificate = builder.sign(parent.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)


def shown(authenticator: ServerAuthenticator, *certificates: bytes) -> UserInfo | None:
    asked = request()
    asked.peer_certificates = certificates
    return asyncio.run(authenticator.authenticate(asked))


def test_certificates_may_lead_to_an_authority_over_others(tmp_path, authority):
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    middle = Intermediate("middle", authority)
    low = Intermediate("low", middle)
    jane = low.client("jane", "dev")
    user = shown(authenticator, jane, low.der, middle.der)
    assert user is not None
    assert user.name == "jane"
    assert shown(authenticator, jane, middle.der, low.der) == user
    for lacking in ((jane,), (jane, low.der), (jane, middle.der)):
        with pytest.raises(AuthenticationError, match="signed by unknown authority"):
            shown(authenticator, *lacking)


@pytest.mark.parametrize("limits", [{"ca": False}, {"room": 0}])
def test_who_is_no_authority_cannot_lead_to_one(tmp_path, authority, limits):
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    middle = Intermediate("middle", authority, **limits)
    low = Intermediate("low", middle)
    with pytest.raises(AuthenticationError, match="signed by unknown authority"):
        shown(authenticator, low.client("jane"), low.der, middle.der)


def test_a_certificate_in_the_file_that_is_no_authority_vouches_for_nobody_else(tmp_path, authority):
    leaf = Intermediate("leaf", authority, ca=False)
    leaf.write(tmp_path / "ca.crt")
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    assert shown(authenticator, leaf.der) is not None
    with pytest.raises(AuthenticationError, match="signed by unknown authority"):
        shown(authenticator, leaf.client("jane"))


def test_a_file_of_intermediate_authorities_ends_chains(tmp_path, authority):
    middle = Intermediate("middle", authority)
    middle.write(tmp_path / "ca.crt")
    authenticator = server_authenticator(config(tmp_path, client_ca_file=str(tmp_path / "ca.crt")))
    assert shown(authenticator, middle.client("jane")) is not None
