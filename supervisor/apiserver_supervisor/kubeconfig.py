"""admin.kubeconfig: how kubectl reaches this server, and merging it into the user's own kubeconfig."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

from apiserver_supervisor.certificates import Pair, write_private


def document(name: str, url: str, authority: Path, *, client: Pair | None, token: str = "") -> dict[str, Any]:
    """A kubeconfig with one cluster, one user (client certificate or token) and one context, all called `name`."""
    user = {"token": token}
    if client:
        user = {"client-certificate-data": _data(client.certificate), "client-key-data": _data(client.key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority-data": _data(authority)}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }


def write(path: Path, config: dict[str, Any]) -> None:
    """Write a kubeconfig, readable by its owner alone."""
    import yaml

    write_private(path, yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False).encode())


def merge(path: Path, target: Path) -> str:
    """Put the cluster, user and context of `path` into `target` and make that context current; its name."""
    import yaml

    own = yaml.safe_load(path.read_text())
    merged = (yaml.safe_load(target.read_text()) if target.exists() else None) or {"apiVersion": "v1", "kind": "Config"}
    for section in ("clusters", "users", "contexts"):
        names = {entry["name"] for entry in own[section]}
        others = [entry for entry in merged.get(section) or [] if entry.get("name") not in names]
        merged[section] = others + own[section]
    merged["current-context"] = own["current-context"]
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write(target, merged)
    return str(own["current-context"])


def context_name(instance: str) -> str:
    """What the cluster, the user and the context of an instance are called."""
    return "apiserver-supervisor" if instance == "default" else f"apiserver-supervisor-{instance}"


def forget(name: str, target: Path) -> bool:
    """Remove the cluster, user and context of a name from a kubeconfig; whether any was there."""
    import yaml

    if not target.exists():
        return False
    config = yaml.safe_load(target.read_text()) or {}
    found = False
    for section in ("clusters", "users", "contexts"):
        entries = config.get(section) or []
        config[section] = [entry for entry in entries if entry.get("name") != name]
        found = found or len(config[section]) < len(entries)
    if config.get("current-context") == name:
        config["current-context"] = ""
    if found:
        write(target, config)
    return found


def users_file() -> Path:
    """The kubeconfig that kubectl would write to: the first of $KUBECONFIG, or ~/.kube/config."""
    listed = [path for path in os.environ.get("KUBECONFIG", "").split(os.pathsep) if path]
    return Path(listed[0]) if listed else Path.home() / ".kube" / "config"


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
