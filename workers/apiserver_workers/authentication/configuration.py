"""--authentication-config, and the --oidc-* flags in its terms: which JWTs name whom, and who may be anonymous.

AuthenticationConfiguration is k8s.io/apiserver/pkg/apis/apiserver; the rules are those of its validation package.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.authentication.configuration_validation import validate
from apiserver_workers.authentication.expressions import CLAIMS, USER, ClaimExpressions, Expression, expression
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.config_file import aggregated, decode_config

GROUP, KIND, VERSIONS = "apiserver.config.k8s.io", "AuthenticationConfiguration", ("v1", "v1beta1", "v1alpha1")
ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")

_CLAIM = {"claim": str, "prefix": str, "expression": str}
SHAPE = {
    "jwt": [
        {
            "issuer": {
                "url": str,
                "discoveryURL": str,
                "certificateAuthority": str,
                "audiences": [str],
                "audienceMatchPolicy": str,
                "egressSelectorType": str,
            },
            "claimValidationRules": [{"claim": str, "requiredValue": str, "expression": str, "message": str}],
            "claimMappings": {
                "username": _CLAIM,
                "groups": _CLAIM,
                "uid": {"claim": str, "expression": str},
                "extra": [{"key": str, "valueExpression": str}],
            },
            "userValidationRules": [{"expression": str, "message": str}],
        }
    ],
    "anonymous": {"enabled": bool, "conditions": [{"path": str}]},
}

Object = dict[str, Any]
NO_EXPRESSIONS = ClaimExpressions()


@dataclass(frozen=True, slots=True)
class PrefixedClaim:
    """A claim that becomes a name, behind a prefix."""

    claim: str
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class JwtConfig:
    """Tokens of one issuer: how to verify them, and what their claims say."""

    issuer: str
    audiences: tuple[str, ...]
    username: PrefixedClaim
    groups: PrefixedClaim | None = None
    uid_claim: str = ""
    discovery_url: str = ""
    authority: bytes = b""
    required_claims: tuple[tuple[str, str], ...] = ()
    algorithms: tuple[str, ...] = ALGORITHMS
    expressions: ClaimExpressions = NO_EXPRESSIONS


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Whether requests without credentials are let in as system:anonymous; with `paths`, only to exactly these."""

    enabled: bool = True
    paths: frozenset[str] | None = None

    def allows(self, path: str) -> bool:
        return self.enabled and (self.paths is None or path in self.paths)


@dataclass(frozen=True, slots=True)
class AuthenticationConfig:
    """What the file says; `anonymous` is None where it says nothing about that."""

    jwt: tuple[JwtConfig, ...] = ()
    anonymous: Anonymous | None = None


def load_authentication_config(path: str, service_account_issuers: Collection[str]) -> AuthenticationConfig:
    """The configuration in the file. Raises OSError, or ValueError that names the file and every fault.

    Service account issuers may not issue other tokens.
    """
    content = Path(path).read_bytes()
    try:
        return parse_authentication_config(content, service_account_issuers)
    except ValueError as error:
        raise ValueError(f'failed to load authentication configuration from file "{path}": {error}') from None


def parse_authentication_config(content: bytes, service_account_issuers: Collection[str]) -> AuthenticationConfig:
    """As load_authentication_config. Raises ValueError."""
    document = decode_config(content, group=GROUP, versions=VERSIONS, kind=KIND, shape=SHAPE)
    if faults := aggregated(validate(document, service_account_issuers)):
        raise ValueError(f"invalid authentication configuration: {faults}")
    anonymous = document.get("anonymous")
    return AuthenticationConfig(
        tuple(_jwt(entry) for entry in document.get("jwt") or ()),
        None if anonymous is None else _anonymous(anonymous),
    )


