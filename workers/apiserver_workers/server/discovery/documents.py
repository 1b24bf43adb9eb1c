"""Discovery documents: which groups, versions and resources a server has, generated from its ResourceInfos.

Two forms exist. The older is a tree: /api and /apis list versions and groups, /apis/GROUP a group, /apis/GROUP/VERSION
its resources. The newer has all of it in one document, an APIGroupDiscoveryList, at the same /api and /apis for clients
that accept it. Both are pure functions of the resources; serving them is discovery_endpoints.py.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.resources import ResourceInfo, SubresourceInfo
from apiserver_workers.apimachinery.versions import CUSTOM_PRIORITIES, api_service_priorities, version_rank

Document = dict[str, Any]
# group -> version -> its resources, in the order in which they are shown
Groups = Mapping[str, Mapping[str, Sequence[ResourceInfo]]]

# (group, version) -> priority of the group and of the version in it
Priorities = Mapping[tuple[str, str], tuple[int, int]]
NO_PRIORITIES: Priorities = {}

AGGREGATED_GROUP = "apidiscovery.k8s.io"
STABLE_SINCE, BETA_SINCE = 30, 27  # minors: v2 and v2beta1 of the aggregated form
AGGREGATED_KIND = "APIGroupDiscoveryList"

# As upstream lists the verbs of custom resources, and of those whose definition is being deleted.
CUSTOM_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
CLOSING_VERBS = ("delete", "deletecollection", "get", "list", "watch")

# The group of APIServices has none itself and is always first.
FIRST_GROUP = "apiregistration.k8s.io"
FIRST_PRIORITIES = (2**31, 15)

# Resources that upstream still encodes in a version it no longer serves; clients see it only in the hash.
ENCODED_AS = {
    ("admissionregistration.k8s.io", "mutatingadmissionpolicies"): "v1beta1",
    ("admissionregistration.k8s.io", "mutatingadmissionpolicybindings"): "v1beta1",
    ("apiextensions.k8s.io", "customresourcedefinitions"): "v1beta1",
}


def group_resources(resources: Iterable[ResourceInfo]) -> Groups:
    """The resources by group and version, both in discovery order; of resources the order is kept."""
    found: dict[str, dict[str, list[ResourceInfo]]] = {}
    for info in resources:
        found.setdefault(info.group, {}).setdefault(info.version, []).append(info)
    groups = {group: dict(sorted(found[group].items(), key=_version_order(group))) for group in found}
    return dict(sorted(groups.items(), key=_group_order))


def _group_order(item: tuple[str, Mapping[str, Any]]) -> tuple[int, str]:
    group, versions = item
    return -max(_priorities(group, version)[0] for version in versions), group


def _version_order(group: str) -> Callable[[tuple[str, Any]], tuple[int, ...]]:
    def key(item: tuple[str, Any]) -> tuple[int, ...]:
        return tuple(-part for part in (_priorities(group, item[0])[1], *version_rank(item[0])))

    return key


def _priorities(group: str, version: str) -> tuple[int, int]:
    if group == FIRST_GROUP:
        return FIRST_PRIORITIES
    return api_service_priorities().get((group, version), CUSTOM_PRIORITIES)


def storage_version_hash(info: ResourceInfo) -> str:
    """A hash that changes when the version that objects are stored in does."""
    group, version = info.stored_as
    version = ENCODED_AS.get((info.group, info.resource), version)
    digest = hashlib.sha256(f"{group}/{version}/{info.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def build_api_versions(groups: Groups, *, addresses: Sequence[tuple[str, str]]) -> Document:
    """/api: the versions of the core group, and the server's address for clients of each CIDR."""
    by_cidr = [{"clientCIDR": cidr, "serverAddress": address} for cidr, address in addresses]
    return {"kind": "APIVersions", "versions": list(groups.get("", ())), "serverAddressByClientCIDRs": by_cidr}


def build_group_list(groups: Mapping[str, Iterable[str]]) -> Document:
    """/apis: all groups but core."""
    listed = [_group(group, versions) for group, versions in groups.items() if group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}


