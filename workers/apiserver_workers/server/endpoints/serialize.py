"""Any object as bytes of a media type."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from apiserver_workers.apimachinery import protobuf, types
from apiserver_workers.apimachinery.types import Type
from apiserver_workers.server.endpoints.negotiation import PROTOBUF, YAML

Object = dict[str, Any]
PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def serialize(obj: Object, media_type: str, *, pretty: bool = False) -> bytes:
    """The object as a body; `pretty` indents JSON."""
    if media_type == YAML:
        document: bytes = yaml.dump(obj, Dumper=_Dumper, allow_unicode=True, encoding="utf-8", width=1 << 30)
        return document
    if media_type == PROTOBUF:
        return protobuf.encode_object(type_of(obj), obj)
    return orjson.dumps(obj, option=PRETTY if pretty else orjson.OPT_APPEND_NEWLINE)


def watch_event(kind: str, obj: Object, media_type: str) -> bytes:
    """One frame of a watch."""
    if media_type == PROTOBUF:
        return protobuf.encode_watch_event(kind, protobuf.encode_object(type_of(obj), obj))
    return orjson.dumps({"type": kind, "object": obj}, option=orjson.OPT_APPEND_NEWLINE)


def type_of(obj: Object) -> Type:
    """The type of an object by what it says it is. Metadata in v1beta1 is that of v1."""
    group, _, version = obj["apiVersion"].rpartition("/")
    if group == "meta.k8s.io":
        version = "v1"
    return types.model().kind(group, version, obj["kind"])
