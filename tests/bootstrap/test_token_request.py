"""Tokens for service accounts: claims, bounds, lifetimes, and that the server accepts what it signed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from typing import Any

import jwt
import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.stored import StoredObjects
from apiserver_workers.authentication.union import server_authenticator
from apiserver_workers.core.bootstrap import system
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.core.token_request import EXTENDED_REQUEST, EXTENSION, token_endpoint
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.request_info import request_info
from cryptography.hazmat.primitives.asymmetric import ec

from tests.auth.test_authentication import private_pem

ISSUER = "https://issuer.example.com"


@pytest.fixture
def signing(config: ServerConfig, tmp_path) -> dict[str, Any]:
    (tmp_path / "sa.key").write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())))
    return {"service_account_issuer": (ISSUER,), "service_account_signing_key_file": str(tmp_path / "sa.key")}


class Issuer:
    """A server with the service account `robot` and a pod of it."""

    def __init__(self, backend: Backend, config: ServerConfig) -> None:
        self.backend = backend
        endpoint = token_endpoint(config, backend.registry)
        assert endpoint is not None
        self.endpoint = endpoint

    async def fill(self) -> None:
        objects = Objects(self.backend.registry)
        await system.ensure_namespaces(objects)
        for account in ("robot", "other"):
            await objects.ensure("", "serviceaccounts", {"metadata": {"name": account, "namespace": "default"}})
        containers = [{"name": "c", "image": "i"}]
        for name, account in (("p", "robot"), ("q", "other")):
            spec = {"serviceAccountName": account, "nodeName": "gone", "containers": containers}
            await objects.ensure("", "pods", {"metadata": {"name": name, "namespace": "default"}, "spec": spec})

    async def ask(self, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
        path = "/api/v1/namespaces/default/serviceaccounts/robot/token"
        kind = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
        body = json.dumps({**kind, "metadata": metadata, "spec": spec}).encode()
        headers = {"content-type": "application/json"}
        request = Request("POST", path, "", headers, body, info=request_info("POST", path), user=UserInfo("admin"))
        store = self.backend.registry.store("", "serviceaccounts")
        answer = await self.endpoint.create(request, Served(store.kind, store))
        self.warnings = request.warnings
        body_out = answer.body
        return json.loads(body_out if isinstance(body_out, bytes) else b"".join(body_out))  # type: ignore[arg-type]


def run(config: ServerConfig, signing: dict[str, Any], scenario) -> None:
    async def main() -> None:
        backend = Backend(config)
        await backend.start()
        try:
            issuer = Issuer(backend, dataclasses.replace(config, **signing))
            await issuer.fill()
            await scenario(issuer)
        finally:
            await backend.stop()

    asyncio.run(main())


def claims_of(answer: dict[str, Any]) -> dict[str, Any]:
    return jwt.decode(answer["status"]["token"], options={"verify_signature": False})


def test_a_token_is_for_the_account_and_the_server_accepts_it(config, signing):
    async def scenario(issuer: Issuer) -> None:
        answer = await issuer.ask({})
        assert answer["spec"]["audiences"] == [ISSUER]
        claims = claims_of(answer)
        assert claims["sub"] == "system:serviceaccount:default:robot"
        assert claims["exp"] - claims["iat"] == 3600
        settings = dataclasses.replace(config, **signing)
        authenticator = server_authenticator(settings, StoredObjects(issuer.backend.storage, config.etcd_prefix))
        response = await authenticator.review_token(answer["status"]["token"], None)
        assert response.user.name == "system:serviceaccount:default:robot"
        assert response.user.uid == answer["metadata"]["uid"]

    run(config, signing, scenario)


def test_a_pods_token_names_it_and_lives_on_for_clients_that_do_not_read_it_again(config, signing):
    async def scenario(issuer: Issuer) -> None:
        ref = {"kind": "Pod", "apiVersion": "v1", "name": "p"}
        answer = await issuer.ask({"boundObjectRef": ref, "expirationSeconds": EXTENDED_REQUEST})
        claims = claims_of(answer)
        assert claims["kubernetes.io"]["pod"]["name"] == "p"
        assert claims["kubernetes.io"]["node"] == {"name": "gone"}
        assert claims["exp"] - claims["iat"] == EXTENSION
        assert claims["kubernetes.io"]["warnafter"] - claims["iat"] == EXTENDED_REQUEST
        expires = answer["status"]["expirationTimestamp"]
        assert expires <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + EXTENDED_REQUEST))

    run(config, signing, scenario)


@pytest.mark.parametrize(
    ("spec", "metadata", "code", "message"),
    [
        ({"expirationSeconds": 10}, {}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, {}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({}, {"name": "other"}, 422, "must match the service account name if specified"),
        ({"boundObjectRef": {"kind": "Golf", "apiVersion": "v1", "name": "x"}}, {}, 400,
         "cannot bind token to object of type /v1, Kind=Golf"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}, {}, 404, 'pods "none" not found'),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "q"}}, {}, 400,
         'cannot bind token for serviceaccount "robot" to pod running with different serviceaccount name.'),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": "x"}}, {}, 409,
         "the UID in the bound object reference (x) does not match the UID in record"),
    ],
)  # fmt: skip
def test_refusals(config, signing, spec, metadata, code, message):
    async def scenario(issuer: Issuer) -> None:
        with pytest.raises(ApiError) as caught:
            await issuer.ask(spec, **metadata)
        assert caught.value.code == code
        assert message in caught.value.message

    run(config, signing, scenario)


@pytest.mark.seed("S62")
def test_no_token_lives_longer_than_the_server_allows(config, signing):
    async def scenario(issuer: Issuer) -> None:
        bound = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}
        token = claims_of(await issuer.ask({"expirationSeconds": 9000}))
        assert token["exp"] - token["iat"] == 7200
        assert issuer.warnings == ["requested expiration of 9000 seconds shortened to 7200 seconds"]
        token = claims_of(await issuer.ask({"expirationSeconds": EXTENDED_REQUEST, **bound}))
        assert token["exp"] - token["iat"] == EXTENDED_REQUEST
        assert "warnafter" not in token["kubernetes.io"]

    limits = {"service_account_max_token_expiration": 7200.0, "service_account_extend_token_expiration": False}
    run(config, {**signing, **limits}, scenario)
