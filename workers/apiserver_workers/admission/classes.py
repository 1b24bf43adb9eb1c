"""Default classes: of the classes that an annotation marks as the default, the newest one counts."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver_workers.admission.plugin import Object
from apiserver_workers.storage.interface import Entry


def default_class(classes: Sequence[Entry], *annotations: str) -> str | None:
    """The name of the default class, None if no class carries one of the annotations with the value true."""
    marked = [entry.obj["metadata"] for entry in classes if _is_default(entry.obj, annotations)]
    if not marked:
        return None
    marked.sort(key=_name)
    newest = max(marked, key=_created)  # the first of several that are equally new
    return str(newest["name"])


def _is_default(obj: Object, annotations: tuple[str, ...]) -> bool:
    held = obj["metadata"].get("annotations")
    return bool(held) and any(held.get(annotation) == "true" for annotation in annotations)


def _name(metadata: Object) -> str:
    return str(metadata["name"])


def _created(metadata: Object) -> str:
    return str(metadata.get("creationTimestamp", ""))
