"""Entries: stored bytes that answer a GET nearly as they are, and are parsed only when somebody needs the fields.

What lies in etcd as plain JSON of the version that this server works with is its own value. Anything else (protobuf,
YAML, an encrypted value, another version) is read when somebody asks for the value, and that is kept instead.
"""

from __future__ import annotations

from typing import Any, Protocol

import orjson

METADATA, UID = b'"metadata":{', b'"uid":"'

# How a value lies in etcd: who encrypted it, its media type and its apiVersion. None is plain JSON as it is in memory.
Form = tuple[Any, str, str] | None


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
    """An entry whose value lies in etcd as it is."""

    __slots__ = ("_obj", "key", "mod_revision", "value")

    def __init__(self, key: str, value: bytes, mod_revision: int) -> None:
        self.key = key
        self.value = value
        self.mod_revision = mod_revision
        self._obj: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes in etcd."""
        return len(self.value)

    @property
    def form(self) -> Form:
        """How the value lies in etcd."""
        return None

    @property
    def body(self) -> bytes:
        """The value with the resourceVersion among the metadata."""
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
            obj = orjson.loads(self.value)
            metadata = {"resourceVersion": str(self.mod_revision)}
            metadata.update(obj.get("metadata") or {})
            obj["metadata"] = metadata
            self._obj = obj
        return obj

    def at(self, revision: int) -> JSONEntry:
        """The same state under another revision, as a deletion reports it."""
        return JSONEntry(self.key, self.value, revision)

    def __repr__(self) -> str:
        return f"<{self.key} @{self.mod_revision}>"


class Reader(Protocol):
    """What makes JSON of stored bytes."""

    def read(self, key: str, stored: bytes) -> tuple[bytes, Form]:
        """The value, and how it lay in etcd. Raises Unreadable."""
        ...


class StoredEntry(JSONEntry):
    """An entry whose value must be read first; whoever asks for it gets Unreadable when that cannot be done."""

    __slots__ = ("_form", "_reader", "_size", "_stored")

    def __init__(self, key: str, stored: bytes, mod_revision: int, reader: Reader) -> None:
        self.key = key
        self.mod_revision = mod_revision
        self._obj = None
        self._stored = stored
        self._size = len(stored)
        self._reader = reader
        self._form: Form = None

    def __getattr__(self, name: str) -> bytes:
        """Fill the slot `value`, which is empty until it is first asked for."""
        if name != "value":
            raise AttributeError(name)
        self.take(*self._reader.read(self.key, self._stored))
        return self.value

    def take(self, value: bytes, form: Form) -> None:
        """This is the value, and that is how it lies in etcd."""
        self.value, self._form = value, form
        self._stored = b""

    @property
    def size(self) -> int:
        """Bytes that it takes in etcd."""
        return self._size

    @property
    def form(self) -> Form:
        """How the value lies in etcd."""
        self.value  # noqa: B018
        return self._form

    def at(self, revision: int) -> JSONEntry:
        """The same state under another revision, as a deletion reports it."""
        other = StoredEntry(self.key, self._stored, revision, self._reader)
        other._size, other._form = self._size, self._form
        if not self._stored:
            other.value = self.value
        return other
