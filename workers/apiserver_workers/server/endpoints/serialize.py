"""Any object as bytes of a media type."""

from __future__ import annotations

from typing import Any

import orjson
import yaml

from apiserver_workers.apimachinery import protobuf
from apiserver_workers.apimachinery.types import Type, TypeModel
from apiserver_workers.server.endpoints.negotiation import PROTOBUF, YAML

Object = dict[str, Any]
PRETTY = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
_Dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def serialize(obj: Object, media_type: str, model: TypeModel, *, pretty: bool = False) -> bytes:
    """The object, whose kind the model has, as a body; `pretty` indents JSON."""
    if media_type == YAML:
        document: bytes = yaml.dump(obj, Dumper=_Dumper, allow_unicode=True, encoding="utf-8", width=1 << 30)
        return document
    if media_type == PROTOBUF:
        return protobuf.encode_object(type_of(obj, model), obj)
    return orjson.dumps(obj, option=PRETTY if pretty else orjson.OPT_APPEND_NEWLINE)


def watch_event(event: str, obj: Object, media_type: str, model: TypeModel) -> bytes:
    """One frame of a watch; `event` is ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""
    if media_type == PROTOBUF:
        return protobuf.encode_watch_event(event, protobuf.encode_object(type_of(obj, model), obj))
    return orjson.dumps({"type": event, "object": obj}, option=orjson.OPT_APPEND_NEWLINE)


def type_of(obj: Object, model: TypeModel) -> Type:
    """The type of an object by what it says it is. Metadata in v1beta1 is that of v1."""
    group, _, version = obj["apiVersion"].rpartition("/")
    if group == "meta.k8s.io":
        version = "v1"
    return model.kind(group, version, obj["kind"])