def build_group(group: str, versions: Iterable[str]) -> Document:
    """/apis/GROUP."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, versions)}


def _group(group: str, versions: Iterable[str]) -> Document:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def build_resource_list(group: str, version: str, resources: Iterable[ResourceInfo]) -> Document:
    """/api/VERSION or /apis/GROUP/VERSION: its resources, each followed by its subresources."""
    listed = []
    for info in resources:
        listed.append(_resource(info))
        listed += [_subresource(info, sub) for sub in _subresources(info)]
    # the core group's list has no apiVersion: it is older than that field
    head = {"kind": "APIResourceList", "apiVersion": "v1"} if group else {"kind": "APIResourceList"}
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": listed}


def _resource(info: ResourceInfo) -> Document:
    entry: Document = {
        "name": info.resource,
        "singularName": info.singular,
        "namespaced": info.namespaced,
        "kind": info.kind,
        "verbs": _verbs(info),
    }
    if info.short_names:
        entry["shortNames"] = list(info.short_names)
    if info.categories:
        entry["categories"] = list(info.categories)
    if info.is_stored and feature_gates.enabled("StorageVersionHash"):
        entry["storageVersionHash"] = storage_version_hash(info)
    return entry


def _subresources(info: ResourceInfo) -> list[SubresourceInfo]:
    """In the order of their names; those of custom resources in their own."""
    names = info.subresources if info.custom else sorted(info.subresources)
    return [info.subresources[name] for name in names]


def _verbs(info: ResourceInfo) -> list[str]:
    if not info.custom:
        return sorted(info.verbs)
    return [verb for verb in CUSTOM_VERBS if not info.closing or verb in CLOSING_VERBS]


def _response_kind(info: ResourceInfo, kind: str, group: str, version: str) -> Document:
    """The kind of a resource's answers: what no other group and version stand for has them only where it is custom."""
    if info.custom and not version:
        group, version = info.group, info.version
    return {"group": group, "version": version, "kind": kind}


def _subresource(info: ResourceInfo, sub: SubresourceInfo) -> Document:
    entry: Document = {"name": f"{info.resource}/{sub.name}", "singularName": "", "namespaced": info.namespaced}
    if sub.group:
        entry["group"] = sub.group
    if sub.version:
        entry["version"] = sub.version
    return {**entry, "kind": sub.kind, "verbs": sorted(sub.verbs)}


def aggregated_versions(minor: str) -> tuple[str, ...]:
    """The versions in which that Kubernetes version serves the aggregated form."""
    number = int(minor.partition(".")[2])
    stable = ("v2",) if number >= STABLE_SINCE else ()
    beta = number >= BETA_SINCE and not feature_gates.enabled("AggregatedDiscoveryRemoveBetaType")
    return (*stable, "v2beta1") if beta else stable


def build_aggregated(items: Sequence[Document], version: str = "v2") -> Document:
    """An APIGroupDiscoveryList of the groups given: the core group for /api, the others for /apis."""
    return {
        "kind": AGGREGATED_KIND,
        "apiVersion": f"{AGGREGATED_GROUP}/{version}",
        "metadata": {},
        "items": list(items),
    }


def group_items(groups: Groups) -> list[Document]:
    """The groups as the aggregated form has them."""
    return [_group_discovery(group, versions) for group, versions in groups.items()]


def merge_groups(servers: Iterable[Sequence[Document]], priorities: Priorities = NO_PRIORITIES) -> list[Document]:
    """The groups of several servers, as the aggregated form has them, in the order of their priorities.

    A group may have versions on several servers; a version that two have is the first one's. `priorities` are those of
    group versions that have other ones than the tables say.
    """
    found: dict[str, dict[str, Document]] = {}
    for items in servers:
        for item in items:
            versions = found.setdefault(item["metadata"].get("name", ""), {})
            for version in item["versions"]:
                versions.setdefault(version["version"], version)

    def of(group: str, version: str) -> tuple[int, int]:
        return priorities.get((group, version)) or _priorities(group, version)

    def version_order(group: str, version: str) -> tuple[int, ...]:
        return tuple(-part for part in (of(group, version)[1], *version_rank(version)))

    def group_order(group: str) -> tuple[int, str]:
        return -max(of(group, version)[0] for version in found[group]), group

    return [
        {
            "metadata": {"name": group} if group else {},
            "versions": [found[group][version] for version in sorted(found[group], key=partial(version_order, group))],
        }
        for group in sorted(filter(found.get, found), key=group_order)
    ]


def versions_of(item: Document) -> list[str]:
    """The versions of a group of the aggregated form, in order."""
    return [version["version"] for version in item["versions"]]


def _group_discovery(group: str, versions: Mapping[str, Sequence[ResourceInfo]]) -> Document:
    return {
        "metadata": {"name": group} if group else {},
        "versions": [
            {
                "version": version,
                "resources": [_resource_discovery(info) for info in resources],
                "freshness": "Current",
            }
            for version, resources in versions.items()
        ],
    }


def _resource_discovery(info: ResourceInfo) -> Document:
    entry: Document = {
        "resource": info.resource,
        "responseKind": _response_kind(info, info.kind, "", ""),
        "scope": "Namespaced" if info.namespaced else "Cluster",
        "singularResource": info.singular,
        "verbs": _verbs(info),
    }
    if info.short_names:
        entry["shortNames"] = list(info.short_names)
    if info.categories:
        entry["categories"] = list(info.categories)
    if info.subresources:
        subresources = _subresources(info)
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(info, sub.kind, sub.group, sub.version),
                "verbs": sorted(sub.verbs),
            }
            for sub in subresources
        ]
    return entry
