"""The three media types in which objects lie in etcd, and reading one without being told which it is.

Objects are JSON in memory; these functions stand between that and what --storage-media-type asks for.
"""

from __future__ import annotations

import functools
import re
from typing import Any

import orjson
import yaml

from apiserver_workers.apimachinery import codec, conversion, protobuf, types

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
MEDIA_TYPES = (JSON, YAML, PROTOBUF)

Object = dict[str, Any]

# Words that no reader of YAML takes for anything but a string.
_PLAIN = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null|inf|nan)$)[a-z][a-z0-9./ -]*(?<! )", re.IGNORECASE)


def recognise(data: bytes) -> str:
    """The media type of a stored object."""
    if data[:1] == b"{":
        return JSON
    return PROTOBUF if data[:4] == protobuf.MAGIC else YAML


def parse(data: bytes, media_type: str) -> Object:
    """The object that `data` holds. Raises ValueError, also for a kind that is not known."""
    if media_type == JSON:
        return orjson.loads(data)
    if media_type == PROTOBUF:
        api_version, kind, _ = protobuf.open_envelope(data)
        found = _type(api_version, kind)
        return codec.normalise(found, protobuf.decode_object(found, data))
    found, _ = codec.load_yaml(data)
    if not isinstance(found, dict):
        raise ValueError("the stored value is no object")
    return found


def serialize(obj: Object, media_type: str) -> bytes:
    """The object as it lies in etcd; as JSON where protobuf would lose a part of it."""
    if media_type == YAML:
        return yaml.dump(obj, Dumper=_Dumper, allow_unicode=True, width=1_000_000).encode()
    if media_type == PROTOBUF:
        found = _type(obj["apiVersion"], obj["kind"])
        data = protobuf.encode_object(found, obj)
        if is_complete(found) or parse(data, PROTOBUF) == obj:
            return data
    return codec.encode(obj)


def in_version(obj: Object, api_version: str) -> Object:
    """The object converted to `api_version`. Raises KeyError when that has no such kind."""
    group, _, version = api_version.rpartition("/")
    return conversion.convert(obj, group, version)


@functools.cache
def is_complete(found: types.Type) -> bool:
    """Whether protobuf has all fields of a type; it may not have those that only an older version had."""
    seen: set[types.Type] = set()
    waiting = [found]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        for member, _ in current.members:
            if not member.number and member.name not in ("kind", "apiVersion"):
                return False
            inner = (member.type, member.element.type if member.element else None)
            waiting += [part for part in inner if part is not None]
    return True


class _Dumper(yaml.CSafeDumper):
    """Quotes every string that some version of YAML might take for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    style = None if _PLAIN.fullmatch(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _represent_text)


def _type(api_version: str, kind: str) -> types.Type:
    group, _, version = api_version.rpartition("/")
    found = types.model().find(group, version, kind)
    if found is None:
        raise ValueError(f'no kind "{kind}" is registered for version "{api_version}"')
    return found
