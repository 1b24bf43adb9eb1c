"""The headers by which the processes of one server talk about a request, both ways, and what they say.

| header (behind PREFIX) | from | says |
|---|---|---|
| user | front | who asks, as the front has authenticated (and impersonated) |
| impersonator | front | who asks in that user's place |
| client | front | the client's address, with what goes on to nodes and pods |
| watch | worker | where a watch begins, and how it may be shared and opened again |

They count only between processes of one server: a worker group's socket lies in a 0700 folder, and the peer's uid is
checked. The front drops every header that starts with PREFIX from clients' requests before it adds its own, and takes a
worker's off before the answer goes to the client.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.http.messages import Request

PREFIX = "x-apiserver-internal-"
USER_HEADER = PREFIX + "user"
IMPERSONATOR_HEADER = PREFIX + "impersonator"
CLIENT_HEADER = PREFIX + "client"
WATCH_HEADER = "X-Apiserver-Internal-Watch"
_WATCH_LINE = b"\r\n%b: " % WATCH_HEADER.encode()


# ---- front to worker


def encode_user(user: UserInfo) -> str:
    """The header's value: ASCII JSON, so that no name can break the framing."""
    return json.dumps([user.name, user.uid, user.groups, user.extra], separators=(",", ":"))


@memoized
def decode_user(value: str) -> UserInfo:
    """The user that `encode_user` wrote. Equal headers give the same object."""
    name, uid, groups, extra = json.loads(value)
    return UserInfo(name=name, uid=uid, groups=tuple(groups), extra=extra)


def identity_lines(user: UserInfo | None, impersonator: UserInfo | None) -> bytes:
    """The header lines, each with a CRLF before it, that tell who asks."""
    lines = b""
    for header, identity in ((USER_HEADER, user), (IMPERSONATOR_HEADER, impersonator)):
        if identity is not None:
            lines += f"\r\n{header}: {encode_user(identity)}".encode("ascii")
    return lines


def client_line(client: str) -> bytes:
    """The header line, with a CRLF before it, that tells the client's address."""
    return f"\r\n{CLIENT_HEADER}: {client}".encode("ascii")


def take_identity(request: Request) -> None:
    """Set what the front says of a request. For inner connections only, whose peer the protocol has checked."""
    user = request.headers.get(USER_HEADER)
    if user is not None:
        request.user = decode_user(user)
    request.client = request.headers.get(CLIENT_HEADER, "")


# ---- worker to front


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
        return WATCH_HEADER, ",".join(str(int(part)) for part in self)

    def resume_after(self, version: int) -> int:
        """The revision at which a watch goes on after an ADDED event; 0 if that may not be the last initial one."""
        return max(version, self.revision) if version > self.revision or version == self.last else 0


UNKNOWN = Opening(0, initial=True)


def take_opening(head: bytes) -> tuple[bytes, Opening]:
    """An answer's head without that header, and what it says; UNKNOWN if the answer has none."""
    opening = opening_of(head)
    if opening is UNKNOWN:
        return head, opening
    before, _, rest = head.partition(_WATCH_LINE)
    return before + b"\r\n" + rest.partition(b"\r\n")[2], opening


def opening_of(head: bytes) -> Opening:
    """What an answer's head says of the watch; UNKNOWN if nothing."""
    _, line, rest = head.partition(_WATCH_LINE)
    if not line:
        return UNKNOWN
    revision, last, initial, shareable, timeout = map(int, rest.partition(b"\r\n")[0].split(b","))
    return Opening(revision, last, bool(initial), bool(shareable), timeout)
