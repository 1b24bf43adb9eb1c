"""Tokens whose parts have types that nobody expects: 401, never an error of the server."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import jwt
import pytest
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.authentication.jwt_claims import REGISTERED, WrongType, shaped, unverified, verified
from apiserver_workers.authentication.oidc import untrusted_issuer
from apiserver_workers.authentication.service_account import BoundTokens, ServiceAccountTokens
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.hostile.behind import others_go_on
from tests.running import RunningServer

KEY = ec.generate_private_key(ec.SECP256R1())
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
ISSUER = "https://issuer.example"
WRONG: list[Any] = [[], {}, [[]], {"a": 1}, True, 1, 1.5, "x", [1], [None], "\x00", "9" * 5000, None]
DEEP = b'{"iss":' + b"[" * 20_000 + b"]" * 20_000 + b"}"


def encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(header: Any, claims: Any) -> str:
    return ".".join((encoded(json.dumps(header).encode()), encoded(json.dumps(claims).encode()), "AA"))


def signed(claims: Any) -> str:
    """A token with a good signature, whatever its claims are."""
    return jwt.PyJWS().encode(json.dumps(claims).encode(), KEY, "ES256")


ODD = [
    *(unsigned({"alg": "ES256"}, {"iss": value}) for value in WRONG),
    *(unsigned({"alg": value, "kid": value}, {"iss": ISSUER}) for value in WRONG),
    *(unsigned(value, value) for value in WRONG),
    f"{encoded(DEEP)}.{encoded(DEEP)}.AA",
    f"{encoded(b'{}')}.{encoded(b'1' * 9000)}.AA",
    *("", ".", "..", "...", "a.b.c", "\xff.\xff.\xff", "=.=.=", "." * 100_000),
]


@pytest.fixture
def tokens(tmp_path: Path) -> ServiceAccountTokens:
    async def nothing(*_: str) -> None:
        return None

    keys = tmp_path / "keys.pem"
    keys.write_bytes(PEM)
    return ServiceAccountTokens([ISSUER], [str(keys)], (ISSUER,), BoundTokens(nothing))


def judged(tokens: ServiceAccountTokens, token: str) -> None:
    """Nobody's token, or a refused one."""
    try:
        assert asyncio.run(tokens.authenticate_token(token, None)) is None
    except AuthenticationError:
        return


@pytest.mark.parametrize("token", ODD, ids=lambda token: repr(token[:20]))
def test_odd_tokens_are_nobodys(tokens: ServiceAccountTokens, token: str) -> None:
    assert untrusted_issuer(token) in ("", ISSUER) or unverified(token) is not None
    judged(tokens, token)


CLAIMS = ("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "kubernetes.io")
PRIVATE = ("namespace", "serviceaccount", "pod", "secret", "node", "warnafter")


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("claim", CLAIMS)
def test_signed_tokens_with_odd_claims_are_refused(tokens: ServiceAccountTokens, claim: str, value: Any) -> None:
    judged(tokens, signed({"iss": ISSUER, "aud": [ISSUER], claim: value}))


@pytest.mark.parametrize("value", WRONG, ids=repr)
@pytest.mark.parametrize("claim", [*PRIVATE, "serviceaccount.name", "pod.uid", "node.name"])
def test_signed_tokens_with_odd_private_claims_are_refused(
    tokens: ServiceAccountTokens, claim: str, value: Any
) -> None:
    outer, _, inner = claim.partition(".")
    private = {"namespace": "n", "serviceaccount": {"name": "a", "uid": "u"}, outer: {inner: value} if inner else value}
    judged(tokens, signed({"iss": ISSUER, "aud": [ISSUER], "kubernetes.io": private}))


@pytest.mark.parametrize(("claims", "found"), [
    ({"iss": None, "aud": "a", "x": None}, {"aud": "a", "x": None}),
    ({"aud": ["a", "b"], "exp": 1.5}, {"aud": ["a", "b"], "exp": 1.5}),
    ({}, {}),
])  # fmt: skip
def test_nulls_are_left_out_and_other_claims_stay(claims: dict[str, Any], found: dict[str, Any]) -> None:
    assert shaped(claims, REGISTERED) == found


@pytest.mark.parametrize("claims", [[], "x", None, {"aud": [1]}, {"exp": True}, {"exp": "1"}, {"iss": []}, {"aud": {}}])
def test_other_types_are_refused(claims: Any) -> None:
    with pytest.raises(WrongType):
        shaped(claims, REGISTERED)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(CLAIMS + PRIVATE), inner, max_size=4),
    max_leaves=12,
)


@seed(11)
@settings(max_examples=300, deadline=None, database=None)
@given(JSON, JSON)
def test_no_token_raises_anything_else(header: Any, claims: Any) -> None:
    token = unsigned(header, claims)
    said = unverified(token)
    assert said is None or all(isinstance(part, str) for part in said)
    assert verified(token, KEY.public_key(), "ES256") is None
    signed_claims = verified(signed(claims), KEY.public_key(), "ES256")
    if isinstance(signed_claims, dict):
        try:
            assert isinstance(shaped(signed_claims, REGISTERED), dict)
        except WrongType:
            return


def test_the_server_answers_unauthorized_and_logs_a_line(server: RunningServer) -> None:
    log = server.run_dir / "logs" / "aggregator.log"
    context = ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    told = [token for token in ODD if token.isascii() and 0 < len(token) < 50_000]
    before = log.stat().st_size
    with others_go_on(server):
        for token in told:
            asked = urllib.request.Request(server.url + "/api", headers={"Authorization": f"Bearer {token}"})
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=10, context=context)
            assert refused.value.code == 401
    assert b"Traceback" not in log.read_bytes()[before:]
    assert log.stat().st_size - before < 500 * len(told)
