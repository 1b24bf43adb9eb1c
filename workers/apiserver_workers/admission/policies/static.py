"""Policies and bindings from a folder of files (policy/manifest/loader, policy/manifest/source)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from apiserver_workers.admission.manifests import (
    SUFFIX,
    Manifest,
    WatchedFolder,
    accepted,
    check_name,
    read_folder,
    unsupported,
)
from apiserver_workers.admission.policies.compiled import Compiled
from apiserver_workers.admission.policies.source import Binding, Policy
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.served_kind import ServedKind

Object = dict[str, Any]
Hooks = Sequence[tuple[Policy, Sequence[Binding]]]

GROUP = "admissionregistration.k8s.io"


class Kinds(NamedTuple):
    """The plural names of a kind of policy and of its bindings, and what compiles a policy."""

    policies: str
    bindings: str
    compile_spec: Callable[[Object], Compiled]


class Folder(WatchedFolder[Hooks]):
    """The policies of a folder."""

    def __init__(self, folder: str, kinds: Kinds) -> None:
        """Raises OSError, ValueError for what cannot be used."""
        super().__init__(folder, lambda path: load(path, kinds), kinds.policies)

    @property
    def hooks(self) -> Hooks:
        return self.value


def load(folder: str, kinds: Kinds) -> tuple[Hooks, str]:
    """The policies of a folder by name, each with its bindings, and a hash of the files. Raises OSError, ValueError."""
    manifests, digest = read_folder(folder)
    policies, bindings = _sorted_out(manifests, kinds)
    bound: dict[str, list[Binding]] = {name: [] for name in policies}
    for name in sorted(bindings):
        binding = Binding(bindings[name])
        if binding.policy_name not in bound:
            missing = f'references policy "{binding.policy_name}" which does not exist in the manifest directory'
            raise ValueError(f'binding "{name}" {missing}')
        bound[binding.policy_name].append(binding)
    return [(Policy(policies[name], kinds.compile_spec), bound[name]) for name in sorted(policies)], digest


def _sorted_out(manifests: Sequence[Manifest], kinds: Kinds) -> tuple[dict[str, Object], dict[str, Object]]:
    """The policies and the bindings, defaulted and valid, by name."""
    served = BuiltinKinds(types.model())
    found: dict[str, tuple[ServedKind, dict[str, Object]]] = {}
    for plural in (kinds.policies, kinds.bindings):
        kind = served.stored(GROUP, plural)
        found[kind.info.kind] = kind, {}
    seen: dict[str, dict[str, str]] = {name: {} for name in found}
    for file, document in manifests:
        try:
            kind, objects = _kind_of(document, found)
            obj = accepted(document, kind)
            check_name(obj["metadata"].get("name", ""), file, seen[kind.info.kind])
            _check_static(obj, kind.info.kind)
        except ValueError as error:
            raise ValueError(f"error loading {file}: {error}") from None
        objects[obj["metadata"]["name"]] = obj
    (_, policies), (_, bindings) = found.values()
    return policies, bindings


def _kind_of(document: Any, found: dict[str, tuple[ServedKind, dict[str, Object]]]) -> Any:
    kind = document.get("kind") if isinstance(document, dict) else None
    if kind not in found:
        raise unsupported(document)
    return found[kind]


def _check_static(obj: Object, kind: str) -> None:
    """What the policies of files may not have: anything that must be looked up in the API."""
    name, spec = obj["metadata"]["name"], obj["spec"]
    if not kind.endswith("Binding"):
        if spec.get("paramKind") is not None:
            raise ValueError(f'{kind} "{name}": spec.paramKind is not supported for static manifests')
        return
    policy = spec.get("policyName", "")
    if not policy:
        raise ValueError(f'binding "{name}" must reference a policy (spec.policyName)')
    if not policy.endswith(SUFFIX):
        raise ValueError(f'binding "{name}": spec.policyName "{policy}" must end with "{SUFFIX}"')
    if spec.get("paramRef") is not None:
        raise ValueError(f'binding "{name}": spec.paramRef is not supported for static manifests')