def flags_jwt(config: ServerConfig) -> JwtConfig | None:
    """What the --oidc-* flags say, None if they are not given. Raises OSError for the CA file, ValueError for any fault.

    Completed options will do, too: their required claims are a mapping.
    """
    issuer = config.oidc_issuer_url
    if not issuer or not config.oidc_client_id:
        return None
    for algorithm in config.oidc_signing_algs:
        if algorithm not in ALGORITHMS:
            raise ValueError(f'oidc: unsupported signing alg: "{algorithm}"')
    prefix = config.oidc_username_prefix
    if not prefix and config.oidc_username_claim != "email":
        prefix = f"{issuer}#"  # so that the users of one issuer are not those of another
    authority = Path(config.oidc_ca_file).read_bytes() if config.oidc_ca_file else b""
    entry: Object = {
        "issuer": {
            "url": issuer,
            "audiences": [config.oidc_client_id],
            "certificateAuthority": authority.decode("ascii", "replace"),
        },
        "claimMappings": {
            "username": {"claim": config.oidc_username_claim, "prefix": "" if prefix == "-" else prefix},
        },
        "claimValidationRules": [
            {"claim": claim, "requiredValue": value} for claim, value in _pairs(config.oidc_required_claim)
        ],
    }
    if config.oidc_groups_claim:
        groups = {"claim": config.oidc_groups_claim, "prefix": config.oidc_groups_prefix}
        entry["claimMappings"]["groups"] = groups
    if faults := aggregated(validate({"jwt": [entry]}, config.service_account_issuer)):
        raise ValueError(f"invalid authentication configuration: {faults}")
    return _jwt(entry, config.oidc_signing_algs)


def _pairs(claims: Any) -> list[tuple[str, str]]:
    if isinstance(claims, dict):
        return list(claims.items())
    return [(claim, value) for claim, _, value in (text.partition("=") for text in claims)]


def _anonymous(entry: Object) -> Anonymous:
    conditions = entry.get("conditions")
    paths = frozenset(condition.get("path", "") for condition in conditions) if conditions else None
    return Anonymous(entry.get("enabled", False), paths)


def _jwt(entry: Object, algorithms: Sequence[str] = ALGORITHMS) -> JwtConfig:
    issuer, mappings = entry["issuer"], entry["claimMappings"]
    groups = mappings.get("groups") or {}
    username = mappings["username"]
    rules = entry.get("claimValidationRules") or ()
    return JwtConfig(
        issuer=issuer["url"],
        audiences=tuple(issuer["audiences"]),
        username=PrefixedClaim(username.get("claim", ""), username.get("prefix") or ""),
        groups=PrefixedClaim(groups["claim"], groups["prefix"]) if groups.get("claim") else None,
        uid_claim=(mappings.get("uid") or {}).get("claim", ""),
        discovery_url=issuer.get("discoveryURL", ""),
        authority=issuer.get("certificateAuthority", "").encode(),
        required_claims=tuple((rule["claim"], rule.get("requiredValue", "")) for rule in rules if rule.get("claim")),
        algorithms=tuple(algorithms),
        expressions=_expressions(entry),
    )


def _expressions(entry: Object) -> ClaimExpressions:
    """The compiled expressions of an entry that was found sound."""
    mappings = entry["claimMappings"]
    single = {name: (mappings.get(name) or {}).get("expression") for name in ("username", "groups", "uid")}
    found = ClaimExpressions(
        **{name: expression(source) for name, source in single.items() if source},
        extra=tuple(expression(one["valueExpression"], key=one["key"]) for one in mappings.get("extra") or ()),
        claim_rules=_rules(entry.get("claimValidationRules"), CLAIMS),
        user_rules=_rules(entry.get("userValidationRules"), USER),
    )
    return NO_EXPRESSIONS if found == NO_EXPRESSIONS else found


def _rules(rules: list[Object] | None, declarations: Declarations) -> tuple[Expression, ...]:
    return tuple(
        expression(rule["expression"], declarations, message=rule.get("message", ""))
        for rule in rules or ()
        if rule.get("expression")
    )
