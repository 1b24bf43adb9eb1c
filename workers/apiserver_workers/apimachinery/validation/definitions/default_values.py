"""Defaults in schemas must be pruned and valid (apiextensions-apiserver/pkg/apiserver/schema/defaulting/validation.go)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.structural.embedded import EmbeddedError, coerce_embedded, embedded_faults
from apiserver_workers.apimachinery.structural.model import Structural
from apiserver_workers.apimachinery.structural.pruning import META_FIELDS, prune
from apiserver_workers.apimachinery.structural.result import NO_PATH
from apiserver_workers.apimachinery.structural.rules import rule_tree, run_rules
from apiserver_workers.apimachinery.structural.values import Node
from apiserver_workers.apimachinery.validation.field import Errors, invalid, key

# Makes the object around a value.
Around = Callable[[Any], dict[str, Any]]


def default_faults(schema: Structural, path: str, *, minor: int, pruned: bool) -> Errors:
    """What is wrong with the defaults of a whole schema; `pruned`: they may not have unknown fields."""
    root = schema.as_root()
    return _Defaults(minor, pruned).look(root, path, root, _typed(_same), inside_meta=False)


def has_unpruned(schema: Structural) -> bool:
    """Whether any default has fields that its schema does not know."""
    if schema.default is not None and _is_unpruned(schema):
        return True
    children = (*schema.properties.values(), schema.items, schema.additional)
    return any(child is not None and has_unpruned(child) for child in children)


def _is_unpruned(schema: Structural) -> bool:
    value = copy.deepcopy(schema.default)
    prune(value, schema, is_resource_root=schema.embedded)
    return bool(value != schema.default)


def _same(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _typed(around: Around) -> Around:
    return lambda value: {"kind": "Validation", "apiVersion": "validation/v1", **around(value)}


class _Defaults:
    def __init__(self, minor: int, pruned: bool) -> None:
        self._minor = minor
        self._pruned = pruned

    def look(self, schema: Structural, path: str, root: Structural, around: Around, *, inside_meta: bool) -> Errors:
        """Defaults below additionalProperties are forbidden, so they are not followed."""
        if schema.embedded:
            inside_meta, around, root = False, _typed(_same), schema
        faults: Errors = []
        if schema.default is not None:
            check = self._of_metadata if inside_meta else self._of_value
            faults += check(schema, f"{path}.default", root, around)
        if schema.items is not None:
            inner = lambda value: around([value])  # noqa: E731
            faults += self.look(schema.items, f"{path}.items", root, inner, inside_meta=inside_meta)
        for name, known in schema.properties.items():
            meta = inside_meta or (schema.embedded and name in META_FIELDS)
            at = key(f"{path}.properties", name)
            faults += self.look(known, at, root, _child(around, name), inside_meta=meta)
        return faults

    def _of_metadata(self, schema: Structural, path: str, root: Structural, around: Around) -> Errors:
        obj = around(copy.deepcopy(schema.default))
        try:
            coerce_embedded(obj, root)
        except EmbeddedError as error:
            return [invalid(path, schema.default, f"must result in valid metadata: {error.fault}")]
        if faults := embedded_faults(obj, root):
            return [invalid(path, schema.default, f"must result in valid metadata: {aggregate(faults)}")]
        return self._by_schema(schema, path, root)

    def _of_value(self, schema: Structural, path: str, root: Structural, around: Around) -> Errors:
        faults: Errors = []
        if self._pruned and _is_unpruned(schema):
            faults.append(invalid(path, schema.default, "must not have unknown fields"))
        try:
            coerce_embedded(copy.deepcopy(schema.default), schema)
        except EmbeddedError as error:
            return [*faults, _below(path, error.fault)]
        if found := embedded_faults(schema.default, schema, path):
            return faults + found
        return faults + self._by_schema(schema, path, root)

    def _by_schema(self, schema: Structural, path: str, root: Structural) -> Errors:
        value = schema.default
        found = Node(schema.raw, self._minor).look(value, "").faults
        if found:
            return [_below(path, fault) for fault in found]
        tree = rule_tree(schema, is_resource_root=schema is root)
        if tree is None:
            return []
        changed = run_rules(tree, value, value).faults
        return [_below(path, fault) for fault in changed or run_rules(tree, value).faults]


def _child(around: Around, name: str) -> Around:
    return lambda value: around({name: value})


def _below(path: str, fault: FieldError) -> FieldError:
    at = path if fault.field in ("", NO_PATH) else f"{path}.{fault.field}"
    return FieldError(fault.reason, at.replace(".[", "["), fault.body)


def aggregate(faults: Errors) -> str:
    """Several faults as one text."""
    texts = list(dict.fromkeys(map(str, faults)))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
