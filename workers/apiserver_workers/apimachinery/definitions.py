"""Definitions of kinds that the schema package does not have: made from the `schema` of their resource's entry.

An entry says in one JSON schema what its kind has beside kind, apiVersion and metadata. Definitions are flat: each object
inside becomes one of its own, named by the way to it, as in `WidgetSpec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apiserver_workers.apimachinery.resources import ResourceInfo, catalogue

Schema = dict[str, Any]

REF = "#/$defs/"
GVK = "x-kubernetes-group-version-kind"
# What every object and every list has is as it is there.
OBJECT, LIST = "io.k8s.api.core.v1.ConfigMap", "io.k8s.api.core.v1.ConfigMapList"


def own_definitions(package: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions of all such kinds and their lists; `package` has those of the others."""
    found: dict[str, Schema] = {}
    for info in catalogue().values():
        if info.schema:
            found.update(definitions_of(info, package))
    return found


def definitions_of(info: ResourceInfo, package: Mapping[str, Schema]) -> dict[str, Schema]:
    """The definitions of one kind. Their names begin with the whole group, so that no two groups share a name."""
    prefix = ".".join([*reversed(info.group.split(".")), info.version, ""])
    found: dict[str, Schema] = {}
    head = package[OBJECT]["properties"]
    _lift(info.kind, {"type": "object", **info.schema}, prefix, found)
    kind = found[prefix + info.kind]
    kind["properties"] = {name: head[name] for name in ("apiVersion", "kind", "metadata")} | kind["properties"]
    kind[GVK] = [{"group": info.group, "kind": info.kind, "version": info.version}]
    items = {"description": f"List of {info.resource}.", "type": "array", "items": {"$ref": REF + prefix + info.kind}}
    found[prefix + info.list_kind] = {
        "description": f"{info.list_kind} is a list of {info.kind}",
        "properties": {**package[LIST]["properties"], "items": items},
        "required": ["items"],
        "type": "object",
        GVK: [{"group": info.group, "kind": info.list_kind, "version": info.version}],
    }
    return found


def _lift(name: str, schema: Schema, prefix: str, found: dict[str, Schema]) -> Schema:
    """The schema with every object inside as a reference; their definitions are added to `found`."""
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            return {**schema, inner: _lift(name, schema[inner], prefix, found)}
    if "properties" not in schema:
        return schema
    properties = {
        key: _lift(name + key[:1].upper() + key[1:], value, prefix, found)
        for key, value in schema["properties"].items()
    }
    found[prefix + name] = {**schema, "properties": properties}
    description = {"description": schema["description"]} if "description" in schema else {}
    return {**description, "$ref": REF + prefix + name}
