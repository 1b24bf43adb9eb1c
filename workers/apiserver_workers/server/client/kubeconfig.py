"""A webhook's kubeconfig: where the webhook is, how it is known, and who we are to it (client-go/tools/clientcmd).

`clusters` is the remote service, `users` is this server. Paths in the file are relative to its folder.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from apiserver_workers.server.client.tls import TlsConfig

UNSUPPORTED = {
    "exec": "credentials from a command (exec)",
    "auth-provider": "credentials from an auth-provider",
}


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """A remote service: its exact URL, and our credentials for it."""

    url: str
    tls: TlsConfig
    token: str = ""
    token_file: str = ""
    username: str = ""
    password: str = ""


def load_kubeconfig(path: str) -> ClientConfig:
    """What the file's current context says. Raises OSError, or ValueError with the file's name and what is wrong in it."""
    file = Path(path)
    content = file.read_bytes()
    try:
        return _parse(content, file.parent.resolve())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _parse(content: bytes, folder: Path) -> ClientConfig:
    try:
        document = yaml.load(content, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ValueError(f"no YAML or JSON{where}") from None
    if not isinstance(document, dict):
        raise ValueError("invalid configuration: no configuration has been provided")
    current = document.get("current-context") or ""
    if not current:
        raise ValueError("invalid configuration: no current-context")
    context = _named(document, "contexts", "context", current)
    cluster_name, user_name = context.get("cluster") or "", context.get("user") or ""
    cluster = _named(document, "clusters", "cluster", cluster_name)
    user = _named(document, "users", "user", user_name) if user_name else {}
    tls = _tls(cluster, user, folder)
    config = ClientConfig(
        url=_url(cluster, cluster_name, tls),
        tls=tls,
        token=text_of(user, "token"),
        token_file=path_of(user, "tokenFile", folder),
        username=text_of(user, "username"),
        password=text_of(user, "password"),
    )
    _check_user(config, user, user_name)
    tls.context()
    if config.token_file:
        Path(config.token_file).read_bytes()
    return config


def _named(document: dict[str, Any], section: str, key: str, name: str) -> dict[str, Any]:
    entries = document.get(section) or []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict) and entry.get("name") == name and isinstance(entry.get(key), dict):
            return entry[key]
    raise ValueError(f'invalid configuration: {key} "{name}" does not exist')


def _url(cluster: dict[str, Any], name: str, tls: TlsConfig) -> str:
    server = text_of(cluster, "server")
    if not server:
        raise ValueError(f'invalid configuration: no server found for cluster "{name}"')
    if "://" not in server:
        server = f"{'https' if tls != TlsConfig() else 'http'}://{server}"
    parts = urlsplit(server)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f'invalid configuration: server "{server}" is no http or https URL')
    if "@" in parts.netloc:  # errors show the URL
        raise ValueError(f'invalid configuration: server of cluster "{name}" must not hold a user or password')
    try:
        parts.port  # noqa: B018
    except ValueError:
        raise ValueError(f'invalid configuration: server "{server}" has no valid port') from None
    if cluster.get("proxy-url"):
        raise ValueError("invalid configuration: proxy-url is not supported")
    return server


def _tls(cluster: dict[str, Any], user: dict[str, Any], folder: Path) -> TlsConfig:
    ca_data = data_of(cluster, "certificate-authority-data")
    cert_data = data_of(user, "client-certificate-data")
    key_data = data_of(user, "client-key-data")
    return TlsConfig(
        ca_data=ca_data,
        ca_file="" if ca_data else path_of(cluster, "certificate-authority", folder),
        cert_data=cert_data,
        cert_file="" if cert_data else path_of(user, "client-certificate", folder),
        key_data=key_data,
        key_file="" if key_data else path_of(user, "client-key", folder),
        insecure=cluster.get("insecure-skip-tls-verify") is True,
        server_name=text_of(cluster, "tls-server-name"),
    )


def _check_user(config: ClientConfig, user: dict[str, Any], name: str) -> None:
    for key, what in UNSUPPORTED.items():
        if user.get(key):
            raise ValueError(f"invalid configuration: {what} of user {name} are not supported")
    tls = config.tls
    if bool(tls.cert_data or tls.cert_file) != bool(tls.key_data or tls.key_file):
        missing = "client-key" if tls.cert_data or tls.cert_file else "client-certificate"
        raise ValueError(
            f"invalid configuration: {missing}-data or {missing} must be specified for {name} to use the clientCert "
            "authentication method"
        )
    methods = [method for method, given in (("token", _has_token(config)), ("basicAuth", config.username)) if given]
    if len(methods) > 1:
        shown = f"[{' '.join(methods)}]"
        raise ValueError(
            f"invalid configuration: more than one authentication method found for {name}; found {shown}, "
            "only one is allowed"
        )


def _has_token(config: ClientConfig) -> bool:
    return bool(config.token or config.token_file)


def text_of(section: dict[str, Any], key: str) -> str:
    """A field that is text. Raises ValueError."""
    value = section.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"invalid configuration: {key} must be a string")
    return value


def path_of(section: dict[str, Any], key: str, folder: Path) -> str:
    """A field that is a path, relative to the folder. Raises ValueError."""
    value = text_of(section, key)
    return str(folder / value) if value else ""


def data_of(section: dict[str, Any], key: str) -> bytes:
    """A field that is base64. Raises ValueError."""
    try:
        return base64.b64decode(text_of(section, key), validate=True)
    except binascii.Error:
        raise ValueError(f"invalid configuration: {key} is not base64") from None
