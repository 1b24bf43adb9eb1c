"""Objects that `kubectl apply` managed from the client's side, with an annotation that holds what it last applied."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.apimachinery.apply.compare import compare, to_field_set
from apiserver_workers.apimachinery.apply.fields import difference, paths
from apiserver_workers.apimachinery.apply.plan import owned_plan, plan
from apiserver_workers.apimachinery.apply.tracking import without_entries
from apiserver_workers.apimachinery.apply.typed import check
from apiserver_workers.apimachinery.types import Type

Object = dict[str, Any]

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ANNOTATIONS_BYTES = 256 * 1024


def client_side_applied(type: Type, live: Object, api_version: str) -> set[str]:
    """The fields that `kubectl apply` last set by itself and nobody changed since: kubectl may take these over."""
    text = (live.get("metadata", {}).get("annotations") or {}).get(LAST_APPLIED)
    try:
        last = orjson.loads(text or "")
        if last.get("apiVersion") != api_version:
            return set()
        check(plan(type), last)
        node = owned_plan(type)
        changed, removed = compare(node, last, without_entries(live))
        owned = difference(difference(to_field_set(node, last), changed), removed)
    except (ValueError, AttributeError):
        return set()
    return set(paths(owned))


def set_last_applied(metadata: Object, patch: Object) -> None:
    """Keeps the annotation of client-side apply up to date, for users who go back to it."""
    applied = patch
    annotations = patch.get("metadata", {}).get("annotations")
    if annotations:
        rest = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
        applied = {**patch, "metadata": {**patch["metadata"], "annotations": rest}}
    text = orjson.dumps(applied, option=orjson.OPT_SORT_KEYS).decode() + "\n"
    rest = {key: value for key, value in metadata["annotations"].items() if key != LAST_APPLIED}
    if len(text) + sum(len(key) + len(value or "") for key, value in rest.items()) <= MAX_ANNOTATIONS_BYTES:
        rest[LAST_APPLIED] = text
    metadata["annotations"] = rest
