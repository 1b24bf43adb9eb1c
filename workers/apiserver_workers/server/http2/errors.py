"""What is wrong with a client's frames, with RFC 9113's code for it (section 7)."""

from __future__ import annotations

NO_ERROR = 0x0
PROTOCOL_ERROR = 0x1
INTERNAL_ERROR = 0x2
FLOW_CONTROL_ERROR = 0x3
STREAM_CLOSED = 0x5
FRAME_SIZE_ERROR = 0x6
REFUSED_STREAM = 0x7
CANCEL = 0x8
COMPRESSION_ERROR = 0x9
ENHANCE_YOUR_CALM = 0xB
INADEQUATE_SECURITY = 0xC


class ConnectionFault(Exception):
    """The connection cannot go on: GOAWAY with this code and text, then it closes."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class StreamFault(Exception):
    """One stream cannot go on: RST_STREAM with this code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
