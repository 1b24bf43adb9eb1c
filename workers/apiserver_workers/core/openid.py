"""How others may verify service account tokens: the issuer's OpenID metadata and its keys (pkg/routes/openidmetadata.go)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.authentication.keys import PublicKey, algorithm_of, key_id, parse_keys
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http.messages import JSON, Handler, Request, Response
from apiserver_workers.server.tls.watched_files import WatchedFiles

CONFIGURATION, KEYS = "/.well-known/openid-configuration", "/openid/v1/jwks"
JWK_SET = "application/jwk-set+json"
CACHED = (("Cache-Control", "public, max-age=3600"),)
Keys = Callable[[], list[PublicKey]]


def openid_routes(config: ServerConfig, address: str) -> dict[str, Handler]:
    """The handlers by path; none if no issuer is an https URL. `address` is where clients reach the server."""
    issuer = config.service_account_issuer[0] if config.service_account_issuer else ""
    key_files = config.service_account_key_file or tuple(filter(None, [config.service_account_signing_key_file]))
    if not issuer.startswith("https://") or not key_files:
        return {}
    files = [WatchedFiles([path], parse_keys) for path in key_files]

    def keys() -> list[PublicKey]:
        return [key for file in files for key in file.current()]

    keys_url = config.service_account_jwks_uri or f"https://{address}{KEYS}"
    return {
        CONFIGURATION: functools.partial(answer_configuration, keys, issuer, keys_url),
        KEYS: functools.partial(answer_keys, keys),
    }


async def answer_configuration(keys: Keys, issuer: str, keys_url: str, request: Request) -> Response:
    require(request, JSON)
    metadata = {
        "issuer": issuer,
        "jwks_uri": keys_url,
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": sorted({algorithm_of(key) for key in keys()}),
    }
    return Response(body=orjson.dumps(metadata), headers=CACHED)


async def answer_keys(keys: Keys, request: Request) -> Response:
    require(request, JWK_SET)
    body = orjson.dumps({"keys": [json_web_key(key) for key in keys()]})
    return Response(body=body, content_type=JWK_SET, headers=CACHED)


def json_web_key(key: PublicKey) -> dict[str, Any]:
    """The key as RFC 7517 writes it."""
    algorithm: Any = RSAAlgorithm if isinstance(key, rsa.RSAPublicKey) else ECAlgorithm
    fields = algorithm.to_jwk(key, as_dict=True)
    fields.pop("key_ops", None)
    return {"use": "sig", "kid": key_id(key), "alg": algorithm_of(key), **fields}


def require(request: Request, media_type: str) -> None:
    """Raises ApiError: 405 for other methods than GET, 406 if the client does not accept the media type."""
    if request.method != "GET":
        message = "the server does not allow this method on the requested resource"
        raise ApiError(405, "MethodNotAllowed", message, {})
    accepted = {part.partition(";")[0].strip() for part in request.headers.get("accept", "*/*").split(",")}
    if not accepted & {"", "*/*", "application/*", media_type}:
        message = f"406: Not Acceptable\n\nAvailable representations: {media_type}"
        raise ApiError(406, "NotAcceptable", message, {})
