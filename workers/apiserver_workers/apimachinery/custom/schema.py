"""VersionSchema: the schema of one version of a custom resource, with what is made of it when it is first needed.

Versions whose schemas are equal share one, in all definitions of a process; it goes with the last of them.
"""

from __future__ import annotations

import functools
import hashlib
import weakref
from typing import Any

import orjson

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.structural.defaulting import has_defaults
from apiserver_workers.apimachinery.structural.embedded import embedded_faults, has_embedded
from apiserver_workers.apimachinery.structural.list_types import has_list_types, list_type_faults
from apiserver_workers.apimachinery.structural.model import Structural, structural_of
from apiserver_workers.apimachinery.structural.ratcheting import Correlated
from apiserver_workers.apimachinery.structural.result import NO_PATH
from apiserver_workers.apimachinery.structural.values import Node
from apiserver_workers.apimachinery.types import model

Object = dict[str, Any]
Faults = list[FieldError]


class VersionSchema:
    """Raises StructuralError for a schema that is not structural."""

    def __init__(self, schema: Object) -> None:
        self.raw = schema
        self.structural: Structural = structural_of(schema)
        self.has_defaults = has_defaults(self.structural)
        self.has_embedded = has_embedded(self.structural)
        self._has_list_types = has_list_types(self.structural)

    @functools.cached_property
    def _values(self) -> Node:
        return _node(self.raw)

    @functools.cached_property
    def _status(self) -> Node | None:
        status = (self.raw.get("properties") or {}).get("status")
        return None if status is None else _node(status)

    def value_faults(self, obj: Object, old: Object | None) -> Faults:
        """What is wrong with an object; what did not change is forgiven."""
        if self._values.fits(obj):
            return []
        correlated = None if old is None else Correlated(obj, old, self.structural)
        return self._values.look(obj, "", correlated).faults

    def status_faults(self, new: Object, old: Object) -> Faults:
        """What is wrong with the status of an object alone."""
        node = self._status
        if node is None or "status" not in new or node.fits(new["status"]):
            return []
        correlated = Correlated(new, old, self.structural).property("status")
        return [_below("status", fault) for fault in node.look(new["status"], "", correlated).faults]

    def embedded_faults(self, obj: Object) -> Faults:
        """What is wrong with kind, apiVersion and metadata of objects inside."""
        return embedded_faults(obj, self.structural) if self.has_embedded else []

    def list_faults(self, new: Object, old: Object | None) -> Faults:
        """What lists of type set or map hold twice, unless there was such a thing before."""
        if not self._has_list_types or not (faults := list_type_faults(new, self.structural)):
            return []
        return [] if old is not None and list_type_faults(old, self.structural) else faults


def _node(schema: Object) -> Node:
    return Node(schema, int(model().minor.partition(".")[2]))


def _below(path: str, fault: FieldError) -> FieldError:
    """A fault of a part of an object, with the path of that part before its own."""
    field = fault.field
    whole = path if field == NO_PATH else path + field if field.startswith("[") else f"{path}.{field}"
    return FieldError(fault.reason, whole, fault.body)


_KNOWN: weakref.WeakValueDictionary[bytes, VersionSchema] = weakref.WeakValueDictionary()


def version_schema(schema: Object) -> VersionSchema:
    """The VersionSchema of a schema in JSON. Raises StructuralError."""
    digest = hashlib.sha256(orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)).digest()
    found = _KNOWN.get(digest)
    if found is None:
        found = _KNOWN[digest] = VersionSchema(schema)
    return found
