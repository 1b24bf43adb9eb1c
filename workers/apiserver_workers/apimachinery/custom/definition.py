"""What a CustomResourceDefinition says about the kinds that it makes (apiextensions-apiserver/pkg/apihelpers).

A definition is the object as it is stored, in apiextensions.k8s.io/v1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from apiserver_workers.apimachinery.resources import ResourceInfo, SubresourceInfo
from apiserver_workers.apimachinery.versions import version_rank

Object = dict[str, Any]

NAMES_ACCEPTED, ESTABLISHED, TERMINATING = "NamesAccepted", "Established", "Terminating"
WEBHOOK = "Webhook"

ALL_VERBS = frozenset(("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"))
VIEW_VERBS = frozenset(("get", "patch", "update"))

# What a kind is made of. Names in the spec count as well: OpenAPI and columns show them.
NAMES = ("plural", "singular", "kind", "listKind", "shortNames", "categories")


def condition(definition: Object, type: str) -> Object | None:
    """The condition of that type, if the definition has it."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return next((found for found in conditions if found.get("type") == type), None)


def is_true(definition: Object, type: str) -> bool:
    """Whether the condition of that type is true."""
    found = condition(definition, type)
    return found is not None and found.get("status") == "True"


def is_served(definition: Object) -> bool:
    """Whether requests for its custom resources are answered: its names are its own, or were when it was established."""
    return is_true(definition, NAMES_ACCEPTED) or is_true(definition, ESTABLISHED)


def accepted_names(definition: Object) -> Mapping[str, Any]:
    """The names under which it is served."""
    names: Mapping[str, Any] = (definition.get("status") or {}).get("acceptedNames") or {}
    return names


def versions(definition: Object) -> list[Object]:
    """Its versions, in its own order."""
    return definition["spec"].get("versions") or []


def storage_version(definition: Object) -> str:
    """The version in which objects are stored. Raises ValueError when there is none."""
    for version in versions(definition):
        if version.get("storage"):
            return str(version["name"])
    raise ValueError("invalid apiextensionsv1.CustomResourceDefinition, no storage version")


def stored_versions(definition: Object) -> list[str]:
    """All versions in which objects may lie in etcd."""
    stored: list[str] = (definition.get("status") or {}).get("storedVersions") or []
    return stored


def schema_of(version: Object) -> Object | None:
    """The OpenAPI schema of a version, None where it has none."""
    schema: Object | None = (version.get("schema") or {}).get("openAPIV3Schema")
    return schema


def subresource(version: Object, name: str) -> Object | None:
    """The subresource of a version: {} is one that says nothing more, None that there is none."""
    subresources = version.get("subresources") or {}
    found: Object | None = subresources.get(name)
    return found


def converts_by_webhook(definition: Object) -> bool:
    """Whether objects of other versions are converted by a webhook; else only their apiVersion changes."""
    return bool((definition["spec"].get("conversion") or {}).get("strategy") == WEBHOOK)


def preserves_unknown_fields(definition: Object) -> bool:
    """Whether nothing is pruned in any version."""
    return bool(definition["spec"].get("preserveUnknownFields"))


def resource_info(definition: Object, version: Object) -> ResourceInfo:
    """The resource that a version makes."""
    spec, names = definition["spec"], accepted_names(definition)
    group, plural = spec["group"], names["plural"]
    return ResourceInfo(
        group=group,
        version=version["name"],
        resource=plural,
        kind=names["kind"],
        singular=names.get("singular", ""),
        namespaced=spec.get("scope") == "Namespaced",
        verbs=ALL_VERBS,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=_subresources(version, names["kind"]),
        storage_prefix=f"{group}/{plural}",
        stored_as=(group, storage_version(definition)),
        server="extensions",
        listed_as=names.get("listKind", ""),
        custom=True,
        closing=is_true(definition, TERMINATING),
    )


def _subresources(version: Object, kind: str) -> dict[str, SubresourceInfo]:
    found = {}
    if subresource(version, "status") is not None:
        found["status"] = SubresourceInfo("status", kind, "", "", VIEW_VERBS)
    if subresource(version, "scale") is not None:
        found["scale"] = SubresourceInfo("scale", "Scale", "autoscaling", "v1", VIEW_VERBS)
    return found


def deprecation_warning(definition: Object, version: Object) -> str:
    """What clients of a version are warned of, "" where it is not deprecated."""
    if not version.get("deprecated"):
        return ""
    if (warning := version.get("deprecationWarning")) is not None:
        return str(warning)
    spec, name = definition["spec"], version["name"]
    kind = spec["names"]["kind"]
    text = f"{spec['group']}/{name} {kind} is deprecated"
    newer = [other["name"] for other in versions(definition) if _replaces(other, name)]
    if not newer:
        return text
    return f"{text}; use {spec['group']}/{max(newer, key=version_rank)} {kind}"


def _replaces(other: Object, name: str) -> bool:
    served = other.get("served") and not other.get("deprecated")
    return bool(served) and version_rank(other["name"]) > version_rank(name)


def content_hash(definition: Object) -> bytes:
    """A hash of all that the kinds are made of; while it stays the same they may stay."""
    spec, status = definition["spec"], definition.get("status") or {}
    parts = (
        definition["metadata"].get("uid", ""),
        spec,
        {name: accepted_names(definition).get(name) for name in NAMES},
        status.get("storedVersions"),
        is_true(definition, TERMINATING),
    )
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()
