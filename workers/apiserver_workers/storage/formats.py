"""How each resource's objects lie in etcd: media type, version, encryption (DefaultStorageFactory's part of upstream).

Built-in objects are stored as --storage-media-type says; custom resources, CustomResourceDefinitions and APIServices
always as JSON. What is read may be of any kind that this server, another or an earlier one has written.

A watch brings back what this process has just written. So that it need not be read again, what was written is
remembered for a while by its stored bytes, which stand for the same object wherever they come from.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from apiserver_workers.apimachinery import codec, errors, protobuf, types
from apiserver_workers.apimachinery.errors import ApiError, qualified
from apiserver_workers.apimachinery.memo import Kept, size_of
from apiserver_workers.apimachinery.metrics import REGISTRY
from apiserver_workers.apimachinery.resources import SERVED_BY, catalogue
from apiserver_workers.storage import serializer
from apiserver_workers.storage.encryption.transformers import ENCRYPTED, IDENTITY, TransformError, Transformers
from apiserver_workers.storage.entry import Form, JSONEntry, StoredEntry
from apiserver_workers.storage.interface import Shape, StorageError
from apiserver_workers.storage.serializer import JSON

log = logging.getLogger(__name__)

# Own writes that the watch has not brought back yet are remembered: so many bytes together, and none that is longer.
ROOM = 4 << 20
LONGEST = 256 << 10

TRANSFORMATIONS = REGISTRY.counter(
    "apiserver_storage_transformation_operations_total",
    "Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when "
    "the transformation fails. The status, resource, and transformation_type fields can be used for alerting purposes.",
    ("resource", "status", "transformation_type", "transformer_prefix"),
)

# What lies beside the resources: its folder, the resource that encryption rules know it by, its kind.
INTERNAL = (
    ("masterleases/", "apiServerIPInfo", "Endpoints"),
    ("ranges/", "servicenodeportallocations", "RangeAllocation"),
)


class Unreadable(ApiError, StorageError):
    """A stored value that cannot be read: whoever needs it answers 500."""


def unreadable(key: str, why: object) -> Unreadable:
    """The error for the value at `key`, in upstream's words."""
    error = errors.internal_error(f'unable to transform key "{key}": {why}')
    return Unreadable(error.code, error.reason, error.message, error.details)


def _size(key: tuple[str, bytes], kept: tuple[bytes, Form]) -> int:
    return size_of(key) + len(kept[0])


UNSHAPED = "unshaped"  # in the place of a version: what lies in etcd is not as it would be written


