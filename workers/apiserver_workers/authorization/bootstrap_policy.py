"""The RBAC policy that every server starts with, as data (plugin/pkg/auth/authorizer/rbac/bootstrappolicy).

data/bootstrap_policy.json lists, by kind, each object's name with what differs from the rest: all carry the same label
and annotation, and a subject's or role reference's API group is always RBAC's.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

GROUP = "rbac.authorization.k8s.io"
LABELS = {"kubernetes.io/bootstrapping": "rbac-defaults"}
ANNOTATIONS = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
DATA = Path(__file__).parent / "data" / "bootstrap_policy.json"


@functools.cache
def _data() -> dict[str, Any]:
    return json.loads(DATA.read_text())


def node_rules() -> list[dict[str, Any]]:
    """The rules of system:node, by which the node authorizer decides what no graph can say."""
    return _data()["clusterroles"]["system:node"]["rules"]


def cluster_roles() -> list[dict[str, Any]]:
    return [_role("ClusterRole", name, entry) for name, entry in _data()["clusterroles"].items()]


def cluster_role_bindings() -> list[dict[str, Any]]:
    return [_binding("ClusterRoleBinding", name, entry) for name, entry in _data()["clusterrolebindings"].items()]


def roles() -> list[dict[str, Any]]:
    return [_role("Role", name, entry, namespace) for namespace, name, entry in _namespaced("roles")]


def role_bindings() -> list[dict[str, Any]]:
    return [_binding("RoleBinding", name, entry, namespace) for namespace, name, entry in _namespaced("rolebindings")]


def _namespaced(resource: str) -> list[tuple[str, str, dict[str, Any]]]:
    return [(namespace, name, entry) for namespace, named in _data()[resource].items() for name, entry in named.items()]


def _object(kind: str, name: str, namespace: str, labels: dict[str, str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "labels": {**LABELS, **labels}, "annotations": dict(ANNOTATIONS)}
    if namespace:
        metadata["namespace"] = namespace
    return {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": metadata}


def _role(kind: str, name: str, entry: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    role = _object(kind, name, namespace, entry.get("labels", {}))
    role["rules"] = entry.get("rules")
    if "aggregate" in entry:
        selectors = [{"matchLabels": {entry["aggregate"]: "true"}}]
        role["aggregationRule"] = {"clusterRoleSelectors": selectors}
    return role


def _binding(kind: str, name: str, entry: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    binding = _object(kind, name, namespace, {})
    if "subjects" in entry:
        binding["subjects"] = [_subject(subject) for subject in entry["subjects"]]
    binding["roleRef"] = {"apiGroup": GROUP, "kind": entry["role"][0], "name": entry["role"][1]}
    return binding


def _subject(subject: dict[str, str]) -> dict[str, str]:
    return subject if subject["kind"] == "ServiceAccount" else {**subject, "apiGroup": GROUP}
