"""A filled object of every built-in kind, as JSON and as protobuf (tests/data/README.md)."""

from __future__ import annotations

import base64
import functools
import json
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data" / "kinds.json.xz"


@dataclass(frozen=True)
class Filled:
    """One kind's object; never change it."""

    object: dict[str, Any]
    protobuf: bytes

    @property
    def gvk(self) -> tuple[str, str, str]:
        """Group, version and kind; a watch event has them only in its file's name."""
        group, _, version = self.object.get("apiVersion", "v1").rpartition("/")
        return group, version, self.object.get("kind", "WatchEvent")


@functools.cache
def kinds() -> dict[str, Filled]:
    """The objects by GROUP.VERSION.KIND."""
    held = json.loads(lzma.decompress(DATA.read_bytes()))
    return {name: Filled(one["object"], base64.b64decode(one["protobuf"])) for name, one in held.items()}
