"""authorization flags (upstream: pkg/kubeapiserver/options/authorization.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.flag import DURATION, STRING, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import AUTHORIZATION_MODES, one_of

# an authorizer and the flag without which it cannot be, and which is for it alone
FILES = (
    ("ABAC", "authorization_policy_file", "authorization-policy-file"),
    ("Webhook", "authorization_webhook_config_file", "authorization-webhook-config-file"),
)
EXCLUSIVE = ("authorization_mode", "authorization_webhook_")


def _modes(options: Any) -> Iterator[str]:
    modes = options.authorization_mode
    if options.authorization_config:
        given = sorted(name for name in options.given if name.startswith(EXCLUSIVE))
        if given:
            flags = ", ".join("--" + name.replace("_", "-") for name in given)
            yield f"--authorization-config can not be specified when {flags} is specified"
        return
    if not modes:
        yield "at least one --authorization-mode must be passed"
    for mode in modes:
        if mode not in AUTHORIZATION_MODES:
            yield f'--authorization-mode: authorization-mode "{mode}" is not a valid mode'
    if len(set(modes)) != len(modes):
        yield f"--authorization-mode: authorization-mode {list(modes)} has mode specified more than once"
    for mode, field, flag in FILES:
        file = getattr(options, field)
        if mode in modes and not file:
            yield f"--authorization-mode: authorization-mode {mode}'s authorization {flag.split('-', 1)[1]} not passed, it needs --{flag}"
        if file and mode not in modes:
            yield f"--{flag}: cannot specify --{flag} without mode {mode} in --authorization-mode"


def _files(options: Any) -> Iterator[str]:
    """What only those can judge who use the files."""
    if any(field in options.given for field in ("authorization_config", *(field for _, field, _ in FILES))):
        from apiserver_workers.authorization.validation import file_faults  # only when there is something to look at

        yield from file_faults(options)


GROUP = FlagGroup(
    "Authorization",
    (
        Flag(
            "authorization-config",
            STRING,
            "",
            "File that says which authorizers there are (AuthorizationConfiguration), in place of --authorization-mode and --authorization-webhook-*.",
        ),
        Flag(
            "authorization-mode",
            STRINGS,
            ("AlwaysAllow",),
            f"Authorizers in their order; the first opinion counts: {', '.join(AUTHORIZATION_MODES)}.",
        ),
        Flag(
            "authorization-policy-file",
            STRING,
            "",
            "Policy of the authorizer ABAC, one JSON object a line.",
        ),
        Flag(
            "authorization-webhook-cache-authorized-ttl",
            DURATION,
            300.0,
            "How long a webhook's answers that allow are used again.",
        ),
        Flag(
            "authorization-webhook-cache-unauthorized-ttl",
            DURATION,
            30.0,
            "How long a webhook's answers that deny are used again.",
        ),
        Flag(
            "authorization-webhook-config-file",
            STRING,
            "",
            "kubeconfig of the service that the authorizer Webhook asks (SubjectAccessReview).",
        ),
        Flag(
            "authorization-webhook-version",
            STRING,
            "v1beta1",
            "Version of SubjectAccessReview that the webhook speaks: v1 or v1beta1.",
            one_of("v1", "v1beta1"),
        ),
    ),
    (_modes, _files),
)
