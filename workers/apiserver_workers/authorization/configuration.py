"""Which authorizers there are, in which order: --authorization-config, or the --authorization-* flags in its terms.

AuthorizationConfiguration is k8s.io/apiserver/pkg/apis/apiserver; the rules are those of its validation package.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver_workers.apimachinery.validation import field
from apiserver_workers.apimachinery.validation.names import is_dns1123_subdomain
from apiserver_workers.authorization.attributes import Decision
from apiserver_workers.authorization.match_conditions import validate_conditions
from apiserver_workers.authorization.webhook import VERSIONS as REVIEW_VERSIONS
from apiserver_workers.server.client.http import TIMEOUT
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.config_file import aggregated, decode_config

GROUP, KIND, VERSIONS = "apiserver.config.k8s.io", "AuthorizationConfiguration", ("v1", "v1beta1", "v1alpha1")
WEBHOOK = "Webhook"
MODES = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", WEBHOOK)
FAILURE_POLICIES = {"NoOpinion": Decision.NO_OPINION, "Deny": Decision.DENY}
KUBECONFIG = "KubeConfigFile"
LONGEST_TIMEOUT = 30.0

SHAPE = {
    "authorizers": [
        {
            "type": str,
            "name": str,
            "webhook": {
                "authorizedTTL": float,
                "cacheAuthorizedRequests": bool,
                "unauthorizedTTL": float,
                "cacheUnauthorizedRequests": bool,
                "timeout": float,
                "subjectAccessReviewVersion": str,
                "matchConditionSubjectAccessReviewVersion": str,
                "failurePolicy": str,
                "connectionInfo": {"type": str, "kubeConfigFile": str},
                "matchConditions": [{"expression": str}],
            },
        }
    ]
}
DEFAULTS = {
    "authorizedTTL": 300.0,
    "cacheAuthorizedRequests": True,
    "unauthorizedTTL": 30.0,
    "cacheUnauthorizedRequests": True,
}

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """One webhook: where it is, and what counts when it does not answer."""

    kubeconfig: str
    version: str = "v1beta1"
    authorized_ttl: float = 300.0
    unauthorized_ttl: float = 30.0
    timeout: float = TIMEOUT
    on_error: Decision = Decision.NO_OPINION
    conditions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizerConfig:
    """One authorizer of the chain."""

    type: str
    name: str
    webhook: WebhookConfig | None = None


def authorizer_configs(config: ServerConfig) -> list[AuthorizerConfig]:
    """The server's chain. Raises OSError, or ValueError that names the file, for a configuration that is not sound."""
    if config.authorization_config:
        return load_authorization_config(config.authorization_config)
    webhook = WebhookConfig(
        config.authorization_webhook_config_file,
        config.authorization_webhook_version,
        config.authorization_webhook_cache_authorized_ttl,
        config.authorization_webhook_cache_unauthorized_ttl,
    )
    return [
        AuthorizerConfig(mode, mode.lower(), webhook if mode == WEBHOOK else None) for mode in config.authorization_mode
    ]


def authorizer_types(config: ServerConfig) -> frozenset[str]:
    """The types in the server's chain; they stay while it runs. Raises as authorizer_configs."""
    return frozenset(entry.type for entry in authorizer_configs(config))


def load_authorization_config(path: str) -> list[AuthorizerConfig]:
    """The chain in the file. Raises OSError, or ValueError that names the file and every fault."""
    content = Path(path).read_bytes()
    try:
        return parse_authorization_config(content)
    except ValueError as error:
        raise ValueError(f'failed to load AuthorizationConfiguration from file "{path}": {error}') from None


def parse_authorization_config(content: bytes, types: Collection[str] | None = None) -> list[AuthorizerConfig]:
    """As load_authorization_config; `types` are those besides webhooks that there must be, and no others.

    Raises ValueError.
    """
    document = decode_config(content, group=GROUP, versions=VERSIONS, kind=KIND, shape=SHAPE)
    entries = document.get("authorizers") or []
    for entry in entries:
        if entry.get("webhook") is not None:
            entry["webhook"] = DEFAULTS | entry["webhook"]
    if faults := aggregated(validate(entries)):
        raise ValueError(faults)
    found = {entry["type"] for entry in entries} - {WEBHOOK}
    if types is not None and found != set(types) - {WEBHOOK}:
        wanted = ", ".join(sorted(set(types) - {WEBHOOK}))
        raise ValueError(f"the authorizer types besides Webhook may not change while the server runs: {wanted}")
    return [AuthorizerConfig(entry["type"], entry["name"], _webhook(entry)) for entry in entries]


