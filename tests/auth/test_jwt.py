"""JWTs of OpenID issuers: discovery, keys and their rotation, claims; and the structured authentication configuration."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.configuration import load_authentication_config
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.union import ServerAuthenticator, server_authenticator
from apiserver_workers.server import config_reload
from apiserver_workers.server.config import ServerConfig
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.auth.remote import Answer, Authority, Remote, as_json
from tests.auth.test_authentication import bearer, config, request


class OpenIdProvider(Remote):
    """An issuer with signing keys, the newest last. `document` and `headers` may be changed."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(authority, self._answer)
        self.keys: list[tuple[str, Any, str]] = []
        self.headers: dict[str, str] = {}
        self.available = True
        self.document = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        self.rotate()

    def rotate(self, algorithm: str = "RS256") -> None:
        """A new key; tokens are signed by it."""
        key: Any
        if algorithm.startswith("ES"):
            key = ec.generate_private_key(ec.SECP256R1())
        else:
            key = rsa.generate_private_key(65537, 2048)
        self.keys.append((f"key-{len(self.keys)}", key, algorithm))

    def token(self, **claims: Any) -> str:
        key_id, key, algorithm = self.keys[-1]
        standard = {"iss": self.url, "aud": "client", "exp": int(time.time()) + 600, "sub": "jane"}
        merged = {name: value for name, value in {**standard, **claims}.items() if value is not None}
        return jwt.encode(merged, key, algorithm, headers={"kid": key_id})

    def _answer(self, method: str, path: str, body: bytes) -> Answer:
        if not self.available:
            return 503, {}, b"later"
        if path == "/.well-known/openid-configuration":
            return as_json(self.document)
        if path == "/keys":
            return as_json({"keys": [self._public(*entry) for entry in self.keys]}, **self.headers)
        return 404, {}, b""

    def _public(self, key_id: str, key: Any, algorithm: str) -> dict[str, Any]:
        kind: Any = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        return {**kind.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "use": "sig"}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("issuer"))


@pytest.fixture
def provider(authority: Authority) -> Any:
    with OpenIdProvider(authority) as running:
        yield running


def flags(tmp_path: Path, provider: OpenIdProvider, **fields: Any) -> ServerConfig:
    given = {
        "oidc_issuer_url": provider.url,
        "oidc_client_id": "client",
        "oidc_ca_file": str(provider.authority.file),
        "oidc_username_prefix": "oidc:",
    }
    return config(tmp_path, **{**given, **fields})


Find = Callable[[str], Awaitable[Any]]


def with_server(settings: ServerConfig, scenario: Callable[[Find], Awaitable[None]]) -> None:
    async def main() -> None:
        authenticator = server_authenticator(settings)
        await authenticator.start()
        try:
            await scenario(lambda token: answer(authenticator, token))
        finally:
            await authenticator.stop()

    asyncio.run(main())


async def answer(authenticator: ServerAuthenticator, token: str) -> Any:
    """The user, or why there is none; waits until the issuer was found."""
    deadline = time.monotonic() + 10
    while True:
        try:
            return await authenticator.authenticate(request(bearer(token)))
        except AuthenticationError as error:
            if "not initialized" not in str(error) or time.monotonic() > deadline:
                return str(error)
            await asyncio.sleep(0.02)


def answers(settings: ServerConfig, *tokens: str) -> list[Any]:
    found: list[Any] = []

    async def scenario(find: Find) -> None:
        found.extend([await find(token) for token in tokens])

    with_server(settings, scenario)
    return found


def test_an_id_token_names_its_user(tmp_path, provider):
    settings = flags(tmp_path, provider, oidc_groups_claim="roles", oidc_groups_prefix="oidc:")
    several, one = provider.token(roles=["dev", "qa"]), provider.token(roles="ops")
    assert answers(settings, several, one) == [
        UserInfo("oidc:jane", "", ("oidc:dev", "oidc:qa", "system:authenticated")),
        UserInfo("oidc:jane", "", ("oidc:ops", "system:authenticated")),
    ]
    assert [path for _, path, _, _ in provider.requests] == ["/.well-known/openid-configuration", "/keys"]


