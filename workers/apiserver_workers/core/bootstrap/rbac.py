"""rbac/bootstrap-roles: the default policy is there, and what was taken out of it comes back.

Only additions are made, so that what an administrator added stays; an object whose autoupdate annotation is "false" is
left alone altogether (pkg/registry/rbac/rest, component-helpers/auth/rbac/reconciliation).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from apiserver_workers.authorization import bootstrap_policy as policy
from apiserver_workers.authorization.bootstrap_policy import GROUP
from apiserver_workers.authorization.rules import uncovered
from apiserver_workers.core.bootstrap.objects import Objects

Object = dict[str, Any]
AUTOUPDATE = "rbac.authorization.kubernetes.io/autoupdate"


async def ensure_policy(objects: Objects) -> None:
    """Create and complete all default roles and bindings. Raises ApiError."""
    await asyncio.gather(
        *(_ensure(objects, "clusterroles", role, complete_role) for role in policy.cluster_roles()),
        *(_ensure(objects, "clusterrolebindings", bound, complete_binding) for bound in policy.cluster_role_bindings()),
        *(_ensure(objects, "roles", role, complete_role) for role in policy.roles()),
        *(_ensure(objects, "rolebindings", bound, complete_binding) for bound in policy.role_bindings()),
    )


async def _ensure(
    objects: Objects, resource: str, expected: Object, complete: Callable[[Object, Object], Object | None]
) -> None:
    metadata = expected["metadata"]
    name, namespace = metadata["name"], metadata.get("namespace", "")
    existing = objects.get(GROUP, resource, name, namespace)
    if existing is None:
        await objects.create(GROUP, resource, expected)
    elif existing.get("roleRef") != expected.get("roleRef") and not protected(existing):
        await objects.delete(GROUP, resource, existing)
        await objects.create(GROUP, resource, expected)
    else:
        await objects.update(GROUP, resource, name, lambda live: complete(live, expected), namespace=namespace)


def protected(existing: Object) -> bool:
    """Whether an administrator asked that the object be left alone."""
    return existing["metadata"].get("annotations", {}).get(AUTOUPDATE) == "false"


def complete_role(existing: Object, expected: Object) -> Object | None:
    """The role with what it lacks of the expected one; None if it lacks nothing."""
    if protected(existing):
        return None
    changed = complete_metadata(existing, expected)
    rules = existing.get("rules") or []
    if "aggregationRule" in expected:
        selectors = existing.get("aggregationRule", {}).get("clusterRoleSelectors", [])
        missing = [s for s in expected["aggregationRule"]["clusterRoleSelectors"] if s not in selectors]
        if missing:
            changed["aggregationRule"] = {"clusterRoleSelectors": [*selectors, *missing]}
    else:
        missing = uncovered(rules, expected.get("rules") or [])
        if missing:
            changed["rules"] = [*rules, *missing]
    return {**existing, **changed} if changed else None


def complete_binding(existing: Object, expected: Object) -> Object | None:
    """The binding with the subjects it lacks; None if it lacks nothing."""
    if protected(existing):
        return None
    changed = complete_metadata(existing, expected)
    subjects = existing.get("subjects") or []
    missing = [subject for subject in expected.get("subjects") or () if subject not in subjects]
    if missing:
        changed["subjects"] = [*subjects, *missing]
    return {**existing, **changed} if changed else None


def complete_metadata(existing: Object, expected: Object) -> Object:
    """{"metadata": ...} with the labels and annotations that are missing, {} if none are; existing values stay."""
    metadata = existing["metadata"]
    added = {
        field: {**expected["metadata"][field], **metadata.get(field, {})}
        for field in ("labels", "annotations")
        if expected["metadata"][field].keys() - metadata.get(field, {}).keys()
    }
    return {"metadata": {**metadata, **added}} if added else {}
