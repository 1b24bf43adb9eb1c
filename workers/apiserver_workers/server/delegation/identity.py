"""How the front tells the workers behind it who asks: one internal header, trusted by where it comes from.

A worker group's socket lies in a 0700 folder and the peer's uid is checked, so only processes of this server can
connect. The front drops every header that starts with PREFIX from clients' requests before it adds its own.
"""

from __future__ import annotations

import json

from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.filters.request_body import read_body
from apiserver_workers.server.http.messages import Handler, Request, Response
from apiserver_workers.server.http.request_info import request_info

PREFIX = "x-apiserver-internal-"
USER_HEADER = PREFIX + "user"
IMPERSONATOR_HEADER = PREFIX + "impersonator"
CLIENT_HEADER = PREFIX + "client"  # the client's address, with what goes on to nodes and pods


@memoized
def decode_user(value: str) -> UserInfo:
    """The user that `encode_user` wrote. Equal headers give the same object."""
    name, uid, groups, extra = json.loads(value)
    return UserInfo(name=name, uid=uid, groups=tuple(groups), extra=extra)


def encode_user(user: UserInfo) -> str:
    """The header's value: ASCII JSON, so that no name can break the framing."""
    return json.dumps([user.name, user.uid, user.groups, user.extra], separators=(",", ":"))


def behind_the_front(handler: Handler) -> Handler:
    """A handler for requests that the front has authenticated: with their RequestInfo and the user it found.

    Such requests come over inner connections only, whose peer has been checked by the protocol.
    """

    async def handle(request: Request) -> Response:
        request.info = request_info(request.method, request.path, request.raw_query)
        user = request.headers.get(USER_HEADER)
        if user is not None:
            request.user = decode_user(user)
        request.client = request.headers.get(CLIENT_HEADER, "")
        if request.upload is not None:
            await read_body(request)
        return await handler(request)

    return handle