@pytest.mark.parametrize(
    ("fields", "claims", "name"),
    [
        ({"oidc_username_prefix": ""}, {}, "{url}#jane"),
        ({"oidc_username_prefix": "-"}, {}, "jane"),
        ({"oidc_username_prefix": "", "oidc_username_claim": "email"}, {"email": "j@x"}, "j@x"),
        ({"oidc_username_claim": "email"}, {"email": "j@x", "email_verified": True}, "oidc:j@x"),
    ],
)
def test_names_carry_a_prefix(tmp_path, provider, fields, claims, name):
    (user,) = answers(flags(tmp_path, provider, **fields), provider.token(**claims))
    assert user.name == name.format(url=provider.url)


@pytest.mark.parametrize(
    ("fields", "claims", "message"),
    [
        ({}, {"aud": "other"}, 'oidc: verify token: oidc: expected audience in ["client"] got ["other"]'),
        ({}, {"exp": 1000}, "oidc: verify token: oidc: token is expired"),
        ({}, {"exp": None}, "oidc: verify token: oidc: token is expired"),
        ({}, {"nbf": 1 << 40}, "oidc: verify token: oidc: current time before the nbf (not before) time"),
        ({}, {"sub": None}, 'oidc: parse username claims "sub": claim not present'),
        ({"oidc_username_claim": "email"}, {"email": "j", "email_verified": False}, "oidc: email not verified"),
        ({"oidc_groups_claim": "g"}, {"g": [1]},
         'oidc: parse groups claim "g": not a string or a list of strings'),
        ({"oidc_required_claim": ("team=a",)}, {}, "oidc: required claim team not present in ID token"),
        ({"oidc_required_claim": ("team=a",)}, {"team": "b"},
         "oidc: required claim team value does not match. Got = b, want = a"),
        ({"oidc_signing_algs": ("ES256",)}, {},
         'oidc: verify token: oidc: id token signed with unsupported algorithm, expected ["ES256"] got "RS256"'),
    ],
)  # fmt: skip
def test_an_id_token_that_is_not_good_is_refused(tmp_path, provider, fields, claims, message):
    (found,) = answers(flags(tmp_path, provider, **fields), provider.token(**claims))
    assert found == f"[invalid bearer token, {message}]"


def test_a_required_claim_lets_in(tmp_path, provider):
    settings = flags(tmp_path, provider, oidc_required_claim=("team=a",))
    (user,) = answers(settings, provider.token(team="a"))
    assert user.name == "oidc:jane"


def test_tokens_of_other_issuers_and_forged_ones_are_refused(tmp_path, provider):
    other = provider.token(iss="https://elsewhere")
    head, body, _ = provider.token().split(".")
    forged = f"{head}.{body}.{provider.token(sub='x').split('.')[2]}"
    unsigned = jwt.encode({"iss": provider.url, "aud": "client", "exp": time.time() + 60, "sub": "jane"}, "", "none")
    symmetric = jwt.encode({"iss": provider.url, "aud": "client", "sub": "jane"}, "x" * 32, "HS256")
    found = answers(flags(tmp_path, provider), other, forged, unsigned, symmetric, "a.b.c", "nothing")
    assert found[0] == found[4] == found[5] == "invalid bearer token"
    assert "failed to verify signature" in found[1]
    assert all("unsupported algorithm" in refusal for refusal in found[2:4])


def test_keys_may_change(tmp_path, provider):
    settings = flags(tmp_path, provider, oidc_signing_algs=("RS256", "ES256"))

    async def scenario(find: Find) -> None:
        assert (await find(provider.token())).name == "oidc:jane"
        provider.rotate("ES256")
        assert (await find(provider.token(sub="joe"))).name == "oidc:joe"
        asked = len(provider.requests)
        found = await asyncio.gather(*(find(provider.token(sub=f"user-{number}")) for number in range(5)))
        assert [user.name for user in found] == [f"oidc:user-{number}" for number in range(5)]
        assert len(provider.requests) == asked

    with_server(settings, scenario)


