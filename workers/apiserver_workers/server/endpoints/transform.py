"""Table and PartialObjectMetadata: objects as `Accept: ...;as=` asks for them (meta.k8s.io)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, bad_request
from apiserver_workers.apimachinery.validation.field import invalid
from apiserver_workers.server.endpoints.negotiation import PARTIAL, PARTIAL_LIST, TABLE, Output
from apiserver_workers.server.endpoints.served import View

Object = dict[str, Any]


# Annotations that stand for fields of upstream's internal types: metadata are taken from those, where they are fields.
CONVERTED_ANNOTATIONS = ("deprecated.daemonset.template.generation", "autoscaling.alpha.kubernetes.io/")


def partial(obj: Object, version: str) -> Object:
    """The object's metadata alone."""
    metadata = obj["metadata"]
    annotations = metadata.get("annotations")
    if annotations and any(name.startswith(CONVERTED_ANNOTATIONS) for name in annotations):
        annotations = {name: text for name, text in annotations.items() if not name.startswith(CONVERTED_ANNOTATIONS)}
        metadata = {**metadata, "annotations": annotations}
        if not annotations:
            del metadata["annotations"]
    return {"kind": PARTIAL, "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata}


def partial_list(objects: Iterable[Object], metadata: Object, version: str) -> Object:
    """A list of the objects' metadata; null items where there are none, as upstream."""
    items = [partial(obj, version) for obj in objects]
    return {
        "kind": PARTIAL_LIST, "apiVersion": f"meta.k8s.io/{version}", "metadata": metadata, "items": items or None,
    }  # fmt: skip


def table(
    served: View,
    objects: Iterable[Object],
    metadata: Object,
    version: str,
    include: str,
    *,
    columns: bool = True,
) -> Object:
    """A Table of the objects. `include` is what each row holds: Metadata, Object or None."""
    rows = served.kind.rows(objects, time.time())
    for row in rows or ():
        row["object"] = _row_object(row["object"], version, include)
    return {
        "kind": TABLE,
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "columnDefinitions": served.kind.columns if columns else None,
        "rows": rows,
    }


def _row_object(obj: Object, version: str, include: str) -> Object | None:
    if include == "None":
        return None
    return obj if include == "Object" else partial(obj, version)


def check_single(served: View, output: Output) -> None:
    """A single object is no list. Raises ApiError 406."""
    if output.transform == PARTIAL_LIST:
        raise _refused(f"you requested {PARTIAL_LIST}, but the requested object is not a list (*{served.kind.go_kind})")


def check_list(served: View, output: Output) -> None:
    """A list is no single object. Raises ApiError 406."""
    if output.transform == PARTIAL:
        raise _refused(f"you requested {PARTIAL}, but the requested object is a list (*{served.kind.go_kind}List)")


def _refused(message: str) -> ApiError:
    return ApiError(406, "NotAcceptable", message)


INCLUDES = ("", "Metadata", "Object", "None")


def include_object(value: str) -> str:
    """The includeObject option. Raises ApiError 400 for what it may not be."""
    if value not in INCLUDES:
        fault = invalid("includeObject", value, "must be 'Metadata', 'Object', 'None', or empty")
        raise bad_request(f"Unable to convert to Table as requested: {fault}")
    return value or "Metadata"
