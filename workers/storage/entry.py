"""Entries: stored bytes that answer a GET nearly as they are, and are parsed only when somebody needs the fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

Decoder = Callable[[bytes], dict[str, Any]]

PROTOBUF_MAGIC = b"k8s\x00"


METADATA, UID = b'"metadata":{', b'"uid":"'


def with_revision(value: bytes, revision: int) -> bytes | None:
    """A stored object with its resourceVersion: behind the uid, where Go writes it, or before all other metadata.

    None when the value does not begin as this server writes objects.
    """
    inner = value.find(b"{", 1) + 1
    # The first inner brace is that of the top-level metadata: no earlier string can hold an unescaped quote.
    if value[inner - 12 : inner] != METADATA or value[inner] != 34:
        return None
    uid = value.find(UID, inner)
    if uid < 0 or value.find(b"{", inner, uid) >= 0:
        return b'%b"resourceVersion":"%d",%b' % (value[:inner], revision, value[inner:])
    end = value.find(b'"', uid + 7) + 1
    return b'%b,"resourceVersion":"%d"%b' % (value[:end], revision, value[end:])


class JSONEntry:
    """An entry whose value is JSON."""

    __slots__ = ("_obj", "key", "mod_revision", "value")

    def __init__(self, key: str, value: bytes, mod_revision: int) -> None:
        self.key = key
        self.value = value
        self.mod_revision = mod_revision
        self._obj: dict[str, Any] | None = None

    @property
    def body(self) -> bytes:
        """The stored bytes with the resourceVersion among the metadata."""
        return with_revision(self.value, self.mod_revision) or orjson.dumps(self.obj)

    @property
    def item(self) -> bytes:
        """The body as a list holds it: without kind and apiVersion, which the list's own kind implies."""
        body = with_revision(self.value, self.mod_revision)
        if body is not None:
            return b"{" + body[body.find(METADATA) :]
        return orjson.dumps({name: value for name, value in self.obj.items() if name not in ("kind", "apiVersion")})

    @property
    def obj(self) -> dict[str, Any]:
        """The parsed object with metadata.resourceVersion."""
        obj = self._obj
        if obj is None:
            obj = self._parse()
            metadata = {"resourceVersion": str(self.mod_revision)}
            metadata.update(obj.get("metadata") or {})
            obj["metadata"] = metadata
            self._obj = obj
        return obj

    def at(self, revision: int) -> JSONEntry:
        """The same state under another revision, as a deletion reports it."""
        return type(self)(self.key, self.value, revision)

    def _parse(self) -> dict[str, Any]:
        obj: dict[str, Any] = orjson.loads(self.value)
        return obj

    def __repr__(self) -> str:
        return f"<{self.key} @{self.mod_revision}>"


def protobuf_entry(decode: Decoder) -> type[JSONEntry]:
    """The class of entries that the Go server wrote as protobuf; `decode` makes them the object that JSON would give."""

    class ProtobufEntry(JSONEntry):
        __slots__ = ()

        @property
        def body(self) -> bytes:
            return orjson.dumps(self.obj)

        def _parse(self) -> dict[str, Any]:
            return decode(self.value)

    return ProtobufEntry


class EntryFactory:
    """Makes the entry that fits a value."""

    __slots__ = ("_protobuf",)

    def __init__(self, decode_protobuf: Decoder) -> None:
        self._protobuf = protobuf_entry(decode_protobuf)

    def __call__(self, key: str, value: bytes, mod_revision: int) -> JSONEntry:
        kind = JSONEntry if value[:4] != PROTOBUF_MAGIC else self._protobuf
        return kind(key, value, mod_revision)
