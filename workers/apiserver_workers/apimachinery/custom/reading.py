"""What is read from the storage, brought into shape: as upstream's codec decodes it (crdConversionRESTOptionsGetter).

An object is pruned and defaulted by the schema of the version in which it lies. Where only its apiVersion differs between
versions, it becomes one of the stored version; what a webhook must convert stays as it lies.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.custom.decoding import Coercer
from apiserver_workers.apimachinery.served_kind import Conversion
from apiserver_workers.apimachinery.structural.defaulting import default

Object = dict[str, Any]


class Reading:
    """Of one definition's objects."""

    def __init__(self, coercer: Coercer, stored: str, conversion: Conversion) -> None:
        """`stored` is the apiVersion that objects are stored in."""
        self._coercer = coercer
        self._stored = stored
        self._converts = conversion.now is not None

    def shape(self, obj: Object) -> None:
        """served_kind.ServedKind.read_stored."""
        coercer = self._coercer
        coercer.coerce(obj, lenient=True)
        if not coercer.knows(obj):
            return
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("generation"):
            metadata["generation"] = 1
        found = obj["apiVersion"]
        schema = coercer.schemas.get(found)
        if schema is not None:
            default(obj, schema)
        if self._converts and found != self._stored and found in coercer.schemas:
            obj["apiVersion"] = self._stored
            coercer.coerce(obj, lenient=True)
