"""What a write answers with."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.storage.entry import with_revision


class Result:
    """An object as bytes and, when somebody needs the fields, parsed. Never change `obj`."""

    __slots__ = ("_obj", "body")

    def __init__(self, body: bytes, obj: dict[str, Any] | None = None) -> None:
        self.body = body
        self._obj = obj

    @property
    def obj(self) -> dict[str, Any]:
        if self._obj is None:
            self._obj = orjson.loads(self.body)
        return self._obj


def stored(value: bytes, revision: int) -> Result:
    """A value as it was just stored, with its resourceVersion."""
    body = with_revision(value, revision)
    assert body is not None, "objects are encoded with their metadata first"
    return Result(body)
