"""What is wrong with the files that authentication's flags name, found before anything starts.

`options` are completed options: attributes named like the flags, and `given`, the names of those that were given.
What one flag's value says on its own, and whether flags go together, is the options' to check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from apiserver_workers.authentication.basic_auth import parse_basic_auth_file
from apiserver_workers.authentication.configuration import flags_jwt, load_authentication_config
from apiserver_workers.authentication.keys import parse_keys
from apiserver_workers.authentication.token_file import parse_token_file
from apiserver_workers.server.client.kubeconfig import load_kubeconfig
from apiserver_workers.server.file_faults import file_fault

ANONYMOUS = (
    "--anonymous-auth flag cannot be set when anonymous field is configured in authentication configuration file"
)


def _parsed(parse: Callable[[bytes], Any]) -> Callable[[str], Any]:
    return lambda path: parse(Path(path).read_bytes())


# flag: what makes sense of the files it names
LOADERS: dict[str, Callable[[str], Any]] = {
    "token-auth-file": _parsed(parse_token_file),
    "basic-auth-file": _parsed(parse_basic_auth_file),
    "service-account-key-file": _parsed(parse_keys),
    "authentication-token-webhook-config-file": load_kubeconfig,
}


def file_faults(options: Any) -> Iterator[str]:
    """A fault for each file that cannot be read or used, and for OpenID flags that do not fit; each names its flag."""
    for flag, load in LOADERS.items():
        field = flag.replace("-", "_")
        value = getattr(options, field) if field in options.given else ""  # what is not given is made by us
        for path in (value,) if isinstance(value, str) else value:
            yield from file_fault(flag, path, load)
    yield from _structured(options)
    yield from _openid(options)


def _structured(options: Any) -> Iterator[str]:
    """--authentication-config, and that it does not contradict --anonymous-auth."""

    def load(path: str) -> None:
        found = load_authentication_config(path, options.service_account_issuer)
        if found.anonymous is not None and "anonymous_auth" in options.given:
            raise ValueError(f"{path}: anonymous: Forbidden: {ANONYMOUS}")

    yield from file_fault("authentication-config", options.authentication_config, load)


def _openid(options: Any) -> Iterator[str]:
    if options.oidc_issuer_url and options.oidc_client_id and not options.authentication_config:
        try:
            flags_jwt(options)
        except OSError as error:
            yield f"--oidc-ca-file: {error.filename}: {error.strerror}"
        except ValueError as error:
            yield f"--oidc-issuer-url: {error}"
