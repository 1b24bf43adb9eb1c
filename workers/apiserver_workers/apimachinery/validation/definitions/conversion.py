"""How objects get from one version to another: spec.conversion (validation.go: validateCustomResourceConversion)."""

from __future__ import annotations

import base64
import re
from typing import Any

from cryptography import x509

from apiserver_workers.apimachinery.name_rules import is_dns1035_label
from apiserver_workers.apimachinery.validation.field import Errors, each, forbidden, invalid, not_supported, required
from apiserver_workers.apimachinery.validation.webhooks import validate_webhook_service, validate_webhook_url

Object = dict[str, Any]

REVIEW_VERSIONS = ("v1", "v1beta1")
STRATEGIES = ("None", "Webhook")
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)


def conversion_faults(conversion: Object | None, path: str, *, review_version: bool, any_bundle: bool) -> Errors:
    """`review_version`: a version of the review that servers know is needed; `any_bundle`: a caBundle is not looked at."""
    if conversion is None:
        return []
    strategy, client = conversion["strategy"], conversion["webhookClientConfig"]
    versions = conversion["conversionReviewVersions"]
    faults: Errors = []
    if not strategy:
        faults.append(required(f"{path}.strategy"))
    elif strategy not in STRATEGIES:
        faults.append(not_supported(f"{path}.strategy", strategy, STRATEGIES))
    if strategy == "Webhook":
        faults += _client_faults(client, f"{path}.webhookClientConfig", any_bundle=any_bundle)
        return faults + _version_faults(versions, f"{path}.conversionReviewVersions", review_version)
    why = "should not be set when strategy is not set to Webhook"
    if client is not None:
        faults.append(forbidden(f"{path}.webhookClientConfig", why))
    if versions:
        faults.append(forbidden(f"{path}.conversionReviewVersions", why))
    return faults


def _client_faults(client: Object | None, path: str, *, any_bundle: bool) -> Errors:
    if client is None:
        return [required(path, "required when strategy is set to Webhook")]
    url, service, bundle = client.get("url"), client.get("service"), client.get("caBundle")
    if (url is None) == (service is None):
        faults = [required(path, "exactly one of url or service is required")]
    elif url is not None:
        faults = validate_webhook_url(url, f"{path}.url")
    else:
        faults = validate_webhook_service(service or {}, f"{path}.service")
    if bundle and not any_bundle:
        faults += bundle_faults(bundle, f"{path}.caBundle")
    return faults


def bundle_faults(bundle: str, path: str) -> Errors:
    """ValidateCABundle: base64 of at least one certificate."""
    data = base64.b64decode(bundle)
    blocks = list(_PEM.finditer(data))
    if not blocks:
        return [invalid(path, bundle, "unable to load root certificates: unable to parse bytes as PEM block")]
    for block in blocks:
        try:
            x509.load_pem_x509_certificate(block[0])
        except ValueError:
            continue
        return []
    return [invalid(path, bundle, "unable to load root certificates: no valid certificate authority data seen")]


def _version_faults(versions: list[str], path: str, needs_known: bool) -> Errors:
    if not versions:
        return [required(path)]
    faults: Errors = []
    seen: set[str] = set()
    for at, version in each(path, versions):
        if version in seen:
            faults.append(invalid(at, version, "duplicate version"))
            continue
        seen.add(version)
        faults += [invalid(at, version, fault) for fault in is_dns1035_label(version)]
    if needs_known and not seen.intersection(REVIEW_VERSIONS):
        faults.append(invalid(path, versions, f"must include at least one of {', '.join(REVIEW_VERSIONS)}"))
    return faults