class Format:
    """One resource's. `api_version` is that of its objects in memory, "" if any will do; `stored_version` in etcd."""

    def __init__(
        self,
        group: str,
        resource: str,
        *,
        kind: str = "",
        api_version: str = "",
        stored_version: str = "",
        media_type: str = JSON,
    ) -> None:
        self.group = group
        self.resource = resource
        self.api_version = api_version
        self.stored_version = stored_version or api_version
        self.media_type = media_type
        self.shape: Shape | None = None
        self._head = b'{"kind":"%b","apiVersion":"%b",' % (kind.encode(), api_version.encode()) if api_version else b"{"
        self._written: Kept[tuple[str, bytes], tuple[bytes, Form]] = Kept(
            size=_size, longest=LONGEST, room=ROOM, expansion=1
        )
        self.encrypt_by(IDENTITY)

    def encrypt_by(self, transformers: Transformers) -> None:
        """Use these from now on."""
        self.encryption = transformers
        # how a value begins that needs no reading
        self._plain = self._head if transformers.read_plain and self.shape is None else b""

    def shape_by(self, shape: Shape) -> None:
        """Bring what is read into shape by this from now on."""
        self.shape = shape
        self.encrypt_by(self.encryption)

    @property
    def wanted(self) -> Form:
        """The form of what is written now."""
        if self.media_type == JSON and self.stored_version == self.api_version and self.encryption.is_identity:
            return None
        return self.encryption.name, self.media_type, self.stored_version

    def entry(self, key: str, stored: bytes, mod_revision: int) -> JSONEntry:
        """The entry of what lies in etcd."""
        if self._plain and stored.startswith(self._plain):
            return JSONEntry(key, stored, mod_revision)
        found = StoredEntry(key, stored, mod_revision, self)
        if known := self._written.pop((key, stored), None):
            found.take(*known)
        return found

    def write(self, key: str, value: bytes) -> bytes:
        """What is put into etcd for an object's JSON."""
        wanted = self.wanted
        if wanted is None:
            return value
        data = value
        if self.media_type != JSON or self.stored_version != self.api_version:
            obj = serializer.parse(value, JSON)
            data = serializer.serialize(serializer.in_version(obj, self.stored_version), self.media_type)
        stored = self.encryption.encrypt(data, key.encode())
        self._count("to_storage", self.encryption.name)
        self._written.keep((key, stored), (value, wanted))
        return stored

    def read(self, key: str, stored: bytes) -> tuple[bytes, Form]:
        """An object's JSON out of what lies in etcd, and how it lay there. Raises Unreadable."""
        try:
            data, name = self.encryption.decrypt(stored, key.encode())
            self._count("from_storage", name)
            media_type = serializer.recognise(data)
            if self.shape is not None:
                return self._shaped(data, media_type, name)
            if data.startswith(self._head):
                return data, (name, JSON, self.api_version)
            obj = serializer.parse(data, media_type)
            found = obj.get("apiVersion", "")
            if self.api_version and found != self.api_version:
                obj = serializer.in_version(obj, self.api_version)
            return serializer.serialize(obj, JSON), (name, media_type, found)
        except (TransformError, protobuf.ProtobufError, codec.DecodeError, ValueError, KeyError) as error:
            if isinstance(error, TransformError):
                self._count("from_storage", stored, "Unknown")
            log.error("the value at %s cannot be read: %s", key, type(error).__name__)
            raise unreadable(key, error) from error

    def _shaped(self, data: bytes, media_type: str, name: bytes) -> tuple[bytes, Form]:
        """A value in its shape. What was in it already lies in etcd as it would be written now."""
        assert self.shape is not None
        obj = serializer.parse(data, media_type)
        before = serializer.parse(data, media_type)
        self.shape(obj)
        if obj != before or media_type != JSON:
            return codec.encode(obj), (name, media_type, UNSHAPED)
        plain = self.encryption.is_identity and name == self.encryption.name
        return data, None if plain else (name, JSON, self.api_version)

    def _count(self, direction: str, name: bytes, status: str = "OK") -> None:
        """Count a transformation by the provider that `name` begins with; plain data are not transformed."""
        if name.startswith(ENCRYPTED):
            provider = ":".join(name.decode(errors="replace").split(":", 4)[:4]) + ":"
            TRANSFORMATIONS.inc((qualified(self.resource, self.group), status, direction, provider))


class _Raw(Format):
    """What lies beside the objects, and is kept as it is."""

    def entry(self, key: str, stored: bytes, mod_revision: int) -> JSONEntry:
        return JSONEntry(key, stored, mod_revision)


RAW = _Raw("", "")


