"""Field selectors of custom resources: metadata.name, metadata.namespace, and a version's selectableFields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.custom.jsonpath import JSONPath, PathError
from apiserver_workers.apimachinery.field_labels import METADATA, NAME_ONLY, NOT_SUPPORTED, Getter, Selectable
from apiserver_workers.apimachinery.goformat import plain

Object = dict[str, Any]


def custom_selectable(version: Object, *, namespaced: bool) -> Selectable:
    """What field selectors of a version may name."""
    fields: dict[str, Getter] = dict(METADATA if namespaced else NAME_ONLY)
    for selectable in version.get("selectableFields") or ():
        path = selectable["jsonPath"]
        fields[path.removeprefix(".")] = _getter(path)
    return Selectable(fields, NOT_SUPPORTED)


def _getter(path: str) -> Callable[[Object], str]:
    try:
        find = JSONPath(path).find
    except ValueError:
        return lambda obj: ""

    def get(obj: Object) -> str:
        try:
            found = find(obj)
        except PathError:
            return ""
        return "" if not found or found[0] is None else plain(found[0])

    return get
