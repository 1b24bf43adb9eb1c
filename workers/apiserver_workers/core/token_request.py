"""serviceaccounts/token: signs a token for a service account (pkg/registry/core/serviceaccount/storage.TokenREST)."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from apiserver_workers.apimachinery.errors import ApiError, bad_request, conflict, invalid
from apiserver_workers.apimachinery.validation import field
from apiserver_workers.authentication.service_account import TokenSigner, user_name
from apiserver_workers.registry.attributes import CREATE
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.endpoints.context import context_of
from apiserver_workers.server.endpoints.decoding import decode_object
from apiserver_workers.server.endpoints.managers import manager_of, track
from apiserver_workers.server.endpoints.options import as_object, write_options
from apiserver_workers.server.endpoints.respond import output_of, transformed_response
from apiserver_workers.server.endpoints.served import Served
from apiserver_workers.server.http.messages import Request, Response

Object = dict[str, Any]

GROUP, KIND = "authentication.k8s.io", "TokenRequest"
SHORTEST, LONGEST = 600, 1 << 32
# What kubelets ask for on behalf of pods. Such a token lives on for a year, so that clients which do not read it again
# keep working; `warnafter` tells when it should have been replaced.
EXTENDED_REQUEST, EXTENSION = 3607, 365 * 24 * 3600
BINDABLE = {"Pod": "pods", "Secret": "secrets", "Node": "nodes"}


class TokenEndpoint:
    """POST of a TokenRequest to a service account."""

    def __init__(self, registry: Registry, signer: TokenSigner, config: ServerConfig) -> None:
        self._registry = registry
        self._signer = signer
        self._api_audiences = config.api_audiences or config.service_account_issuer
        self._longest = int(config.service_account_max_token_expiration)
        self._extends = config.service_account_extend_token_expiration

    async def create(self, request: Request, accounts: Served) -> Response:
        """The request with its token. Raises ApiError: 400, 404, 409, 422."""
        output = output_of(request, tables=False)
        options = write_options(request.raw_query, "CreateOptions")
        view = accounts.bodies["token"]
        asked = await decode_object(request, view, options.field_validation)
        asked = await track(view, None, asked, manager_of(request, options), "token")
        context = context_of(request, accounts, as_object("CreateOptions", options), dry_run=options.dry_run)
        _match_url(asked["metadata"], context.name, context.namespace)
        account = await self._get("serviceaccounts", context.namespace, context.name)
        now = time.time()
        self._complete(asked, account, now)
        attributes = accounts.store.attributes(CREATE, context, asked, None)
        await accounts.store.admission.admit(attributes)
        if faults := validate(asked["spec"]):
            raise invalid(KIND, GROUP, "", faults)
        await accounts.store.admission.validate(attributes)
        self._shorten(asked["spec"], request.warnings)
        bound = await self._bound(asked["spec"].get("boundObjectRef"), account["metadata"])
        answer = {**asked, "status": self._status(asked["spec"], account["metadata"], bound, now)}
        return transformed_response(request, view, answer, output, status=201)

    def _complete(self, asked: Object, account: Object, now: float) -> None:
        metadata, of_account = asked["metadata"], account["metadata"]
        asked["metadata"] = {
            **{key: of_account[key] for key in ("name", "namespace", "uid")},
            "creationTimestamp": timestamp(now),
            **{key: value for key, value in metadata.items() if key not in ("name", "namespace", "uid")},
        }
        if not asked["spec"].get("audiences"):
            asked["spec"]["audiences"] = list(self._api_audiences)

    def _shorten(self, spec: Object, warnings: list[str]) -> None:
        """No token lives longer than --service-account-max-token-expiration."""
        seconds = spec["expirationSeconds"]
        if 0 < self._longest < seconds:
            warnings.append(f"requested expiration of {seconds} seconds shortened to {self._longest} seconds")
            spec["expirationSeconds"] = self._longest

    async def _bound(self, ref: Object | None, account: Object) -> dict[str, Object]:
        """The claims about what the token is bound to. Raises ApiError."""
        if ref is None:
            return {}
        group, _, version = ref.get("apiVersion", "").rpartition("/")
        kind, name = ref.get("kind", ""), ref.get("name", "")
        if group or kind not in BINDABLE:
            raise bad_request(f"cannot bind token to object of type {group}/{version}, Kind={kind}")
        found = await self._get(BINDABLE[kind], "" if kind == "Node" else account["namespace"], name)
        if kind == "Pod" and found["spec"].get("serviceAccountName", "") != account["name"]:
            raise bad_request(
                f'cannot bind token for serviceaccount "{account["name"]}" to pod running with different serviceaccount name.'
            )
        if ref.get("uid") and ref["uid"] != found["metadata"]["uid"]:
            why = (
                f"the UID in the bound object reference ({ref['uid']}) does not match the UID in record. "
                "The object might have been deleted and then recreated"
            )
            raise conflict(kind, group, name, why)
        claims = {kind.lower(): reference(found)}
        if kind == "Pod" and found["spec"].get("nodeName"):
            claims["node"] = await self._node(found["spec"]["nodeName"])
        return claims

    async def _node(self, name: str) -> Object:
        try:
            return reference(await self._get("nodes", "", name))
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            return {"name": name}

    async def _get(self, resource: str, namespace: str, name: str) -> Object:
        return (await self._registry.store("", resource).get(namespace, name)).obj

    def _status(self, spec: Object, account: Object, bound: dict[str, Object], now: float) -> Object:
        seconds = spec["expirationSeconds"]
        private: Object = {
            "namespace": account["namespace"],
            "serviceaccount": reference({"metadata": account}),
            **bound,
        }
        lifetime = seconds
        own_audiences = set(spec["audiences"]) <= set(self._api_audiences)
        if self._extends and "pod" in bound and seconds == EXTENDED_REQUEST and own_audiences:
            private["warnafter"] = int(now) + seconds
            lifetime = EXTENSION
        claims = {
            "aud": spec["audiences"],
            "exp": int(now) + lifetime,
            "iat": int(now),
            "jti": str(uuid4()),
            "kubernetes.io": private,
            "nbf": int(now),
            "sub": user_name(account["namespace"], account["name"]),
        }
        return {"token": self._signer.sign(claims), "expirationTimestamp": timestamp(now + seconds)}


def token_endpoint(config: ServerConfig, registry: Registry) -> TokenEndpoint | None:
    """The endpoint, None if the server has no key to sign with. Raises OSError or ValueError for a bad key file."""
    if not (config.service_account_signing_key_file and config.service_account_issuer):
        return None
    signer = TokenSigner(config.service_account_signing_key_file, config.service_account_issuer[0])
    return TokenEndpoint(registry, signer, config)


def timestamp(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def reference(obj: Object) -> Object:
    """An object as claims name it."""
    return {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}


def validate(spec: Object) -> field.Errors:
    """ValidateTokenRequest."""
    path, seconds = "spec.expirationSeconds", spec["expirationSeconds"]
    if seconds < SHORTEST:
        return [field.invalid(path, seconds, "may not specify a duration less than 10 minutes")]
    if seconds > LONGEST:
        return [field.invalid(path, seconds, "may not specify a duration larger than 2^32 seconds")]
    return []


def _match_url(metadata: Object, name: str, namespace: str) -> None:
    """Name and namespace may be left out, but not be others. Raises ApiError."""
    for key, expected, what in (("name", name, "name"), ("namespace", namespace, "namespace")):
        given = metadata.get(key, "")
        if given and given != expected:
            why = f"must match the service account {what} if specified"
            raise invalid(KIND, GROUP, name, [field.invalid(f"metadata.{key}", given, why)])
