"""OpenID metadata: what verifiers of service account tokens need to know."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import jwt
import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.authentication.service_account import TokenSigner
from apiserver_workers.core.openid import CONFIGURATION, JWK_SET, KEYS, openid_routes
from apiserver_workers.server.http.messages import Request, Response
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.auth.test_authentication import ISSUER, claims, config, private_pem


def ask(tmp_path: Path, path: str, *, method: str = "GET", accept: str = "*/*") -> Response:
    settings = config(tmp_path, service_account_issuer=(ISSUER,), service_account_key_file=(str(tmp_path / "sa.key"),))
    routes = openid_routes(settings, "127.0.0.1:6443")
    return asyncio.run(routes[path](Request(method, path, "", {"accept": accept})))  # type: ignore[arg-type]


@pytest.fixture(
    params=[ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)], ids=["EC", "RSA"]
)
def key(request, tmp_path):
    (tmp_path / "sa.key").write_bytes(private_pem(request.param))
    return request.param


def test_the_issuer_describes_itself(tmp_path, key):
    answer = ask(tmp_path, CONFIGURATION, accept="application/json")
    assert answer.content_type == "application/json"
    assert json.loads(answer.body) == {
        "issuer": ISSUER,
        "jwks_uri": "https://127.0.0.1:6443/openid/v1/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"],
    }


def test_the_published_keys_verify_tokens(tmp_path, key):
    answer = ask(tmp_path, KEYS)
    assert answer.content_type == JWK_SET
    token = TokenSigner(str(tmp_path / "sa.key"), ISSUER).sign(claims())
    published = jwt.PyJWKSet.from_json(bytes(answer.body))[jwt.get_unverified_header(token)["kid"]]
    assert jwt.decode(token, published, audience=ISSUER)["sub"] == "system:serviceaccount:ns:robot"


@pytest.mark.parametrize(("method", "accept", "code"), [("GET", "application/json", 406), ("POST", "*/*", 405)])
def test_what_is_refused(tmp_path, key, method, accept, code):
    with pytest.raises(ApiError) as caught:
        ask(tmp_path, KEYS, method=method, accept=accept)
    assert caught.value.code == code


def test_without_an_https_issuer_there_is_no_metadata(tmp_path, key):
    settings = config(tmp_path, service_account_issuer=("local",), service_account_key_file=(str(tmp_path / "sa.key"),))
    assert openid_routes(settings, "x") == {}
