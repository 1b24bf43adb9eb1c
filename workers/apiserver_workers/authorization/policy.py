"""The RBAC policy of a server, indexed by subject: which rules a user holds, and by which binding.

Fed by informers on the four RBAC resources. What a user holds is worked out at its first question and kept until any
role or binding changes; `generation` counts those changes, so that others may keep answers for as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.authorization.attributes import quote
from apiserver_workers.authorization.rules import CompiledRule, Rule, compile_rule

SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"

Subject = tuple[str, str]  # (User or Group, name): a service account is the user it authenticates as


@dataclass(slots=True)
class Grant:
    """The rules that one binding gives to one subject."""

    reason: str
    rules: list[Rule]
    compiled: list[CompiledRule]


@dataclass(slots=True)
class Grants:
    """All that a user holds in one namespace ("" for cluster-wide): grants, and role references that lead nowhere."""

    grants: list[Grant] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Role:
    rules: list[Rule]
    compiled: list[CompiledRule]


@dataclass(slots=True)
class _Binding:
    name: str
    namespace: str
    role_kind: str
    role_name: str
    subjects: dict[Subject, str]  # with the subject's description


class Policy:
    """Roles and bindings, keyed as the API names them. Not tied to storage: informers and tests feed it objects."""

    def __init__(self) -> None:
        self.generation = 0
        self._roles: dict[tuple[str, str], _Role] = {}  # (namespace, name); "" for cluster roles
        self._bindings: dict[tuple[str, str], _Binding] = {}
        self._by_subject: dict[tuple[str, Subject], dict[str, _Binding]] = {}  # (namespace, subject): name: binding
        self._held: Kept[tuple[str, str, tuple[str, ...]], Grants] = Kept()

    def changed(self) -> None:
        self.generation += 1
        self._held.clear()

    def put_role(self, role: dict[str, Any]) -> None:
        rules = role.get("rules") or []
        self._roles[_key(role)] = _Role(rules, [compile_rule(rule) for rule in rules])
        self.changed()

    def delete_role(self, role: dict[str, Any]) -> None:
        self._roles.pop(_key(role), None)
        self.changed()

    def put_binding(self, binding: dict[str, Any]) -> None:
        self.delete_binding(binding)
        namespace, name = key = _key(binding)
        ref = binding["roleRef"]
        subjects = dict(_subjects(binding.get("subjects") or (), namespace))
        self._bindings[key] = entry = _Binding(name, namespace, ref["kind"], ref["name"], subjects)
        for subject in subjects:
            self._by_subject.setdefault((namespace, subject), {})[name] = entry

    def delete_binding(self, binding: dict[str, Any]) -> None:
        key = _key(binding)
        previous = self._bindings.pop(key, None)
        for subject in previous.subjects if previous else ():
            bound = self._by_subject[(key[0], subject)]
            del bound[key[1]]
            if not bound:
                del self._by_subject[(key[0], subject)]
        self.changed()

    def held(self, user: UserInfo, namespace: str) -> Grants:
        """What the user holds cluster-wide and, if `namespace` is given, in that namespace."""
        key = (namespace, user.name, user.groups)
        grants = self._held.get(key)
        if grants is None:
            grants = self._resolve(user, namespace)
            self._held.keep(key, grants)
        return grants

    def _resolve(self, user: UserInfo, namespace: str) -> Grants:
        found = Grants()
        subjects = [("User", user.name), *(("Group", group) for group in user.groups)]
        for scope in ("", namespace) if namespace else ("",):
            bindings: dict[str, tuple[_Binding, str]] = {}
            for subject in subjects:
                for name, binding in self._by_subject.get((scope, subject), {}).items():
                    bindings.setdefault(name, (binding, binding.subjects[subject]))
            for _, (binding, subject_text) in sorted(bindings.items()):
                self._add_grant(found, binding, subject_text)
        return found

    def _add_grant(self, found: Grants, binding: _Binding, subject_text: str) -> None:
        cluster_role = binding.role_kind == "ClusterRole"
        role = self._roles.get(("" if cluster_role else binding.namespace, binding.role_name))
        if role is None:
            resource = "clusterrole" if cluster_role else "role"
            found.errors.append(f"{resource}.rbac.authorization.k8s.io {quote(binding.role_name)} not found")
            return
        if binding.namespace:
            what = f"RoleBinding {quote(f'{binding.name}/{binding.namespace}')} of {binding.role_kind}"
        else:
            what = f"ClusterRoleBinding {quote(binding.name)} of {binding.role_kind}"
        reason = f"RBAC: allowed by {what} {quote(binding.role_name)} to {subject_text}"
        found.grants.append(Grant(reason, role.rules, role.compiled))


def _key(obj: dict[str, Any]) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _subjects(subjects: Iterable[dict[str, Any]], namespace: str) -> Iterable[tuple[Subject, str]]:
    """Each subject with its description. A service account without a namespace lives in the binding's."""
    for subject in subjects:
        kind, name = subject["kind"], subject["name"]
        if kind in ("User", "Group"):
            yield (kind, name), f"{kind} {quote(name)}"
        elif kind == "ServiceAccount":
            where = subject.get("namespace") or namespace
            if where:
                yield ("User", f"{SERVICE_ACCOUNT_PREFIX}{where}:{name}"), f"ServiceAccount {quote(f'{name}/{where}')}"
