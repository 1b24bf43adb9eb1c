"""The ABAC authorizer: a file of policies, one JSON object a line (pkg/auth/authorizer/abac, pkg/apis/abac).

The file is read once. Lines of the form before versions (`{"user": "alice", "resource": "pods"}`) are still read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authentication.interface import AUTHENTICATED
from apiserver_workers.authorization.attributes import Attributes, Decision
from apiserver_workers.authorization.rules import ALL, HeldRules, Rule, url_matches

GROUP, KIND, VERSION, OLD_VERSION = "abac.authorization.kubernetes.io", "Policy", "v1beta1", "v0"
READING_VERBS = ("get", "list", "watch")
FIELDS: dict[str, type] = {
    "user": str,
    "group": str,
    "readonly": bool,
    "apiGroup": str,
    "resource": str,
    "namespace": str,
    "nonResourcePath": str,
}
OLD_FIELDS = ("user", "group", "readonly", "resource", "namespace")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AbacPolicy:
    """One line: who may do what. `*` stands for anything."""

    user: str = ""
    group: str = ""
    readonly: bool = False
    api_group: str = ""
    resource: str = ""
    namespace: str = ""
    non_resource_path: str = ""

    def allows(self, attributes: Attributes) -> bool:
        return (
            self.names(attributes.user)
            and (not self.readonly or attributes.verb in READING_VERBS)
            and (self._allows_resource(attributes) if attributes.resource_request else self._allows_path(attributes))
        )

    def names(self, user: UserInfo) -> bool:
        """Whether the policy is about the user; one without user and group is about nobody."""
        if self.user and self.user not in (ALL, user.name):
            return False
        if self.group and self.group != ALL and self.group not in user.groups:
            return False
        return bool(self.user or self.group)

    def _allows_resource(self, attributes: Attributes) -> bool:
        return (
            self.namespace in (ALL, attributes.namespace)
            and self.resource in (ALL, attributes.resource)
            and self.api_group in (ALL, attributes.api_group)
        )

    def _allows_path(self, attributes: Attributes) -> bool:
        return url_matches(self.non_resource_path, attributes.path)

    @property
    def verbs(self) -> list[str]:
        return list(READING_VERBS) if self.readonly else [ALL]


class ABACAuthorizer:
    """Allows what a policy allows."""

    kind = "ABAC"
    name = "abac"

    def __init__(self, policies: Sequence[AbacPolicy]) -> None:
        self._policies = tuple(policies)

    async def authorize(self, attributes: Attributes) -> tuple[Decision, str]:
        if any(policy.allows(attributes) for policy in self._policies):
            return Decision.ALLOW, ""
        return Decision.NO_OPINION, "No policy matched."

    def rules_for(self, user: UserInfo, namespace: str) -> HeldRules:
        rules: list[Rule] = []
        for policy in self._policies:
            if not policy.names(user) or policy.namespace not in (ALL, namespace):
                continue
            if policy.resource:
                rules.append({"verbs": policy.verbs, "apiGroups": [policy.api_group], "resources": [policy.resource]})
            if policy.non_resource_path:
                rules.append({"verbs": policy.verbs, "nonResourceURLs": [policy.non_resource_path]})
        return HeldRules(rules)


def load_policy_file(path: str) -> list[AbacPolicy]:
    """The policies of --authorization-policy-file. Raises OSError, or ValueError that names file and line."""
    policies: list[AbacPolicy] = []
    old = False
    for number, line in enumerate(Path(path).read_bytes().splitlines(), 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            policy, is_old = parse_policy(text)
        except ValueError as error:
            shown = text.decode("utf-8", "replace")
            raise ValueError(f"error reading policy file {path}, line {number}: {shown}: {error}") from None
        policies.append(policy)
        old = old or is_old
    if old:
        log.warning("Policy file %s contained unversioned rules.", path)
    return policies


def parse_policy(line: bytes) -> tuple[AbacPolicy, bool]:
    """A line's policy, and whether it is of the old form. Raises ValueError."""
    obj = orjson.loads(line)
    if not isinstance(obj, dict):
        raise ValueError("not a JSON object")
    kind, api_version = obj.get("kind", ""), obj.get("apiVersion", "")
    if kind == KIND and api_version == f"{GROUP}/{VERSION}":
        spec = obj.get("spec") or {}
        if not isinstance(spec, dict):
            raise ValueError("spec must be of type object")
        return _policy(_fields(spec, FIELDS)), False
    if kind not in ("", KIND) or api_version not in ("", OLD_VERSION, f"{GROUP}/{OLD_VERSION}"):
        raise ValueError(f'no kind "{kind}" is registered for version "{api_version}"')
    return _policy(_of_old(_fields(obj, OLD_FIELDS))), True


def _fields(spec: dict[str, Any], names: Any) -> dict[str, Any]:
    """The fields that a policy has; others are passed over, as upstream's decoder does."""
    found = {}
    for name in names:
        value = spec.get(name)
        if value is None:
            continue
        if not isinstance(value, FIELDS[name]):
            raise ValueError(f"{name} must be of type {'boolean' if FIELDS[name] is bool else 'string'}")
        found[name] = value
    return found


def _of_old(fields: dict[str, Any]) -> dict[str, Any]:
    """What an old policy leaves out is not restricted."""
    everything = not fields.get("namespace") and not fields.get("resource")
    fields["namespace"] = fields.get("namespace") or ALL
    fields["resource"] = fields.get("resource") or ALL
    fields["apiGroup"] = ALL
    if everything:
        fields["nonResourcePath"] = ALL
    if not fields.get("user") and not fields.get("group"):
        fields["group"] = AUTHENTICATED
    return fields


def _policy(fields: dict[str, Any]) -> AbacPolicy:
    user, group = fields.get("user", ""), fields.get("group", "")
    if ALL in (user, group):
        user, group = "", AUTHENTICATED  # everybody is still somebody
    return AbacPolicy(
        user,
        group,
        fields.get("readonly", False),
        fields.get("apiGroup", ""),
        fields.get("resource", ""),
        fields.get("namespace", ""),
        fields.get("nonResourcePath", ""),
    )
