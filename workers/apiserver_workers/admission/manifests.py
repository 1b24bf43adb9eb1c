"""Objects of admission that come from a folder of files instead of the API (ManifestBasedAdmissionControlConfig).

They are in force from the first request on, cannot be changed through the API, and are evaluated for policies and bindings
too. A folder that changes is read again; if what it has then is not sound, what was read before stays.

Upstream: apiserver/pkg/admission/plugin/manifest, plugin/policy/config.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from apiserver_workers.admission.metrics import observe_manifests
from apiserver_workers.apimachinery import codec, feature_gates
from apiserver_workers.apimachinery.errors import invalid
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.config_file import decode_document, load_document
from apiserver_workers.server.server_id import server_id_hash

Object = dict[str, Any]
Stamps = tuple[tuple[str, int, int, int], ...]

GATE = "ManifestBasedAdmissionControlConfig"
SUFFIX = ".static.k8s.io"
CONFIG_VERSION = "apiserver.config.k8s.io/v1"
ENDINGS = (".yaml", ".yml", ".json")
CHECK_SECONDS = 1.0

T = TypeVar("T")
log = logging.getLogger(__name__)


class Manifest(NamedTuple):
    """One document of a folder, and the file that it is from."""

    file: str
    document: Any


def configured_folder(given: Any, kind: str) -> str:
    """The folder that a plugin's configuration names, "" if none. Raises ValueError."""
    if given is None:
        return ""
    document = decode_document(given, {CONFIG_VERSION: kind}, {"staticManifestsDir": str})
    folder: str = document.get("staticManifestsDir") or ""
    if folder:
        check_folder(folder)
    return folder


def check_folder(folder: str) -> None:
    """Raises ValueError for what can be no folder of manifests."""
    if not feature_gates.enabled(GATE):
        raise ValueError(
            f"staticManifestsDir: Forbidden: staticManifestsDir requires the {GATE} feature gate to be enabled"
        )
    why = ""
    if not os.path.isabs(folder):
        why = "must be an absolute file path"
    elif not os.path.exists(folder):
        why = f"unable to read: stat {folder}: no such file or directory"
    elif not os.path.isdir(folder):
        why = "must be a directory"
    if why:
        raise ValueError(f'staticManifestsDir: Invalid value: "{folder}": {why}')


def files_of(folder: str) -> list[str]:
    """The files that count, by name. Raises OSError."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if not entry.is_dir() and entry.name.lower().endswith(ENDINGS))
    return [os.path.join(folder, name) for name in names]


def stamps_of(folder: str) -> Stamps:
    """Something that is another whenever a file is; () for a folder that cannot be read."""
    try:
        found = [(file, os.stat(file)) for file in files_of(folder)]
    except OSError:
        return ()
    return tuple((file, status.st_mtime_ns, status.st_ino, status.st_size) for file, status in found)


def read_folder(folder: str) -> tuple[list[Manifest], str]:
    """All documents in the order of the files, and a hash of these. Raises OSError, ValueError."""
    found: list[Manifest] = []
    digest = hashlib.sha256()
    for file in files_of(folder):
        content = Path(file).read_bytes()
        if content:
            digest.update(content + b"\0")
            found += _documents(file, content)
    return found, f"sha256:{digest.hexdigest()}" if found else ""


def _documents(file: str, content: bytes) -> Iterator[Manifest]:
    for part in _split(content):
        try:
            document = load_document(part)
        except ValueError as error:
            raise ValueError(f"error loading {file}: {error}") from None
        if document is not None:
            yield from _items(file, document)


def _split(content: bytes) -> list[bytes]:
    """The documents of a YAML stream, as text."""
    lines = content.splitlines(keepends=True)
    parts: list[list[bytes]] = [[]]
    for line in lines:
        if line.rstrip() == b"---" or line.startswith(b"--- "):
            parts.append([])
        else:
            parts[-1].append(line)
    return [part for lines in parts if (part := b"".join(lines)).strip()]


def _items(file: str, document: Any) -> Iterator[Manifest]:
    """The document, or the items of a list."""
    kind = document.get("kind") if isinstance(document, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and isinstance(document.get("items"), list):
        head = {} if kind == "List" else {"kind": kind.removesuffix("List"), "apiVersion": document.get("apiVersion")}
        for item in document["items"]:
            yield from _items(file, {**head, **item} if isinstance(item, dict) else item)
    else:
        yield Manifest(file, document)


def check_name(name: str, file: str, seen: dict[str, str]) -> None:
    """Note an object's name, by kind of object. Raises ValueError for one that a manifest cannot have."""
    if not name:
        raise ValueError(f'resource in file "{file}" must have a name')
    if not name.endswith(SUFFIX):
        raise ValueError(f'"{name}" in file "{file}" must have a name ending with "{SUFFIX}"')
    if name in seen:
        raise ValueError(f'duplicate name "{name}" found in file "{file}" (previously seen in "{seen[name]}")')
    seen[name] = file


def accepted(document: Any, kind: ServedKind) -> Object:
    """The document as an object with its defaults. Raises ValueError for what is none of the kind, or not valid."""
    if not isinstance(document, dict) or (document.get("kind"), document.get("apiVersion")) != (
        kind.info.kind,
        kind.info.group_version,
    ):
        raise unsupported(document)
    try:
        decoded, unknown = codec.from_json(kind.type, document)
    except codec.DecodeError as error:
        raise ValueError(str(error)) from None
    if unknown:
        raise ValueError("strict decoding error: " + ", ".join(unknown))
    obj = kind.head(decoded)
    obj.setdefault("metadata", {})
    kind.default(obj)
    faults = kind.validate_create(obj)
    if isinstance(faults, list) and faults:
        raise ValueError(invalid(kind.info.kind, kind.info.group, obj["metadata"].get("name", ""), faults).message)
    return obj


def unsupported(document: Any) -> ValueError:
    """The error for a document that has no place in a folder."""
    head = document if isinstance(document, dict) else {}
    return ValueError(f"unsupported resource type {head.get('apiVersion')}, Kind={head.get('kind')}")


class WatchedFolder(Generic[T]):
    """What `load` makes of a folder, and does again when its files have changed and hold still."""

    def __init__(self, folder: str, load: Callable[[str], tuple[T, str]], what: str) -> None:
        """`load` gives also a hash of the files. Raises OSError, ValueError for what cannot be used."""
        self._folder = folder
        self._load = load
        self._what = what
        self._stamps = self._held = stamps_of(folder)
        self.value, self.digest = load(folder)

    async def follow(self, plugin: str, settings: ServerConfig) -> None:
        """Look at the files for as long as the server runs; metrics tell of that by plugin and server."""
        server = server_id_hash(settings)
        observe_manifests(plugin, server, self.digest)
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            stamps = await asyncio.to_thread(stamps_of, self._folder)
            settled, self._held = stamps == self._held, stamps
            if settled and stamps != self._stamps:
                self._stamps = stamps
                before = self.digest
                sound = await self._reload()
                if not sound or self.digest != before:
                    observe_manifests(plugin, server, self.digest, before, sound=sound)

    async def _reload(self) -> bool:
        """Whether what the files say now is in force."""
        try:
            value, digest = await asyncio.to_thread(self._load, self._folder)
        except (OSError, ValueError) as error:
            log.error("%s of %s cannot be used, what was read before stays: %s", self._what, self._folder, error)
            return False
        if digest != self.digest:
            self.value, self.digest = value, digest
            log.info("%s of %s read again", self._what, self._folder)
        return True
