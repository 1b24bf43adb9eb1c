"""Nobody has the event loop for long: what a client sends at once is read in turns."""

import asyncio

import hpack
import pytest
from apiserver_workers.server.http2.frame_budget import FrameBudget
from apiserver_workers.server.http2.frame_reader import AT_ONCE, FrameReader
from apiserver_workers.storage.transport.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PREFACE,
    frame,
    settings,
)

HELLO = PREFACE + settings({})


class Transport:
    def __init__(self):
        self.reads = True

    def pause_reading(self):
        self.reads = False

    def resume_reading(self):
        self.reads = True

    def is_closing(self):
        return False


class Handler:
    def __init__(self):
        self.told = []
        self.faults = []

    def on_data(self, number, data, size, *, end):
        self.told.append((number, data))

    def on_fields(self, number, fields, *, oversized, end):
        self.told.append((number, len(fields)))

    def on_settings(self, payload):
        pass

    def on_block_size(self, size):
        pass

    def on_pause(self):
        self.told.append("pause")

    def on_fault(self, fault):
        self.faults.append(fault)


@pytest.fixture
def handler():
    return Handler()


def reading(handler, transport=None):
    loop = asyncio.get_running_loop()
    return FrameReader(handler, transport or Transport(), FrameBudget(100, loop.time()), loop)


def test_many_frames(handler):
    async def run():
        transport = Transport()
        reader = reading(handler, transport)
        reader.feed(HELLO + frame(DATA, 0, 1, b"x") * (2 * AT_ONCE))
        assert handler.told.count((1, b"x")) < AT_ONCE and handler.told[-1] == "pause"
        reader.feed(bytes(70_000))
        assert not transport.reads
        for _ in range(2):
            await asyncio.sleep(0)
        assert transport.reads
        return handler.told.count((1, b"x"))

    assert asyncio.run(run()) == 2 * AT_ONCE


def test_header_blocks(handler):
    encoder = hpack.Encoder()
    blocks = [encoder.encode([(f"n{number}", "a" * 24_000)]) for number in range(5)]

    async def run():
        reader = reading(handler)
        reader.feed(HELLO + b"".join(frame(HEADERS, END_HEADERS, 1, block) for block in blocks))
        assert handler.told == [(1, 1)] * 3 + ["pause"]
        await asyncio.sleep(0)
        assert handler.told.count((1, 1)) == 5

    asyncio.run(run())


def test_what_follows_a_large_block_waits_for_it(handler):
    block = hpack.Encoder().encode([(f"n{number}", "a" * 30_000) for number in range(3)])
    pieces = [block[start : start + 16384] for start in range(0, len(block), 16384)]
    message = frame(HEADERS, 0, 1, pieces[0])
    for piece in pieces[1:]:
        message += frame(CONTINUATION, END_HEADERS if piece is pieces[-1] else 0, 1, piece)

    async def run():
        reader = reading(handler)
        reader.feed(HELLO + message + frame(DATA, 0, 1, b"body"))
        assert handler.told == ["pause"]
        while (1, b"body") not in handler.told:
            await asyncio.sleep(0.001)
        assert handler.told.index((1, 3)) < handler.told.index((1, b"body"))

    asyncio.run(run())


def test_nothing_is_told_after_the_close(handler):
    async def run():
        reader = reading(handler)
        reader.feed(HELLO + frame(DATA, 0, 1, b"x") * (2 * AT_ONCE))
        reader.close()
        told = len(handler.told)
        reader.feed(frame(DATA, 0, 1, b"x"))
        await asyncio.sleep(0)
        assert len(handler.told) == told and not handler.faults

    asyncio.run(run())
