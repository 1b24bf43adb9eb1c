"""What a watch's bytes say: whole HTTP chunks, the events in them, and the resourceVersions of those."""

from __future__ import annotations

from typing import Any

import orjson

END = b"0\r\n\r\n"


def chunk(payload: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def whole_chunks(data: bytes) -> tuple[int, slice]:
    """Where the whole chunks at the beginning of `data` end, and where the last one's payload lies.

    The empty chunk that ends a body does not count.
    """
    position, size, last = 0, len(data), slice(0, 0)
    while position < size:
        line_end = data.find(b"\r\n", position)
        if line_end < 0:
            break
        start = line_end + 2
        end = start + int(data[position:line_end], 16)
        if end == start or end + 2 > size:
            break
        last = slice(start, end)
        position = end + 2
    return position, last


def last_event(payload: bytes) -> dict[str, Any] | None:
    """The last event of a chunk's payload; None if it cannot be told, as in a pretty-printed stream."""
    try:
        event: dict[str, Any] = orjson.loads(payload.rstrip().rpartition(b"\n")[2])
    except orjson.JSONDecodeError:
        return None
    return event


def version_of(event: dict[str, Any] | None) -> str:
    """The resourceVersion of an event's object, "" if it has none. A Table without one has that of its row."""
    obj = event.get("object", {}) if event else {}
    version = obj.get("metadata", {}).get("resourceVersion", "")
    if not version and obj.get("rows"):
        version = obj["rows"][-1].get("object", {}).get("metadata", {}).get("resourceVersion", "")
    return str(version)


def after(region: bytes, version: int) -> tuple[bytes, bool]:
    """Of some whole chunks those events that are newer than `version`, and whether there are any.

    From the first newer event on everything is.
    """
    position = 0
    while position < len(region):
        line_end = region.index(b"\r\n", position)
        start = line_end + 2
        end = start + int(region[position:line_end], 16)
        offset = start
        for line in region[start:end].splitlines(keepends=True):
            text = version_of(orjson.loads(line))
            if not text or int(text) > version:
                rest = region[end + 2 :]
                return (region[position:] if offset == start else chunk(region[offset:end]) + rest), True
            offset += len(line)
        position = end + 2
    return b"", False