def test_keys_are_not_fetched_again_while_the_issuer_says_they_hold(tmp_path, provider):
    provider.headers = {"Cache_Control": "public, max-age=3600"}

    async def scenario(find: Find) -> None:
        assert (await find(provider.token())).name == "oidc:jane"
        provider.rotate()
        assert "failed to verify signature" in await find(provider.token())
        assert [path for _, path, _, _ in provider.requests].count("/keys") == 1

    with_server(flags(tmp_path, provider), scenario)


def test_an_issuer_that_is_not_there_yet_delays_nobody(tmp_path, provider, monkeypatch):
    monkeypatch.setattr("apiserver_workers.authentication.issuer.RETRY_SECONDS", 0.05)
    provider.available = False

    async def main() -> None:
        authenticator = server_authenticator(flags(tmp_path, provider))
        await authenticator.start()
        with pytest.raises(AuthenticationError, match="oidc: authenticator not initialized"):
            await authenticator.authenticate(request(bearer(provider.token())))
        provider.available = True
        assert (await answer(authenticator, provider.token())).name == "oidc:jane"
        await authenticator.stop()

    asyncio.run(main())


def test_an_issuer_that_is_another_is_never_found(tmp_path, provider, caplog, monkeypatch):
    provider.document["issuer"] = "https://other"

    async def main() -> None:
        authenticator = server_authenticator(flags(tmp_path, provider))
        await authenticator.start()
        while not provider.requests:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        with pytest.raises(AuthenticationError, match="not initialized"):
            await authenticator.authenticate(request(bearer(provider.token())))
        await authenticator.stop()

    asyncio.run(main())
    assert "oidc: issuer did not match the issuer returned by provider" in caplog.text


def test_groups_may_lie_elsewhere(tmp_path, authority, provider):
    with Remote(authority, lambda *_: (200, {}, provider.token(groups=["far"]).encode())) as elsewhere:
        sources = {"src": {"endpoint": f"{elsewhere.url}/groups", "access_token": "secret"}}
        token = provider.token(_claim_names={"groups": "src"}, _claim_sources=sources)
        (user,) = answers(flags(tmp_path, provider, oidc_groups_claim="groups"), token)
        assert user.groups == ("far", "system:authenticated")
        assert elsewhere.requests[0][2]["authorization"] == "Bearer secret"


def structured(provider: OpenIdProvider, **changes: Any) -> dict[str, Any]:
    issuer = {
        "url": provider.url,
        "audiences": ["client", "other"],
        "audienceMatchPolicy": "MatchAny",
        "certificateAuthority": provider.authority.file.read_text(),
    }
    mappings = {
        "username": {"claim": "sub", "prefix": ""},
        "groups": {"claim": "groups", "prefix": "g:"},
        "uid": {"claim": "uid"},
    }
    rules = [{"claim": "team", "requiredValue": "a"}]
    entry = {"issuer": issuer, "claimMappings": mappings, "claimValidationRules": rules}
    return document(jwt=[{**entry, **changes}])


