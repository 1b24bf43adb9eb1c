"""--max-connection-bytes-per-sec: what goes through to nodes and pods goes no faster than that, each way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

STEPS = 10  # pieces a second


async def paced(body: AsyncIterator[bytes], rate: int) -> AsyncIterator[bytes]:
    """The body at `rate` bytes a second."""
    size = max(1, rate // STEPS)
    try:
        async for data in body:
            for start in range(0, len(data), size):
                piece = data[start : start + size]
                await asyncio.sleep(len(piece) / rate)
                yield piece
    finally:
        await body.aclose()  # type: ignore[attr-defined]
