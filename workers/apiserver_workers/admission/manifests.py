"""Objects of admission that come from a folder of files instead of the API (ManifestBasedAdmissionControlConfig).

They are in force from the first request on, cannot be changed through the API, and are evaluated for policies and bindings
too. A folder that changes is read again; if what it has then is not sound, what was read before stays.

Upstream: apiserver/pkg/admission/plugin/manifest, plugin/policy/config.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.server.config_file import decode_document, load_document

Object = dict[str, Any]
Stamps = tuple[tuple[str, int, int, int], ...]

GATE = "ManifestBasedAdmissionControlConfig"
SUFFIX = ".static.k8s.io"
CONFIG_VERSION = "apiserver.config.k8s.io/v1"
ENDINGS = (".yaml", ".yml", ".json")


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
