"""Who a request comes from, as aggregated servers are told (client-go/transport.SetAuthProxyHeaders).

The headers count because the connection is made with the proxy client certificate, which those servers know.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.apimachinery.user import UserInfo

MASTERS = UserInfo("system:kube-aggregator", groups=("system:masters",))
NOBODY = UserInfo("system:kube-aggregator")
OPENAPI = UserInfo("system:aggregator")

USER, UID, GROUP, EXTRA = "X-Remote-User", "X-Remote-Uid", "X-Remote-Group", "X-Remote-Extra-"
_ILLEGAL = re.compile(rb"[^!#$&'*+\-.^_`|~0-9A-Za-z]")
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Unsendable(Exception):
    """A user whose name or other part can be no header's value."""


def identity_lines(user: UserInfo) -> bytes:
    """The header lines, each with a CRLF before it. Raises Unsendable."""
    with_uid = feature_gates.enabled("RemoteRequestHeaderUID")
    lines = []
    for name, value in _headers(user, with_uid):
        if _UNSENDABLE.search(value):
            raise Unsendable(f'net/http: invalid header field value for "{name}"')
        lines.append(f"\r\n{name}: {value}")
    return "".join(lines).encode("utf-8", "replace")


def _headers(user: UserInfo, with_uid: bool) -> Iterator[tuple[str, str]]:
    yield USER, user.name
    if with_uid and user.uid:
        yield UID, user.uid
    for group in user.groups:
        yield GROUP, group
    for key, values in user.extra.items():
        for value in values:
            yield EXTRA + escaped_key(key), value


@memoized
def escaped_key(key: str) -> str:
    """A key of a user's extra values as a part of a header's name."""
    return _ILLEGAL.sub(lambda match: b"%%%02X" % match[0][0], key.encode()).decode()