def document(**fields: Any) -> dict[str, Any]:
    return {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration", **fields}


def written(tmp_path: Path, content: Any) -> str:
    path = tmp_path / "authentication.yaml"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_configuration_file_names_issuers(tmp_path, provider):
    provider.rotate("ES256")
    settings = config(tmp_path, authentication_config=written(tmp_path, structured(provider)))
    good, bad = {"aud": "other", "uid": "7", "groups": ["dev"], "team": "a"}, {"uid": "7", "team": "b"}
    user, refusal = answers(settings, provider.token(**good), provider.token(**bad))
    assert user == UserInfo("jane", "7", ("g:dev", "system:authenticated"))
    assert "required claim team value does not match" in refusal


def test_the_discovery_document_may_lie_elsewhere(tmp_path, authority, provider):
    with Remote(authority, lambda *_: as_json(provider.document)) as elsewhere:
        content = structured(provider, claimValidationRules=[])
        content["jwt"][0]["issuer"]["discoveryURL"] = f"{elsewhere.url}/here"
        settings = config(tmp_path, authentication_config=written(tmp_path, content))
        (user,) = answers(settings, provider.token(uid="7"))
        assert user.name == "jane"
        assert [path for _, path, _, _ in elsewhere.requests] == ["/here"]


def test_anonymous_requests_may_be_let_in_at_some_paths_only(tmp_path):
    anonymous = {"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]}
    settings = config(tmp_path, authentication_config=written(tmp_path, document(anonymous=anonymous)))

    async def scenario() -> list[Any]:
        authenticator = server_authenticator(settings)
        found = []
        for path in ("/livez", "/readyz", "/readyz/ping", "/api"):
            asked = request()
            asked.path = path
            found.append(await authenticator.authenticate(asked))
        return found

    assert [user and user.name for user in asyncio.run(scenario())] == ["system:anonymous"] * 2 + [None] * 2


def test_a_changed_configuration_counts_once_its_issuers_are_found(tmp_path, provider, monkeypatch, caplog):
    monkeypatch.setattr(config_reload, "CHECK_SECONDS", 0.02)
    path = Path(written(tmp_path, document(jwt=[])))

    async def scenario(find: Find) -> None:
        token = provider.token(uid="7", team="a")
        assert await find(token) == "invalid bearer token"
        path.write_text(json.dumps(structured(provider)))
        deadline = time.monotonic() + 10
        while not isinstance(await find(token), UserInfo):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        path.write_text("nonsense: [")
        await asyncio.sleep(0.1)
        path.write_text(json.dumps(document(anonymous={"enabled": False})))
        await asyncio.sleep(0.1)
        assert (await find(provider.token(uid="8", team="a"))).uid == "8"

    with_server(config(tmp_path, authentication_config=str(path)), scenario)
    assert "cannot reload" in caplog.text
    assert "anonymous: Forbidden: changed from initial configuration file" in caplog.text


def changed(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        target: Any = content["jwt"][0]
        *sections, name = path.split(".")
        for section in sections:
            target = target[section]
        target[name] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("issuer.url", ""), "jwt[0].issuer.url: Required value"),
        (changed("issuer.url", "http://x"), 'jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https'),
        (changed("issuer.url", "https://sa"), "URL must not overlap with disallowed issuers: [https://sa]"),
        (changed("issuer.audiences", []), "jwt[0].issuer.audiences: Required value: at least one"),
        (changed("issuer.audiences", ["a", "a"]), 'jwt[0].issuer.audiences[1]: Duplicate value: "a"'),
        (changed("issuer.audienceMatchPolicy", ""), "audienceMatchPolicy must be MatchAny for multiple audiences"),
        (changed("issuer.certificateAuthority", "x"), 'certificateAuthority: Invalid value: "<omitted>"'),
        (changed("issuer.unknown", 1), 'strict decoding error: unknown field "jwt[0].issuer.unknown"'),
        (changed("issuer.audiences", "a"), "jwt[0].issuer.audiences must be of type array"),
        (
            changed("claimMappings", {}),
            "jwt[0].claimMappings.username: Required value: claim or expression is required",
        ),
        (changed("claimMappings.username", {"claim": "x"}), "prefix is required when claim is set"),
        (changed("claimValidationRules", [{"claim": "a"}, {"claim": "a"}]), 'Duplicate value: "a"'),
        (changed("claimValidationRules", [{}]), "claim or expression is required"),
    ],
)
def test_a_configuration_that_is_not_sound_is_an_error_that_names_file_and_field(tmp_path, provider, change, message):
    content = structured(provider)
    change(content)
    path = written(tmp_path, content)
    with pytest.raises(ValueError, match="failed to load authentication configuration from file") as caught:
        load_authentication_config(path, ["https://sa"])
    assert path in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty config data"),
        ("[]", "not an object"),
        ("a: [", "line 2: "),
        ("kind: A\nkind: B\n", 'line 2: key "kind" already set in map'),
        ("kind: Pod\napiVersion: v1\n", 'got kind "Pod" of "v1"'),
    ],
)
def test_a_file_that_is_no_configuration_is_an_error(tmp_path, content, message):
    with pytest.raises(ValueError, match="failed to load") as caught:
        load_authentication_config(written(tmp_path, content), ())
    assert message in str(caught.value)
