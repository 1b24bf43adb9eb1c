"""Discovery documents of servers that are not ours: what is sound in them, in the aggregated form.

Raises ValueError for what is no such document, so that nothing strange gets into ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]

SCOPES = ("Namespaced", "Cluster")


def group_versions(document: object) -> dict[tuple[str, str], Document]:
    """The versions in an APIGroupDiscoveryList, by group and version. Raises ValueError."""
    found: dict[tuple[str, str], Document] = {}
    for item in _objects(_object(document).get("items")):
        group = _text(_object(item.get("metadata") or {}).get("name"))
        for version in _objects(item.get("versions")):
            name = _text(version.get("version"))
            shown: Document = {"version": name}
            if resources := [_resource(one) for one in _objects(version.get("resources"))]:
                shown["resources"] = resources
            found[group, name] = shown
    return found


def _resource(given: Document) -> Document:
    shown: Document = {
        "resource": _text(given.get("resource")),
        "responseKind": _kind(given.get("responseKind")),
        "scope": _text(given.get("scope")),
        "singularResource": _text(given.get("singularResource")),
        "verbs": _texts(given.get("verbs")),
    }
    for field in ("shortNames", "categories"):
        if values := _texts(given.get(field)):
            shown[field] = values
    if subresources := [_subresource(one) for one in _objects(given.get("subresources"))]:
        shown["subresources"] = subresources
    return shown


def _subresource(given: Document) -> Document:
    return {
        "subresource": _text(given.get("subresource")),
        "responseKind": _kind(given.get("responseKind")),
        "verbs": _texts(given.get("verbs")),
    }


def _kind(given: object) -> Document:
    kind = _object(given or {})
    return {field: _text(kind.get(field)) for field in ("group", "version", "kind")}


def from_resource_list(document: object) -> list[Document]:
    """The resources of an APIResourceList (ConvertGroupVersionIntoToDiscovery). Raises ValueError."""
    listed = list(_objects(_object(document).get("resources")))
    found: dict[str, Document] = {}
    for one in listed:
        name = _text(one.get("name"))
        if "/" not in name:
            found[name] = _resource(
                {**one, "resource": name, "responseKind": _kind(one), "scope": _scope(one)} | _singular(one)
            )
    for one in listed:
        name, slash, sub = _text(one.get("name")).partition("/")
        if not slash:
            continue
        parent = found.setdefault(name, {"resource": name, "scope": _scope(one)})
        shown = {"subresource": sub, "responseKind": _kind(one), "verbs": _texts(one.get("verbs"))}
        parent.setdefault("subresources", []).append(shown)
    return list(found.values())


def _scope(one: Document) -> str:
    return SCOPES[0] if one.get("namespaced") is True else SCOPES[1]


def _singular(one: Document) -> Document:
    return {"singularResource": _text(one.get("singularName"))}


def _object(value: object) -> Document:
    if not isinstance(value, dict):
        raise ValueError("not a discovery document")
    return value


def _objects(value: object) -> Iterator[Document]:
    if not isinstance(value or [], list):
        raise ValueError("not a discovery document")
    return map(_object, value or [])  # type: ignore[call-overload]


def _text(value: object) -> str:
    if not isinstance(value or "", str):
        raise ValueError("not a discovery document")
    return value or ""  # type: ignore[return-value]


def _texts(value: object) -> list[str]:
    if not isinstance(value or [], list):
        raise ValueError("not a discovery document")
    return [_text(one) for one in value or []]  # type: ignore[attr-defined]
