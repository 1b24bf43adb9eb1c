"""managedFields as the scale subresource sees them: only who owns the replicas, under the path that Scale has for it.

A write to /scale is tracked on a Scale object; `to_scale` makes the managedFields of the Scale that it starts from,
`to_parent` brings what it became back into the object itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from apiserver_workers.apimachinery.apply.entries import Entry, identity, in_order
from apiserver_workers.apimachinery.apply.fields import Fields, difference, has, insert

SCALE_VERSION = "autoscaling/v1"
SCALE_FIELDS: Fields = {"f:spec": {"f:replicas": {}}}
REPLICAS = ("f:spec", "f:replicas")

# apiVersion -> path elements of the replicas in objects of that version; None: the version has no scale subresource.
Mappings = Mapping[str, tuple[str, ...] | None]


def to_scale(entries: list[Entry] | None, mappings: Mappings) -> list[Entry]:
    """The entries of the object that own its replicas, as entries of its Scale."""
    scale = []
    for entry in entries or ():
        path = mappings.get(entry["apiVersion"])
        if path and has(entry["fieldsV1"], path):
            scale.append({**entry, "apiVersion": SCALE_VERSION, "fieldsV1": SCALE_FIELDS})
    return in_order(scale)


def to_parent(entries: list[Entry] | None, scale: list[Entry] | None, version: str, mappings: Mappings) -> list[Entry]:
    """The entries of the object after its Scale, in that version, has come to have the entries `scale`."""
    # an updater of the object and one of its Scale differ in their version, so such an entry never carries over whole
    owners = {identity(entry): entry for entry in scale or ()}
    parent: dict[tuple[str, ...], Entry] = {}
    for entry in entries or ():
        if entry["apiVersion"] not in mappings:
            continue
        path = mappings[entry["apiVersion"]]
        if path and has(entry["fieldsV1"], path):
            if owners.pop(identity(entry), None) is None:
                fields = difference(entry["fieldsV1"], _field(path))
                if not fields:
                    continue
                entry = {**entry, "fieldsV1": fields}
        parent[identity(entry)] = entry
    path = mappings[version]
    for entry in owners.values():
        if path and has(entry["fieldsV1"], REPLICAS):
            # upstream takes the time from the object's entries, where this manager has none
            added = {**entry, "apiVersion": version, "fieldsV1": _field(path)}
            added.pop("time", None)
            parent[identity(added)] = added
    return in_order(parent.values())


def _field(path: tuple[str, ...]) -> Fields:
    fields: Fields = {}
    insert(fields, path)
    return fields
