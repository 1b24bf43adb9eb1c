"""Drops what a schema does not know from an object (apiextensions-apiserver/pkg/apiserver/schema/pruning/algorithm.go)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.structural.model import ROOT, Structural

META_FIELDS = frozenset(("apiVersion", "kind", "metadata"))


def prune(obj: Any, schema: Structural | None, *, is_resource_root: bool, collect: bool = False) -> list[str]:
    """Prune a value in place; the sorted paths of what it has dropped, none unless they are to be collected."""
    pruner = _Pruner(collect)
    if is_resource_root:
        schema = ROOT if schema is None else schema.as_root()
    pruner.prune(obj, schema, "")
    return sorted(pruner.unknown)


class _Pruner:
    def __init__(self, collect: bool) -> None:
        self.unknown: list[str] = []
        self._collect = collect

    def prune(self, value: Any, schema: Structural | None, path: str) -> None:
        if schema is not None and schema.preserve:
            self._keep(value, schema, path)
        elif value.__class__ is dict:
            self._prune_map(value, schema, path)
        elif value.__class__ is list:
            items = None if schema is None else schema.items
            for index, item in enumerate(value):
                if item.__class__ is dict or item.__class__ is list:
                    self.prune(item, items, self._item(path, index))

    def _prune_map(self, value: dict[str, Any], schema: Structural | None, path: str) -> None:
        if schema is None:
            self._drop(value, list(value), path)
            return
        properties, embedded = schema.properties, schema.embedded
        unknown: list[str] = []
        for name, inside in value.items():
            if embedded and name in META_FIELDS:
                continue
            known = properties.get(name)
            if known is None:
                if not schema.allows_additional and schema.additional is None:
                    unknown.append(name)
                    continue
                known = schema.additional
            if inside.__class__ is dict or inside.__class__ is list:
                self.prune(inside, known, self._child(path, name))
        if unknown:
            self._drop(value, unknown, path)

    def _drop(self, value: dict[str, Any], names: list[str], path: str) -> None:
        for name in names:
            if path or name not in META_FIELDS:
                self._note(path, name)
            del value[name]

    def _keep(self, value: Any, schema: Structural | None, path: str) -> None:
        """Nothing is dropped here, but below properties that have a schema."""
        if schema is None:
            return
        if value.__class__ is dict:
            for name, inside in value.items():
                if schema.embedded and name in META_FIELDS:
                    continue
                if name in schema.properties:
                    self.prune(inside, schema.properties[name], self._child(path, name))
                elif schema.additional is not None or schema.allows_additional:
                    self.prune(inside, schema.additional, self._child(path, name))
        elif value.__class__ is list:
            for index, item in enumerate(value):
                self._keep(item, schema.items, self._item(path, index))

    def _note(self, path: str, name: str) -> None:
        if self._collect:
            self.unknown.append(f"{path}.{name}" if path else name)

    def _child(self, path: str, name: str) -> str:
        """Paths cost time, so they are only made where they are collected; below the root they must not be empty."""
        if not self._collect:
            return "."
        return f"{path}.{name}" if path else name

    def _item(self, path: str, index: int) -> str:
        return f"{path}[{index}]" if self._collect else "."
