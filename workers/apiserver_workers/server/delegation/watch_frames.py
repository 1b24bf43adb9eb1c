"""What a watch's bytes say: whole HTTP chunks, the events in them, and the resourceVersions of those."""

from __future__ import annotations

from typing import Any, NamedTuple

import orjson

END = b"0\r\n\r\n"
OPENING_HEADER = "X-Apiserver-Internal-Watch"
_OPENING_LINE = b"\r\n%b: " % OPENING_HEADER.encode()


class Opening(NamedTuple):
    """What a worker says of a watch that it opened. All that the front knows of a watch's position is this and the
    events: it never reads a client's query for it, because two readers of one query may disagree.

    The watch tells all events after `revision`. If `initial`, it begins with the state at `revision`, in any order, and
    the object of the resourceVersion `last` ends that state; `last` is 0 if there is none, or if a bookmark ends it.
    A watch is `shareable` if it differs only by its revision from others with the same path, fields and form.
    `timeout`: the seconds that the client asked for, 0 if it did not.
    """

    revision: int
    last: int = 0
    initial: bool = False
    shareable: bool = False
    timeout: int = 0

    def header(self) -> tuple[str, str]:
        """The header that tells the front."""
        return OPENING_HEADER, ",".join(str(int(part)) for part in self)

    def resume_after(self, version: int) -> int:
        """The revision at which a watch goes on after an ADDED event; 0 if that may not be the last initial one."""
        return max(version, self.revision) if version > self.revision or version == self.last else 0


UNKNOWN = Opening(0, initial=True)


def take_opening(head: bytes) -> tuple[bytes, Opening]:
    """An answer's head without that header, and what it says; UNKNOWN if the answer has none."""
    opening = opening_of(head)
    if opening is UNKNOWN:
        return head, opening
    before, _, rest = head.partition(_OPENING_LINE)
    return before + b"\r\n" + rest.partition(b"\r\n")[2], opening


def opening_of(head: bytes) -> Opening:
    """What an answer's head says of the watch; UNKNOWN if nothing."""
    _, line, rest = head.partition(_OPENING_LINE)
    if not line:
        return UNKNOWN
    revision, last, initial, shareable, timeout = map(int, rest.partition(b"\r\n")[0].split(b","))
    return Opening(revision, last, bool(initial), bool(shareable), timeout)


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