class Formats:
    """The formats of all resources below `prefix`. Raises ValueError for storage versions that do not exist."""

    def __init__(
        self,
        prefix: str = "/registry",
        *,
        media_type: str = JSON,
        storage_versions: str = "",
    ) -> None:
        self._root = prefix.rstrip("/") + "/"
        self._rules: Mapping[tuple[str, str], Transformers] = {}
        self.digest = ""  # of the file that the rules of encryption come from
        self._formats: dict[str, Format] = {}
        self._passing: set[str] = set()  # folders of resources that are not built in
        for folder, found in _builtin(media_type, parse_storage_versions(storage_versions)):
            self._add(folder, found)

    def use(self, rules: Mapping[tuple[str, str], Transformers], digest: str = "") -> None:
        """Encrypt by these rules from now on."""
        self._rules, self.digest = rules, digest
        for found in self._formats.values():
            found.encrypt_by(self._encryption(found))

    def entry(self, key: str, stored: bytes, mod_revision: int) -> JSONEntry:
        """The entry of what lies in etcd at a key."""
        return self.of(key).entry(key, stored, mod_revision)

    def write(self, key: str, value: bytes) -> bytes:
        """What is put into etcd at a key for an object's JSON."""
        return self.of(key).write(key, value)

    def stale(self, entry: JSONEntry) -> bool:
        """Whether the entry lies in etcd otherwise than it would be written now. Raises Unreadable."""
        return entry.form != self.of(entry.key).wanted

    def of(self, key: str) -> Format:
        """The format of the object at a key: by its first folder (pods), or its first two (services/specs)."""
        start = len(self._root)
        if not key.startswith(self._root):
            return RAW
        first = key.find("/", start) + 1
        found = self._formats.get(key[start:first])
        if found is None:
            folder = key[start : key.find("/", first) + 1]
            found = self._formats.get(folder)
            if found is None:
                found = self._unknown(folder, key[start:first])
        return found

    def shape(self, prefix: str, shape: Shape) -> None:
        """Bring what is read below a resource's prefix into shape."""
        self.of(prefix).shape_by(shape)

    def forget(self, prefix: str) -> None:
        """Drop the format of a resource that is not built in; what is read there later gets one again."""
        folder = prefix.removeprefix(self._root)
        if folder in self._passing:
            self._passing.discard(folder)
            del self._formats[folder]

    def _unknown(self, folder: str, first: str) -> Format:
        """A custom resource, which lies below its group; anything else is JSON too."""
        parts = folder.split("/")
        below_group = len(parts) == 3 and "." in parts[0]
        found = Format(parts[0], parts[1]) if below_group else Format("", first.rstrip("/"))
        place = folder if below_group else first
        self._passing.add(place)
        return self._add(place, found)

    def _add(self, folder: str, found: Format) -> Format:
        found.encrypt_by(self._encryption(found))
        self._formats[folder] = found
        return found

    def _encryption(self, found: Format) -> Transformers:
        """The rule for a resource: its own, its group's, everybody's, none."""
        rules = self._rules
        for rule in ((found.group, found.resource), (found.group, "*"), ("*", "*")):
            if rule in rules:
                return rules[rule]
        return IDENTITY


def _builtin(media_type: str, versions: Mapping[str, str]) -> Iterable[tuple[str, Format]]:
    taken = set()
    kinds = types.model().schemas.kinds
    # kinds that this Kubernetes version has go before those that have another shape elsewhere
    for info in sorted(catalogue().values(), key=lambda info: (info.group, info.version, info.kind) not in kinds):
        if info.stored_as != (info.group, info.version) or "update" not in info.verbs or info.storage_prefix in taken:
            continue
        if types.model().find(info.group, info.version, info.kind) is None:
            continue  # the Kubernetes version that is served has the resource in another version, or not at all
        taken.add(info.storage_prefix)
        api_version = info.group_version
        yield (
            f"{info.storage_prefix}/",
            Format(
                info.group,
                info.resource,
                kind=info.kind,
                api_version=api_version,
                stored_version=_stored_version(info.kind, versions.get(info.group, ""), api_version),
                media_type=JSON if info.group in SERVED_BY else media_type,
            ),
        )
    for folder, resource, kind in INTERNAL:
        yield folder, Format("", resource, kind=kind, api_version="v1", media_type=media_type)


def _stored_version(kind: str, wanted: str, present: str) -> str:
    """The version that --storage-versions asks for, if it has the kind."""
    group, _, version = wanted.rpartition("/")
    return wanted if wanted and types.model().find(group, version, kind) is not None else present


def parse_storage_versions(text: str) -> dict[str, str]:
    """--storage-versions by group: `group/version`, or `group=other/version` for objects that are stored in another
    group. Raises ValueError naming the entry.
    """
    found = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        group, moved, target = entry.rpartition("=")
        if target.count("/") > 1 or not target.rpartition("/")[2]:
            raise ValueError(f"unexpected GroupVersion string: {target}")
        found[group if moved else target.rpartition("/")[0]] = target.lstrip("/")
    return found
