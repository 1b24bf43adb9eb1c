"""SETTINGS frames: ours, and those of clients (RFC 9113, section 6.5.2)."""

from __future__ import annotations

from apiserver_workers.server.http.http1 import MAX_HEAD
from apiserver_workers.server.http2.errors import FLOW_CONTROL_ERROR, PROTOCOL_ERROR, ConnectionFault
from apiserver_workers.server.http2.receiving import BODY_WINDOW
from apiserver_workers.storage.transport.frames import (
    DEFAULT_FRAME_SIZE,
    ENABLE_PUSH,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_WINDOW,
    setting,
    settings,
)

MAX_HEADER_LIST_SIZE = 6  # a setting

# What values may be, and what it is if they are not.
LIMITS = {
    ENABLE_PUSH: (0, 1, PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: (0, MAX_WINDOW, FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: (DEFAULT_FRAME_SIZE, (1 << 24) - 1, PROTOCOL_ERROR),
}


def own_settings(streams: int) -> bytes:
    """What clients are told: how many streams they may have, and how much they may send."""
    return settings({MAX_CONCURRENT_STREAMS: streams, INITIAL_WINDOW_SIZE: BODY_WINDOW, MAX_HEADER_LIST_SIZE: MAX_HEAD})


def read_settings(payload: bytes, window: int) -> int:
    """The window of streams that the client sets, `window` if it does not. Everything else that may be set is of no
    consequence here: answers have no compression state and frames of the default size. Raises ConnectionFault."""
    for name, value in setting.iter_unpack(payload):
        limits = LIMITS.get(name)
        if limits is not None and not limits[0] <= value <= limits[1]:
            raise ConnectionFault(limits[2], "a setting that may not be")
        if name == INITIAL_WINDOW_SIZE:
            window = value
    return window
