"""Policies and bindings for tests, installed in a Cluster."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import ApiError

from tests.admission.cluster import ADMIN, Cluster, Object

GROUP = "admissionregistration.k8s.io"
CONFIG_MAPS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
WRITES = ["CREATE", "UPDATE", "DELETE"]


def rule(operations: list[str] | None = None, **fields: Any) -> Object:
    """A rule about configmaps, unless it says something else."""
    return {**CONFIG_MAPS, "operations": operations or ["CREATE", "UPDATE"], **fields}


def checks(*expressions: str | Object) -> list[Object]:
    """Validations, of expressions or as they are."""
    return [{"expression": each} if isinstance(each, str) else each for each in expressions]


async def validating(
    cluster: Cluster,
    *validations: str | Object,
    name: str = "policy",
    rules: list[Object] | None = None,
    constraints: Object | None = None,
    **spec: Any,
) -> None:
    """A ValidatingAdmissionPolicy about configmaps, with its binding of the same name unless `bound` is false.

    `actions`, `binding` (more of its spec) are the binding's.
    """
    bound, actions, binding = spec.pop("bound", True), spec.pop("actions", ["Deny"]), spec.pop("binding", {})
    matching = {"resourceRules": rules or [rule()], **(constraints or {})}
    body = {"matchConstraints": matching, "validations": checks(*validations), **spec}
    await cluster.create(f"validatingadmissionpolicies.{GROUP}", {"metadata": {"name": name}, "spec": body})
    if bound:
        await bind(cluster, name, actions=actions, **binding)


async def bind(cluster: Cluster, policy: str, *, name: str = "", actions: list[str] | None = None, **spec: Any) -> None:
    """A binding of a validating policy."""
    body = {"policyName": policy, "validationActions": actions or ["Deny"], **spec}
    metadata = {"name": name or policy}
    await cluster.create(f"validatingadmissionpolicybindings.{GROUP}", {"metadata": metadata, "spec": body})


async def mutating(
    cluster: Cluster,
    *mutations: Object,
    name: str = "policy",
    rules: list[Object] | None = None,
    constraints: Object | None = None,
    binding: Object | None = None,
    **spec: Any,
) -> None:
    """A MutatingAdmissionPolicy about configmaps with a binding of the same name."""
    matching = {"resourceRules": rules or [rule()], **(constraints or {})}
    body = {"matchConstraints": matching, "mutations": list(mutations), "reinvocationPolicy": "Never", **spec}
    await cluster.create(f"mutatingadmissionpolicies.{GROUP}", {"metadata": {"name": name}, "spec": body})
    body = {"policyName": name, **(binding or {})}
    await cluster.create(f"mutatingadmissionpolicybindings.{GROUP}", {"metadata": {"name": name}, "spec": body})


def applying(expression: str) -> Object:
    """A mutation by an apply configuration."""
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patching(expression: str) -> Object:
    """A mutation by a JSON patch."""
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def config_map(name: str = "c", *, metadata: Object | None = None, **data: str) -> Object:
    return {"metadata": {"name": name, **(metadata or {})}, "data": data}


async def outcome(cluster: Cluster, obj: Object, resource: str = "configmaps", user: Any = ADMIN) -> str:
    """What the creation of an object comes to: "" or the words that refuse it; nothing is stored."""
    try:
        await cluster.create(resource, obj, user=user, dry_run=True)
    except ApiError as error:
        return error.message
    return ""
