"""The built-in resources, as data: one entry of data/resources.json is one served resource.

A `ResourceInfo` is everything the registry needs that the schema does not say: names, scope, verbs, subresources and
where objects lie in etcd. Behaviour that data cannot express is a strategy (workers/apiserver_workers/registry/strategies).

data/versions.json has what is not served unless it is asked for: alpha and beta versions, and those of other minors. An
entry there is like one of resources.json, or says `like` which version of its `resources` it is. Its objects are stored
in that version. `on` are betas from before 1.24, when betas were on by default; `plain` is a kind that shares no more
than its name with the kind that strategies and validation know; `gate` is the feature gate it needs; `deprecated`, `removed` and `use` are what clients are warned of. Which minor has which version is not said here: the
schema package knows (server/enablement.py).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

Key = tuple[str, str, str]

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
    since: str = ""  # the first minor version that has it, where older ones have the resource already


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
    cells: tuple[str, ...] = ()
    schema: dict[str, Any] = field(default_factory=dict)
    on: bool = False
    plain: bool = False
    gate: str = ""
    deprecated: str = ""
    removed: str = ""
    use: str = ""
    custom: bool = False  # made by a CustomResourceDefinition
    closing: bool = False  # ... which is being deleted
    listed_as: str = ""  # the kind of its lists, where that is not the kind with List behind it

    @property
    def group_version(self) -> str:
        """`apps/v1`, or `v1` for the core group: the apiVersion of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def is_stored(self) -> bool:
        """Whether objects lie in etcd; the others are questions, answered when they are created or read."""
        return "watch" in self.verbs

    @property
    def list_kind(self) -> str:
        return self.listed_as or self.kind + "List"

    @property
    def qualified_resource(self) -> str:
        return f"{self.resource}.{self.group}" if self.group else self.resource


def parse_resource(entry: dict[str, Any]) -> ResourceInfo:
    """A ResourceInfo from its entry of data; also how a CustomResourceDefinition's version becomes a resource.

    A kind that the schema package does not have brings its `schema`, and a column that no printer knows its `path`.
    """
    group, version, resource = entry["group"], entry["version"], entry["resource"]
    columns = entry.get("tableColumns") or ()
    subresources = {
        sub["subresource"]: SubresourceInfo(
            name=sub["subresource"],
            kind=sub["kind"],
            group=sub.get("group", ""),
            version=sub.get("version", ""),
            verbs=frozenset(sub["verbs"]),
            since=sub.get("since", ""),
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
        columns=tuple({name: fact for name, fact in column.items() if name != "path"} for column in columns),
        cells=tuple(column["path"] for column in columns if "path" in column),
        schema=entry.get("schema") or {},
        on=entry.get("on", False),
        plain=entry.get("plain", False),
        gate=entry.get("gate", ""),
        **_life(entry),
    )


@functools.cache
def builtin_resources() -> dict[Key, ResourceInfo]:
    """What is served by default by (group, version, resource), in discovery order."""
    return _by_key(map(parse_resource, _read("resources.json")))


@functools.cache
def catalogue() -> dict[Key, ResourceInfo]:
    """Every resource in every version that some configuration serves; those that are served by default come first."""
    found = dict(builtin_resources())
    for entry in _read("versions.json"):
        if "like" in entry:
            found.update(_by_key(_like(entry, name, found) for name in entry["resources"]))
        else:
            found.update(_by_key([parse_resource(entry)]))
    return found


def resource(group: str, version: str, name: str) -> ResourceInfo | None:
    """The built-in resource of that name, whether it is served or not, or None."""
    return catalogue().get((group, version, name))


def stored_prefixes(*, server: str = "") -> list[str]:
    """Where in etcd the built-in resources of a server lie (all of them: ""), served or not."""
    stored = (info for info in catalogue().values() if info.is_stored)
    return sorted({info.storage_prefix for info in stored if server in ("", info.server)})


def _like(entry: dict[str, Any], name: str, found: dict[Key, ResourceInfo]) -> ResourceInfo:
    """Another version of a resource: the same but for the version, and stored as that is."""
    of = found[entry["group"], entry["like"], name]
    return replace(of, version=entry["version"], on=entry.get("on", False), **_life(entry))


def _life(entry: dict[str, Any]) -> dict[str, Any]:
    """From which minor version on clients are warned, from which on it is gone, and what replaces it."""
    return {name: entry.get(name, "") for name in ("deprecated", "removed", "use")}


def _by_key(infos: Iterable[ResourceInfo]) -> dict[Key, ResourceInfo]:
    return {(info.group, info.version, info.resource): info for info in infos}


def _read(name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((DATA / name).read_text())
    return entries
