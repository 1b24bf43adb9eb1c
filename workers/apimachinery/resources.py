"""The built-in resources, as data: one entry of data/resources.json is one served resource.

A `ResourceInfo` is everything the registry needs that the schema does not say: names, scope, verbs, subresources and
where objects lie in etcd. Behaviour that data cannot express is a strategy (workers/registry/strategies).
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"

# Resources that are not stored under their own name: DefaultStorageFactory's SpecialDefaultResourcePrefixes.
STORAGE_PREFIXES = {
    ("", "replicationcontrollers"): "controllers",
    ("", "endpoints"): "services/endpoints",
    ("", "services"): "services/specs",
    ("", "nodes"): "minions",
    ("networking.k8s.io", "ingresses"): "ingress",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "apiextensions.k8s.io/customresourcedefinitions",
    ("apiregistration.k8s.io", "apiservices"): "apiregistration.k8s.io/apiservices",
}

# Two views of the same stored objects: (group, version, resource) -> the (group, version) that is stored.
STORED_AS = {
    ("events.k8s.io", "v1", "events"): ("", "v1"),
    ("autoscaling", "v1", "horizontalpodautoscalers"): ("autoscaling", "v2"),
}

# Groups that another server of the chain serves.
SERVED_BY = {"apiregistration.k8s.io": "aggregator", "apiextensions.k8s.io": "extensions"}


@dataclass(frozen=True, slots=True)
class SubresourceInfo:
    """A subresource: `kind` and its own group/version where they differ from the resource's."""

    name: str
    kind: str
    group: str
    version: str
    verbs: frozenset[str]


@dataclass(frozen=True, slots=True, eq=False)
class ResourceInfo:
    """One served resource. Identity is the object itself: `resource()` always returns the same one."""

    group: str
    version: str
    resource: str
    kind: str
    singular: str
    namespaced: bool
    verbs: frozenset[str]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: dict[str, SubresourceInfo] = field(default_factory=dict)
    storage_prefix: str = ""
    stored_as: tuple[str, str] = ("", "")
    server: str = "core"
    columns: tuple[dict[str, Any], ...] = ()

    @property
    def group_version(self) -> str:
        """`apps/v1`, or `v1` for the core group: the apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    @property
    def qualified_resource(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def parse_resource(entry: dict[str, Any]) -> ResourceInfo:
    """A ResourceInfo from its entry of data; also how a CustomResourceDefinition's version becomes a resource."""
    group, version, resource = entry["group"], entry["version"], entry["resource"]
    subresources = {
        sub["subresource"]: SubresourceInfo(
            name=sub["subresource"],
            kind=sub["kind"],
            group=sub.get("group", ""),
            version=sub.get("version", ""),
            verbs=frozenset(sub["verbs"]),
        )
        for sub in entry.get("subresources", ())
    }
    return ResourceInfo(
        group=group,
        version=version,
        resource=resource,
        kind=entry["kind"],
        singular=entry.get("singular", ""),
        namespaced=entry["namespaced"],
        verbs=frozenset(entry["verbs"]),
        short_names=tuple(entry.get("shortNames") or ()),
        categories=tuple(entry.get("categories") or ()),
        subresources=subresources,
        storage_prefix=entry.get("storagePrefix") or STORAGE_PREFIXES.get((group, resource), resource),
        stored_as=STORED_AS.get((group, version, resource), (group, version)),
        server=SERVED_BY.get(group, "core"),
        columns=tuple(entry.get("tableColumns") or ()),
    )


@functools.cache
def builtin_resources() -> dict[tuple[str, str, str], ResourceInfo]:
    """All built-in resources by (group, version, resource), in discovery order."""
    entries = json.loads((DATA / "resources.json").read_text())
    parsed = [parse_resource(entry) for entry in entries]
    return {(info.group, info.version, info.resource): info for info in parsed}


def resource(group: str, version: str, name: str) -> ResourceInfo | None:
    """The built-in resource of that name, or None."""
    return builtin_resources().get((group, version, name))
