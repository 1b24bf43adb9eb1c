"""What an AuthenticationConfiguration may say (k8s.io/apiserver/pkg/apis/apiserver/validation)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from apiserver_workers.apimachinery.cel.ast import Checked
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.validation import field, names
from apiserver_workers.apimachinery.validation.expressions import Refused
from apiserver_workers.authentication.expressions import CLAIMS, USER, check_source, uses_claim

MATCH_ANY = "MatchAny"
MAX_ISSUERS = 64
NOT_BOTH = "claim and expression can't both be set"
UNVERIFIED = (
    "claims.email_verified must be used in claimMappings.username.expression or"
    " claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in"
    " claimMappings.username.expression"
)
RESERVED = ("kubernetes.io", "k8s.io")

Object = dict[str, Any]


def validate(document: Object, service_account_issuers: Collection[str]) -> field.Errors:
    """ValidateAuthenticationConfiguration."""
    entries = document.get("jwt") or []
    if len(entries) > MAX_ISSUERS:
        return [field.too_many("jwt", len(entries), MAX_ISSUERS)]
    errors: field.Errors = []
    seen: dict[str, set[str]] = {"url": set(), "discoveryURL": set()}
    for path, entry in field.each("jwt", entries):
        for validate_part in (_issuer, _claims):
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


class _Compiled:
    """The expressions of one entry: what is wrong with them, and whether they look at `claims.email_verified`."""

    def __init__(self) -> None:
        self.verified = False

    def check(
        self, source: str, path: str, declarations: Declarations = CLAIMS, *, rule: bool = False, looks: bool = False
    ) -> tuple[Checked | None, field.Errors]:
        """The checked tree, or the faults; `looks` says that looking at `email_verified` counts."""
        try:
            checked = check_source(source, declarations, rule=rule)
        except Refused as refused:
            return None, [refused.as_error(path, source)]
        self.verified = self.verified or (looks and uses_claim(checked, "email_verified"))
        return checked, []


def _claims(entry: Object, path: str, _: Collection[str]) -> field.Errors:
    compiled = _Compiled()
    errors = _claim_rules(entry, f"{path}.claimValidationRules", compiled)
    errors += _mappings(entry.get("claimMappings") or {}, f"{path}.claimMappings", compiled)
    return errors + _user_rules(entry, f"{path}.userValidationRules", compiled)


def _claim_rules(entry: Object, path: str, compiled: _Compiled) -> field.Errors:
    errors: field.Errors = []
    claims: set[str] = set()
    sources: set[str] = set()
    for where, rule in field.each(path, entry.get("claimValidationRules")):
        claim, source = rule.get("claim", ""), rule.get("expression", "")
        if claim and source:
            errors.append(field.invalid(where, claim, NOT_BOTH))
        elif source:
            if rule.get("requiredValue"):
                detail = "may not be specified when expression is set"
                errors.append(field.invalid(f"{where}.requiredValue", rule["requiredValue"], detail))
            errors += _rule(source, f"{where}.expression", CLAIMS, compiled, sources)
        elif claim:
            errors += _required_claim(rule, where, claims)
        else:
            errors.append(field.required(where, "claim or expression is required"))
    return errors


def _required_claim(rule: Object, path: str, seen: set[str]) -> field.Errors:
    errors: field.Errors = []
    if rule.get("message"):
        detail = "may not be specified when claim is set"
        errors.append(field.invalid(f"{path}.message", rule["message"], detail))
    if rule["claim"] in seen:
        errors.append(field.duplicate(f"{path}.claim", rule["claim"]))
    seen.add(rule["claim"])
    return errors


def _rule(source: str, path: str, declarations: Declarations, compiled: _Compiled, seen: set[str]) -> field.Errors:
    if source in seen:
        return [field.duplicate(path, source)]
    seen.add(source)
    return compiled.check(source, path, declarations, rule=True, looks=declarations is CLAIMS)[1]


def _mappings(mappings: Object, path: str, compiled: _Compiled) -> field.Errors:
    username = mappings.get("username") or {}
    errors, named = _prefixed(username, f"{path}.username", compiled, needed=True, looks=True)
    errors += _prefixed(mappings.get("groups") or {}, f"{path}.groups", compiled)[0]
    uid = mappings.get("uid") or {}
    if uid.get("claim") and uid.get("expression"):
        errors.append(field.invalid(f"{path}.uid", "", NOT_BOTH))
    elif uid.get("expression"):
        errors += compiled.check(uid["expression"], f"{path}.uid.expression")[1]
    errors += _extra(mappings.get("extra"), f"{path}.extra", compiled)
    if named is not None and uses_claim(named, "email") and not compiled.verified:
        errors.append(field.invalid(f"{path}.username.expression", username["expression"], UNVERIFIED))
    return errors


def _extra(extra: list[Object] | None, path: str, compiled: _Compiled) -> field.Errors:
    errors: field.Errors = []
    seen: set[str] = set()
    for where, mapping in field.each(path, extra):
        name, source = mapping.get("key", ""), mapping.get("valueExpression", "")
        errors += _extra_key(name, f"{where}.key")
        if name in seen:
            errors.append(field.duplicate(f"{where}.key", name))
        elif not source:
            errors.append(field.required(f"{where}.valueExpression"))
        else:
            errors += compiled.check(source, f"{where}.valueExpression", looks=True)[1]
        seen.add(name)
    return errors


def _extra_key(name: str, path: str) -> field.Errors:
    errors = _domain_prefixed(name, path)
    if name != name.lower():
        errors.append(field.invalid(path, name, "must be lowercase"))
    domain, slash, _ = name.partition("/")
    if slash and any(domain == reserved or domain.endswith(f".{reserved}") for reserved in RESERVED):
        detail = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
        errors.append(field.invalid(path, name, detail))
    return errors


def _domain_prefixed(name: str, path: str) -> field.Errors:
    """IsDomainPrefixedPath."""
    domain, _, rest = name.partition("/")
    if not name:
        return [field.required(path)]
    if not domain or not rest:
        return [field.invalid(path, name, 'must be a domain-prefixed path (such as "acme.io/foo")')]
    errors = [field.invalid(path, domain, fault) for fault in names.is_dns1123_subdomain(domain)]
    return errors + [field.invalid(path, rest, fault) for fault in names.is_http_path(rest)]


def _prefixed(
    mapping: Object, path: str, compiled: _Compiled, *, needed: bool = False, looks: bool = False
) -> tuple[field.Errors, Checked | None]:
    """The faults of a mapping, and its expression if it has a sound one."""
    claim, source, prefix = mapping.get("claim"), mapping.get("expression"), mapping.get("prefix")
    if claim and source:
        return [field.invalid(path, "", NOT_BOTH)], None
    if source:
        checked, errors = compiled.check(source, f"{path}.expression", looks=looks)
        if prefix is None:
            return errors, checked
        detail = "may not be specified when expression is set"
        return [field.invalid(f"{path}.prefix", prefix, detail), *errors], None
    if claim and prefix is None:
        detail = "prefix is required when claim is set. It can be set to an empty string to disable prefixing"
        return [field.required(f"{path}.prefix", detail)], None
    if needed and not claim:
        return [field.required(path, "claim or expression is required")], None
    return [], None


def _user_rules(entry: Object, path: str, compiled: _Compiled) -> field.Errors:
    errors: field.Errors = []
    seen: set[str] = set()
    for where, rule in field.each(path, entry.get("userValidationRules")):
        source = rule.get("expression", "")
        if source:
            errors += _rule(source, f"{where}.expression", USER, compiled, seen)
        else:
            errors.append(field.required(f"{where}.expression"))
    return errors
