"""What an AuthenticationConfiguration may say (k8s.io/apiserver/pkg/apis/apiserver/validation).

CEL expressions are refused: this server does not evaluate them here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.validation import field

MATCH_ANY = "MatchAny"
MAX_ISSUERS = 64
NO_CEL = "CEL expressions are not supported by this server, use claim"

Object = dict[str, Any]


def validate(document: Object, service_account_issuers: Collection[str]) -> field.Errors:
    """ValidateAuthenticationConfiguration."""
    entries = document.get("jwt") or []
    if len(entries) > MAX_ISSUERS:
        return [field.too_many("jwt", len(entries), MAX_ISSUERS)]
    errors: field.Errors = []
    seen: dict[str, set[str]] = {"url": set(), "discoveryURL": set()}
    for path, entry in field.each("jwt", entries):
        for validate_part in (_issuer, _claim_rules, _mappings, _user_rules):
            errors += validate_part(entry, path, service_account_issuers)
        for name, known in seen.items():
            url = (entry.get("issuer") or {}).get(name, "")
            if url in known:
                errors.append(field.duplicate(f"{path}.issuer.{name}", url))
            if url or name == "url":
                known.add(url)
    anonymous = document.get("anonymous") or {}
    if anonymous.get("conditions") and not anonymous.get("enabled"):
        detail = "enabled should be set to true when conditions are defined"
        errors.append(field.invalid("anonymous.conditions", anonymous["conditions"], detail))
    return errors


def _issuer(entry: Object, path: str, service_account_issuers: Collection[str]) -> field.Errors:
    issuer, path = entry.get("issuer") or {}, f"{path}.issuer"
    url, discovery = issuer.get("url", ""), issuer.get("discoveryURL", "")
    errors = _url(url, f"{path}.url", service_account_issuers) if url else [field.required(f"{path}.url")]
    if discovery:
        if url.rstrip("/") == discovery.rstrip("/"):
            errors.append(field.invalid(f"{path}.discoveryURL", discovery, "discoveryURL must be different from URL"))
        errors += _url(discovery, f"{path}.discoveryURL", ())
    errors += _audiences(issuer, path)
    if issuer.get("certificateAuthority") and not _has_certificate(issuer["certificateAuthority"]):
        detail = "data does not contain any valid RSA or ECDSA certificates"
        errors.append(field.invalid(f"{path}.certificateAuthority", "<omitted>", detail))
    if issuer.get("egressSelectorType"):
        detail = "egress selectors are not supported by this server"
        errors.append(field.invalid(f"{path}.egressSelectorType", issuer["egressSelectorType"], detail))
    return errors


def _url(url: str, path: str, disallowed: Collection[str]) -> field.Errors:
    errors = []
    if url in disallowed:
        shown = f"[{' '.join(sorted(disallowed))}]"
        errors.append(field.invalid(path, url, f"URL must not overlap with disallowed issuers: {shown}"))
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018
    except ValueError as error:
        return [*errors, field.invalid(path, url, str(error))]
    faults = {
        "URL scheme must be https": parts.scheme != "https",
        "URL must not contain a username or password": "@" in parts.netloc,
        "URL must not contain a query": bool(parts.query),
        "URL must not contain a fragment": bool(parts.fragment),
    }
    return errors + [field.invalid(path, url, detail) for detail, wrong in faults.items() if wrong]


def _audiences(issuer: Object, path: str) -> field.Errors:
    audiences, policy = issuer.get("audiences") or [], issuer.get("audienceMatchPolicy", "")
    if not audiences:
        return [field.required(f"{path}.audiences", f"at least one {path}.audiences is required")]
    errors, seen = [], set()
    for where, audience in field.each(f"{path}.audiences", audiences):
        if not audience:
            errors.append(field.required(where))
        if audience in seen:
            errors.append(field.duplicate(where, audience))
        seen.add(audience)
    several = len(audiences) > 1
    if policy != MATCH_ANY and (several or policy):
        start = "audienceMatchPolicy must be MatchAny for multiple audiences"
        detail = start if several else "audienceMatchPolicy must be empty or MatchAny for single audience"
        errors.append(field.invalid(f"{path}.audienceMatchPolicy", policy, detail))
    return errors


def _has_certificate(pem: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(pem.encode()))
    except ValueError:
        return False


def _claim_rules(entry: Object, path: str, _: Collection[str]) -> field.Errors:
    errors, seen = [], set()
    for where, rule in field.each(f"{path}.claimValidationRules", entry.get("claimValidationRules")):
        claim = rule.get("claim", "")
        if claim and rule.get("expression"):
            errors.append(field.invalid(where, claim, "claim and expression can't both be set"))
        elif rule.get("expression"):
            errors.append(no_cel(f"{where}.expression", rule["expression"]))
        elif not claim:
            errors.append(field.required(where, "claim or expression is required"))
        elif rule.get("message"):
            detail = "may not be specified when claim is set"
            errors.append(field.invalid(f"{where}.message", rule["message"], detail))
        if claim and claim in seen:
            errors.append(field.duplicate(f"{where}.claim", claim))
        seen.add(claim)
    return errors


def _mappings(entry: Object, path: str, _: Collection[str]) -> field.Errors:
    mappings, path = entry.get("claimMappings") or {}, f"{path}.claimMappings"
    errors = _prefixed(mappings.get("username") or {}, f"{path}.username", needed=True)
    errors += _prefixed(mappings.get("groups") or {}, f"{path}.groups", needed=False)
    uid = mappings.get("uid") or {}
    if uid.get("claim") and uid.get("expression"):
        errors.append(field.invalid(f"{path}.uid", "", "claim and expression can't both be set"))
    elif uid.get("expression"):
        errors.append(no_cel(f"{path}.uid.expression", uid["expression"]))
    for where, extra in field.each(f"{path}.extra", mappings.get("extra")):
        errors.append(no_cel(f"{where}.valueExpression", extra.get("valueExpression", "")))
    return errors


def _prefixed(mapping: Object, path: str, *, needed: bool) -> field.Errors:
    if mapping.get("claim") and mapping.get("expression"):
        return [field.invalid(path, "", "claim and expression can't both be set")]
    if mapping.get("expression"):
        return [no_cel(f"{path}.expression", mapping["expression"])]
    if mapping.get("claim") and mapping.get("prefix") is None:
        detail = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
        return [field.required(f"{path}.prefix", detail)]
    if needed and not mapping.get("claim"):
        return [field.required(path, "claim or expression is required")]
    return []


def _user_rules(entry: Object, path: str, _: Collection[str]) -> field.Errors:
    rules = field.each(f"{path}.userValidationRules", entry.get("userValidationRules"))
    return [no_cel(f"{where}.expression", rule.get("expression", "")) for where, rule in rules]


def no_cel(path: str, expression: str) -> FieldError:
    """What is wrong with an expression: that it is one."""
    return field.invalid(path, expression, NO_CEL)
