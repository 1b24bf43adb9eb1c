"""Documents of OpenAPI v2 made one: what two describe differently is renamed (kube-openapi/pkg/aggregator).

Documents are never changed; what is made shares their parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

DEFINITIONS, PARAMETERS = "definitions", "parameters"
KINDS = "x-kubernetes-group-version-kind"
MAX_DEPTH = 100


def merged(documents: Sequence[Document]) -> dict[str, Any]:
    """One document. Of a path that several have, the first one's counts; the first also gives all that is not paths,
    definitions or parameters."""
    whole = dict(documents[0])
    for part in ("paths", DEFINITIONS, PARAMETERS):
        whole[part] = dict(whole.get(part) or {})
    for document in documents[1:]:
        _merge(whole, document)
    for part in ("paths", DEFINITIONS, PARAMETERS):
        whole[part] = dict(sorted(whole[part].items()))
    return whole


def filtered(document: Document, prefix: str) -> dict[str, Any]:
    """The document's paths below a prefix, without the definitions that only other paths need."""
    return _with_paths(
        document, {path: item for path, item in _part(document, "paths").items() if path.startswith(prefix)}
    )


def _merge(whole: dict[str, Any], source: Document) -> None:
    paths = _part(source, "paths")
    kept = {path: item for path, item in paths.items() if path not in whole["paths"]}
    if not kept:
        return
    if len(kept) < len(paths):
        source = _with_paths(source, kept)
    renames = _renames(DEFINITIONS, whole, source, _equal_definitions) | _renames(PARAMETERS, whole, source, _equal)
    if renames:
        source = _renamed(source, renames)
    for part in (DEFINITIONS, PARAMETERS):
        _add(whole[part], _part(source, part))
    whole["paths"].update(_part(source, "paths"))


def _add(target: dict[str, Any], members: Mapping[str, Any]) -> None:
    for name, member in members.items():
        if name not in target:
            target[name] = member
        elif KINDS in member and member[KINDS] != target[name].get(KINDS):
            known = target[name].get(KINDS) or []
            target[name] = {**target[name], KINDS: [*known, *(kind for kind in member[KINDS] if kind not in known)]}


def _renames(part: str, whole: Document, source: Document, equal: Any) -> dict[str, str]:
    """References to what has to have another name, because the name means something else in `whole`."""
    ours, theirs = whole[part], _part(source, part)
    used = set(ours)
    renames: dict[str, str] = {}
    for name, member in theirs.items():
        if name not in ours or equal(ours[name], member):
            continue
        number, new = 2, f"{name}_v2"
        while not (new in ours and equal(ours[new], member)) and (new in used or new in theirs):
            number += 1
            new = f"{name}_v{number}"
        used.add(new)
        renames[f"#/{part}/{name}"] = f"#/{part}/{new}"
    return renames


def _equal(one: object, other: object) -> bool:
    return one == other


def _equal_definitions(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the definitions are the same but for the kinds that they stand for."""
    return {k: v for k, v in one.items() if k != KINDS} == {k: v for k, v in other.items() if k != KINDS}


def _renamed(source: Document, renames: Mapping[str, str]) -> dict[str, Any]:
    changed = {name: _with_references(value, renames) for name, value in source.items()}
    for part in (DEFINITIONS, PARAMETERS):
        prefix = f"#/{part}/"
        changed[part] = {
            renames.get(prefix + name, prefix + name).removeprefix(prefix): member
            for name, member in (changed.get(part) or {}).items()
        }
    return changed


def _with_references(value: Any, renames: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: renames.get(member, member)
            if name == "$ref" and isinstance(member, str)
            else _with_references(member, renames)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_with_references(member, renames) for member in value]
    return value


def _with_paths(document: Document, paths: Mapping[str, Any]) -> dict[str, Any]:
    """The document with these paths only; a definition that the others used and nothing uses any more is left out."""
    before = set(_used(document))
    left = {**document, "paths": dict(paths)}
    after = set(_used(left))
    definitions = _part(document, DEFINITIONS)
    left[DEFINITIONS] = {name: one for name, one in definitions.items() if name in after or name not in before}
    return left


def _used(document: Document) -> Iterator[str]:
    """The definitions that the paths and parameters refer to, also by way of others."""
    definitions = _part(document, DEFINITIONS)
    prefix = f"#/{DEFINITIONS}/"
    seen: set[str] = set()
    waiting = [document.get("paths") or {}, document.get(PARAMETERS) or {}, document.get("responses") or {}]
    while waiting:
        for reference in references(waiting.pop()):
            name = reference.removeprefix(prefix)
            if reference.startswith(prefix) and name not in seen:
                seen.add(name)
                yield name
                if name in definitions:
                    waiting.append(definitions[name])


def references(value: Any) -> Iterator[str]:
    """All that is referred to within a part of a document."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            for name, member in part.items():
                if name == "$ref" and isinstance(member, str):
                    yield member
                else:
                    waiting.append(member)
        elif isinstance(part, list):
            waiting += part


def _part(document: Document, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document.get(name) or {}
    return found


def checked(document: object) -> dict[str, Any]:
    """A document of a server that is not ours. Raises ValueError for what is none, or is nested too deep."""
    if not isinstance(document, dict):
        raise ValueError("not an OpenAPI document")
    for part in ("paths", DEFINITIONS, PARAMETERS):
        members = document.get(part) or {}
        if not isinstance(members, dict) or not all(isinstance(member, dict) for member in members.values()):
            raise ValueError(f"not an OpenAPI document: {part}")
    for member in (document.get(DEFINITIONS) or {}).values():
        if not isinstance(member.get(KINDS) or [], list):
            raise ValueError(f"not an OpenAPI document: {KINDS}")
    if _depth_exceeds(document, MAX_DEPTH):
        raise ValueError("an OpenAPI document that is nested too deep")
    return document


def _depth_exceeds(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [member for part in level for member in _members(part)]
        if not level:
            return False
    return True


def _members(part: Any) -> list[Any]:
    members = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [member for member in members if isinstance(member, dict | list)]
