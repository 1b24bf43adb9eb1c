"""Who this server is to its webhooks: the users of a kubeconfig, found by the webhook's host (util/webhook/authentication.go).

A user is named for a host and port, for a host (port 443), for all hosts of a domain (`*.example.com`) or for all (`*`);
else the user of the current context counts, else the server comes without credentials.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from apiserver_workers.server.client.http import Headers
from apiserver_workers.server.client.kubeconfig import UNSUPPORTED, data_of, path_of, text_of
from apiserver_workers.server.client.tls import TlsConfig
from apiserver_workers.server.tls.watched_files import WatchedFiles

DEFAULT_PORT = ":443"


@dataclass(frozen=True, slots=True)
class HookUser:
    """Credentials: `tls` has our certificate and no authority."""

    tls: TlsConfig = field(default_factory=TlsConfig)
    token: str = ""
    token_file: WatchedFiles[str] | None = None
    username: str = ""
    password: str = ""
    impersonate: Headers = ()

    @property
    def headers(self) -> Headers:
        """The headers of a request as this user."""
        return (*self._authorization(), *self.impersonate)

    def trusting(self, authorities: bytes) -> TlsConfig:
        """TLS with our certificate, towards a server of these authorities; with none those of the host."""
        own = self.tls.ca_data
        return replace(self.tls, ca_data=own + b"\n" + authorities if own and authorities else own or authorities)

    def _authorization(self) -> Headers:
        token = self.token_file.current().strip() if self.token_file is not None else self.token
        if token:
            return (("Authorization", f"Bearer {token}"),)
        if self.username or self.password:
            pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
            return (("Authorization", f"Basic {pair}"),)
        return ()


class HookUsers:
    """The users of a kubeconfig. `own` is who we are to ourselves, for webhooks that this server serves."""

    def __init__(
        self, users: Mapping[str, HookUser] | None = None, *, default: str = "", own: HookUser | None = None
    ) -> None:
        """`default` names the current context's user."""
        self._users = users or {}
        self._default = default
        self.own = own

    def of(self, target: str) -> HookUser:
        """The user for `host:port`."""
        if self.own is not None and target == "kubernetes.default.svc:443":
            return self.own
        names = _names(target)
        if target.endswith(DEFAULT_PORT):
            names += _names(target.removesuffix(DEFAULT_PORT))
        for name in (*names, "*", self._default):
            if name in self._users:
                return self._users[name]
        return HookUser()

    def with_own(self, own: HookUser | None) -> HookUsers:
        """The same users, and who we are to ourselves."""
        return HookUsers(self._users, default=self._default, own=own)


def _names(target: str) -> list[str]:
    """The target, and the domains above it."""
    steps = target.split(".")
    return [target, *(f"*.{'.'.join(steps[first:])}" for first in range(1, len(steps)))]


NOBODY = HookUsers()


def load_hook_users(path: str) -> HookUsers:
    """The users of a kubeconfig; files that it names are read. Raises OSError, or ValueError with what is wrong."""
    file = Path(path)
    try:
        document = yaml.load(file.read_bytes(), yaml.CSafeLoader)
    except yaml.YAMLError:
        raise ValueError(f"{path}: no YAML or JSON") from None
    document = {} if document is None else document
    if not isinstance(document, dict):
        raise ValueError(f"{path}: no kubeconfig")
    folder = file.parent.resolve()
    users: dict[str, HookUser] = {}
    try:
        for name, user in _entries(document, "users", "user"):
            users.setdefault(name, _user(name, user, folder))
        contexts = dict(_entries(document, "contexts", "context"))
        current = contexts.get(document.get("current-context") or "") or {}
        return HookUsers(users, default=text_of(current, "user"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _entries(document: dict[str, Any], section: str, key: str) -> list[tuple[str, dict[str, Any]]]:
    entries = document.get(section) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"invalid configuration: {section} must be a list of named entries")
    found = [(entry.get("name"), entry.get(key) or {}) for entry in entries]
    if not all(isinstance(name, str) and isinstance(value, dict) for name, value in found):
        raise ValueError(f"invalid configuration: {section} must be a list of named entries")
    return found


def _user(name: str, user: dict[str, Any], folder: Path) -> HookUser:
    for key, what in UNSUPPORTED.items():
        if user.get(key):
            raise ValueError(f"invalid configuration: {what} of user {name} are not supported")
    certificate, key_data = data_of(user, "client-certificate-data"), data_of(user, "client-key-data")
    tls = TlsConfig(
        cert_data=certificate,
        cert_file="" if certificate else path_of(user, "client-certificate", folder),
        key_data=key_data,
        key_file="" if key_data else path_of(user, "client-key", folder),
    )
    if tls != TlsConfig():
        tls.context()
    token, token_file = text_of(user, "token"), path_of(user, "tokenFile", folder)
    return HookUser(
        tls=tls,
        token=token,
        token_file=WatchedFiles([token_file], bytes.decode) if token_file and not token else None,
        username=text_of(user, "username"),
        password=text_of(user, "password"),
        impersonate=_impersonation(user),
    )


def _impersonation(user: dict[str, Any]) -> Headers:
    name = text_of(user, "as")
    if not name:
        return ()
    headers = [("Impersonate-User", name)]
    if uid := text_of(user, "as-uid"):
        headers.append(("Impersonate-Uid", uid))
    headers += [("Impersonate-Group", str(group)) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{key}", str(value)) for value in values]
    return tuple(headers)
