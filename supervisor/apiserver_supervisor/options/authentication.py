"""authentication flags (upstream: pkg/kubeapiserver/options/authentication.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from apiserver_supervisor.options.files import ca_bundle
from apiserver_supervisor.options.flag import BOOL, DURATION, PAIRS, STRING, STRING_ARRAY, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import no_blanks, one_of

ALGORITHMS = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512")
UID_HEADER = "X-Remote-Uid"
HOUR, LONGEST = 3600, 2**32
FILES = (
    "authentication_config",
    "authentication_token_webhook_config_file",
    "basic_auth_file",
    "oidc_issuer_url",
    "service_account_key_file",
    "token_auth_file",
)


def _oidc(options: Any) -> Iterator[str]:
    any_given = any(name.startswith("oidc_") for name in options.given)
    if any_given and not options.authentication_config and not (options.oidc_issuer_url and options.oidc_client_id):
        yield "--oidc-issuer-url and --oidc-client-id must be specified together when any oidc-* flags are set"
    if options.oidc_issuer_url and urlsplit(options.oidc_issuer_url).scheme != "https":
        yield f'--oidc-issuer-url: "{options.oidc_issuer_url}" must be an https URL'


def _structured(options: Any) -> Iterator[str]:
    if not options.authentication_config:
        return
    given = sorted(name for name in options.given if name.startswith("oidc_"))
    if given:
        flags = ", ".join("--" + name.replace("_", "-") for name in given)
        yield f"authentication-config file and {flags} flags are mutually exclusive"


def _issuers(options: Any) -> Iterator[str]:
    issuers = options.service_account_issuer
    if not issuers or not any(issuers):
        yield "--service-account-issuer is a required flag"
        return
    if not all(issuers):
        yield "--service-account-issuer: service-account-issuer should not be an empty string"
    if len(set(issuers)) != len(issuers):
        repeated = next(issuer for issuer in issuers if issuers.count(issuer) > 1)
        yield f'--service-account-issuer: service-account-issuer "{repeated}" is already specified'
    for issuer in issuers:
        if ":" in issuer and not _is_url(issuer):
            yield f"--service-account-issuer: service-account-issuer \"{issuer}\" contained a ':' but was not a valid URL"


def _keys(options: Any) -> Iterator[str]:
    """Keys that verify and the key that signs, or somebody else who does both."""
    endpoint = options.service_account_signing_endpoint
    signing, verifying = options.service_account_signing_key_file, options.service_account_key_file
    if not endpoint and not verifying:
        yield "--service-account-key-file is a required flag, either it or --service-account-signing-endpoint must be set"
    if not endpoint and not signing and not options.profile.provides:
        yield "--service-account-signing-key-file and --service-account-issuer are required flags"
    if endpoint and signing:
        yield "--service-account-signing-key-file and --service-account-signing-endpoint are mutually exclusive and cannot be set at the same time"
    if endpoint and verifying:
        yield "--service-account-key-file and --service-account-signing-endpoint are mutually exclusive and cannot be set at the same time"


def _token_life(options: Any) -> Iterator[str]:
    longest = options.service_account_max_token_expiration
    if longest and not HOUR <= longest <= LONGEST:
        yield "the --service-account-max-token-expiration must be between 1 hour and 2^32 seconds"
    uri = options.service_account_jwks_uri
    if uri and urlsplit(uri).scheme != "https":
        yield f"--service-account-jwks-uri requires https scheme, parsed as: {uri}"


def _front_proxy(options: Any) -> Iterator[str]:
    """A client must not be able to pass for a front proxy by a certificate of the authority that both have."""
    clients, proxies = options.client_ca_file, options.requestheader_client_ca_file
    if not (clients and proxies) or options.requestheader_allowed_names:
        return
    from apiserver_supervisor.options.files import certificates

    if set(certificates(clients)) & set(certificates(proxies)):
        yield "--requestheader-client-ca-file and --client-ca-file contain overlapping certificates; --requestheader-allowed-names must be specified to ensure regular client certificates cannot set authenticating proxy headers for arbitrary users"


def _uid_headers(options: Any) -> Iterator[str]:
    headers = options.requestheader_uid_headers
    if headers and UID_HEADER.lower() not in (header.lower() for header in headers):
        yield f"--requestheader-uid-headers: must contain {UID_HEADER}, by which this server passes on uids itself"


def _files(options: Any) -> Iterator[str]:
    """What only those can judge who use the files."""
    if any(field in options.given for field in FILES):
        from apiserver_workers.authentication.validation import file_faults  # only when there is something to look at

        yield from file_faults(options)


def _is_url(text: str) -> bool:
    try:
        return bool(urlsplit(text).scheme)
    except ValueError:
        return False


GROUP = FlagGroup(
    "Authentication",
    (
        Flag(
            "anonymous-auth",
            BOOL,
            True,
            "Requests without credentials become user system:anonymous of group system:unauthenticated. Never with AlwaysAllow.",
        ),
        Flag("api-audiences", STRINGS, (), "Audiences accepted in tokens. By default the service account issuers."),
        Flag(
            "authentication-config",
            STRING,
            "",
            "File that says which JWT and anonymous authenticators there are (AuthenticationConfiguration).",
        ),
        Flag(
            "authentication-token-webhook-cache-ttl",
            DURATION,
            120.0,
            "How long answers of the token webhook are used again.",
        ),
        Flag(
            "authentication-token-webhook-config-file",
            STRING,
            "",
            "kubeconfig of a service that is asked whose a bearer token is (TokenReview).",
        ),
        Flag(
            "authentication-token-webhook-version",
            STRING,
            "v1beta1",
            "Version of TokenReview that the webhook speaks: v1 or v1beta1.",
            one_of("v1", "v1beta1"),
        ),
        Flag(
            "basic-auth-file",
            STRING,
            "",
            'CSV file of passwords: password,user,uid,"group1,group2".',
            deprecated="Basic authentication mode is deprecated and will be removed in a future release. It is not recommended for production environments.",
            legacy="1.19",
        ),
        Flag(
            "client-ca-file",
            STRING,
            "",
            "CA of client certificates: the common name is the user, organizations are the groups.",
            ca_bundle,
        ),
        Flag(
            "enable-bootstrap-token-auth",
            BOOL,
            False,
            "Accept secrets of type bootstrap.kubernetes.io/token in kube-system as bearer tokens.",
        ),
        Flag("oidc-ca-file", STRING, "", "CA that verifies the OpenID issuer. By default the host's CAs.", ca_bundle),
        Flag("oidc-client-id", STRING, "", "Audience that an ID token must have."),
        Flag("oidc-groups-claim", STRING, "", "Claim of an ID token with the groups."),
        Flag("oidc-groups-prefix", STRING, "", "Put in front of each group from an ID token."),
        Flag("oidc-issuer-url", STRING, "", "OpenID issuer (https) whose ID tokens are accepted."),
        Flag(
            "oidc-required-claim",
            PAIRS,
            {},
            "claim=value that an ID token must have. May be repeated.",
        ),
        Flag(
            "oidc-signing-algs",
            STRINGS,
            ("RS256",),
            "Signature algorithms accepted in ID tokens.",
            one_of(*ALGORITHMS),
        ),
        Flag("oidc-username-claim", STRING, "sub", "Claim of an ID token with the user name."),
        Flag(
            "oidc-username-prefix",
            STRING,
            "",
            "Put in front of the user name from an ID token. By default issuer# unless the claim is email; - is nothing.",
        ),
        Flag(
            "requestheader-allowed-names",
            STRINGS,
            (),
            "Common names that a front proxy's certificate may have; empty is any.",
            no_blanks,
        ),
        Flag(
            "requestheader-client-ca-file",
            STRING,
            "",
            "CA of front proxies, whose X-Remote- headers are believed.",
            ca_bundle,
        ),
        Flag(
            "requestheader-extra-headers-prefix",
            STRINGS,
            (),
            "Prefixes of headers with a user's extra fields, such as X-Remote-Extra-.",
            no_blanks,
        ),
        Flag(
            "requestheader-group-headers",
            STRINGS,
            (),
            "Headers with a user's groups, such as X-Remote-Group.",
            no_blanks,
        ),
        Flag(
            "requestheader-uid-headers",
            STRINGS,
            (),
            "Headers with a user's uid, such as X-Remote-Uid.",
            no_blanks,
        ),
        Flag(
            "requestheader-username-headers",
            STRINGS,
            (),
            "Headers with a user's name, such as X-Remote-User.",
            no_blanks,
        ),
        Flag(
            "service-account-api-audiences",
            STRINGS,
            (),
            "Old name of --api-audiences.",
            deprecated="Use --api-audiences",
            legacy="1.25",
            sets="api-audiences",
            hidden=True,
        ),
        Flag(
            "service-account-extend-token-expiration",
            BOOL,
            True,
            "Let tokens that are mounted into pods be valid for a year, so that old clients that never read them again go on.",
        ),
        Flag(
            "service-account-issuer",
            STRING_ARRAY,
            (),
            "Issuer of service account tokens; the first one issues, all are accepted. May be repeated.",
        ),
        Flag(
            "service-account-jwks-uri",
            STRING,
            "",
            "Address of the token verification keys in the OpenID discovery document. By default that of this server.",
        ),
        Flag(
            "service-account-key-file",
            STRING_ARRAY,
            (),
            "PEM file with keys or certificates that verify service account tokens. May be repeated.",
        ),
        Flag(
            "service-account-lookup",
            BOOL,
            True,
            "Accept service account tokens only while what they are bound to exists.",
        ),
        Flag(
            "service-account-max-token-expiration",
            DURATION,
            0.0,
            "Longest life of a token that is issued; 0 is no limit.",
        ),
        Flag("token-auth-file", STRING, "", 'CSV file of static tokens: token,user,uid,"group1,group2".'),
    ),
    (_oidc, _structured, _issuers, _keys, _token_life, _front_proxy, _uid_headers, _files),
)
