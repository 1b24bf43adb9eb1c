"""docs/kinds.md, rendered from the tables: `python -m apiserver_workers.server.kinds_document > docs/kinds.md`."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from apiserver_workers.apimachinery.apply.fields import Fields, is_member
from apiserver_workers.apimachinery.apply.reset import reset_set
from apiserver_workers.apimachinery.builtin_kind import PATCH_TYPES
from apiserver_workers.apimachinery.field_labels import selectable_fields
from apiserver_workers.apimachinery.resources import ResourceInfo, builtin_resources
from apiserver_workers.apimachinery.tables import columns
from apiserver_workers.registry.strategies.disabled_fields import gated_fields
from apiserver_workers.registry.strategies.traits import Traits, traits_of

HEAD = """\
# Kinds

What each kind that is served by default does in ways of its own. An empty cell is what most kinds do: no generation, no
status, PUT of an object that is not there answers 404, PUT without a resourceVersion replaces whatever is there, DELETE
answers with a Status, fields selectors name `metadata.name` and `metadata.namespace`, no field is behind a feature gate.

* **generation**: `spec` starts at 1 and counts changes of anything but metadata and status, and being deleted; `changes`
  is not there before the first change; `1` starts at 1 and counts being deleted alone.
* **status**: what a write to the status subresource may not change besides the spec. Server-side apply resets those
  fields (the others of metadata are the subresource's to set).
* **PUT**: `creates` makes an object that is not there; `version` needs a resourceVersion.
* **DELETE**: `object` answers with the deleted object; other words are the default propagation where it is not background.
* **patch**: the patch types are JSON (`j`), merge (`m`), strategic merge (`s`) and apply (`a`).
* **gates**: feature gates without which fields of the kind are dropped.

Columns are those of `kubectl get`; `-o wide` shows those in parentheses.

This page is made from the tables by `python -m apiserver_workers.server.kinds_document`.
"""

TITLES = ("kind", "generation", "status", "PUT", "DELETE", "patch", "selectable fields", "columns", "gates")
PATCH_LETTERS = {patch_type: patch_type.removeprefix("application/")[0] for patch_type in PATCH_TYPES}
USUAL_FIELDS = {"metadata.name", "metadata.namespace"}


def render() -> str:
    """The whole page."""
    stored = [info for _, info in sorted(builtin_resources().items()) if "get" in info.verbs]
    parts = [HEAD]
    for group_version, infos in groupby(stored, lambda info: info.group_version):
        parts.append(f"## {group_version}\n\n| {' | '.join(TITLES)} |\n|{'---|' * len(TITLES)}")
        parts.append("\n".join(map(_row, infos)) + "\n")
    return "\n".join(parts)


def _row(info: ResourceInfo) -> str:
    traits = traits_of(info)
    cells = (
        info.kind,
        _generation(traits),
        _status(info),
        _put(traits),
        _delete(traits),
        "".join(PATCH_LETTERS.values()) if "patch" in info.verbs else "",
        _listed(name for name in selectable_fields(info) if name not in USUAL_FIELDS),
        _columns(info),
        _listed(sorted(gated_fields(info.group, info.resource))),
    )
    return f"| {' | '.join(cells)} |"


def _generation(traits: Traits) -> str:
    if not traits.generation:
        return "changes" if traits.counts_changes else ""
    return "spec" if traits.counts_changes else "1"


def _status(info: ResourceInfo) -> str:
    if "status" not in info.subresources:
        return ""
    return _listed(name for name in _paths(reset_set(info, "status"), "") if name != "spec") or "nothing"


def _paths(fields: Fields, path: str) -> list[str]:
    """The dotted paths of a field set."""
    found: list[str] = []
    for name, below in fields.items():
        place = f"{path}.{name[2:]}".lstrip(".")
        if is_member(below):
            found.append(place)
        else:
            found += _paths(below, place)
    return found


def _put(traits: Traits) -> str:
    words = {"creates": traits.creates_on_update, "version": not traits.unconditional_update}
    return ", ".join(word for word, so in words.items() if so)


def _delete(traits: Traits) -> str:
    words = ["object"] if traits.returns_deleted else []
    if traits.garbage_collection != "Background":
        words.append(traits.garbage_collection or "unsupported")
    return ", ".join(words)


def _columns(info: ResourceInfo) -> str:
    shown = [column["name"] if column["priority"] == 0 else f"({column['name']})" for column in columns(info)]
    return ", ".join(shown)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    print(render(), end="")