def _webhook(entry: Object) -> WebhookConfig | None:
    if entry["type"] != WEBHOOK:
        return None
    webhook = entry["webhook"]
    return WebhookConfig(
        webhook["connectionInfo"]["kubeConfigFile"],
        webhook["subjectAccessReviewVersion"],
        webhook["authorizedTTL"] if webhook["cacheAuthorizedRequests"] else 0.0,
        webhook["unauthorizedTTL"] if webhook["cacheUnauthorizedRequests"] else 0.0,
        webhook["timeout"],
        FAILURE_POLICIES[webhook["failurePolicy"]],
        tuple(condition["expression"] for condition in webhook.get("matchConditions") or ()),
    )


def validate(entries: list[Object]) -> field.Errors:
    """ValidateAuthorizationConfiguration, and what kube-apiserver demands beyond it."""
    if not entries:
        return [field.required("authorizers", "at least one authorization mode must be defined")]
    errors: field.Errors = []
    types: set[str] = set()
    names: set[str] = set()
    for path, entry in field.each("authorizers", entries):
        kind = entry.get("type", "")
        if wrong := field.one_of(kind, MODES, f"{path}.type", needed=True):
            errors += wrong
        elif kind in types and kind != WEBHOOK:
            errors.append(field.duplicate(f"{path}.type", kind))
        else:
            types.add(kind)
            errors += _name(entry, path, names) + _of_type(entry, path)
    return errors


def _name(entry: Object, path: str, known: set[str]) -> field.Errors:
    name, kind = entry.get("name", ""), entry["type"]
    if not name:
        return [field.required(f"{path}.name")]
    if name in known:
        return [field.duplicate(f"{path}.name", name)]
    known.add(name)
    if faults := is_dns1123_subdomain(name):
        detail = f"authorizer name is invalid: {', '.join(faults)}"
        return [field.invalid(f"{path}.name", name, detail)]
    if kind != WEBHOOK and name != kind.lower():
        detail = f"expected name {kind.lower()} for authorizer {kind} instead of {name}"
        return [field.invalid(f"{path}.name", name, detail)]
    return []


def _of_type(entry: Object, path: str) -> field.Errors:
    webhook = entry.get("webhook")
    if entry["type"] == WEBHOOK:
        if webhook is None:
            return [field.required(f"{path}.webhook", "required when type=Webhook")]
        errors = _durations(webhook, path) + _versions(webhook, path) + _connection(webhook, path)
        return errors + validate_conditions(webhook.get("matchConditions") or [], f"{path}.matchConditions")
    if webhook is not None:
        return [field.invalid(f"{path}.webhook", "non-null", "may only be specified when type=Webhook")]
    return []


def _durations(webhook: Object, path: str) -> field.Errors:
    errors = []
    timeout = webhook.get("timeout", 0.0)
    if not timeout:
        errors.append(field.required(f"{path}.timeout"))
    elif not 0 < timeout <= LONGEST_TIMEOUT:
        errors.append(field.invalid(f"{path}.timeout", f"{timeout:g}s", "must be > 0s and <= 30s"))
    for name in ("authorizedTTL", "unauthorizedTTL"):
        if not webhook[name]:
            errors.append(field.required(f"{path}.{name}"))
        elif webhook[name] < 0:
            errors.append(field.invalid(f"{path}.{name}", f"{webhook[name]:g}s", "must be > 0s"))
    return errors


def _versions(webhook: Object, path: str) -> field.Errors:
    version = webhook.get("subjectAccessReviewVersion", "")
    errors = field.one_of(version, REVIEW_VERSIONS, f"{path}.subjectAccessReviewVersion", needed=True)
    conditions = webhook.get("matchConditions") or []
    name = f"{path}.matchConditionSubjectAccessReviewVersion"
    matched = webhook.get("matchConditionSubjectAccessReviewVersion", "")
    if conditions and not matched:
        errors.append(field.required(name, "required if match conditions are specified"))
    errors += field.one_of(matched, ("v1",), name)
    policy = webhook.get("failurePolicy", "")
    return errors + field.one_of(policy, FAILURE_POLICIES, f"{path}.failurePolicy", needed=True)


def _connection(webhook: Object, path: str) -> field.Errors:
    connection, path = webhook.get("connectionInfo") or {}, f"{path}.connectionInfo"
    if wrong := field.one_of(connection.get("type", ""), (KUBECONFIG,), f"{path}.type", needed=True):
        return wrong
    file, path = connection.get("kubeConfigFile", ""), f"{path}.kubeConfigFile"
    if not file:
        return [field.required(path)]
    if not os.path.isabs(file):
        return [field.invalid(path, file, "must be an absolute path")]
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return [field.invalid(path, file, "must be a regular file")]
    except OSError as error:
        return [field.invalid(path, file, f"error loading file: {(error.strerror or '').lower()}")]
    return []
