"""One OpenAPI document in all its forms, each made when it is first asked for.

Building takes tens of milliseconds, so it is done in a thread. The hash is that of the content: clients that are told the
hash of a document may keep what they have read for good.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable

from isal import igzip

from apiserver_workers.server.http.messages import JSON

GZIP_LEVEL = 2


class OpenAPIDocument:
    """A document that `build` makes as JSON and `encode` turns into another media type."""

    def __init__(self, build: Callable[[], bytes], encode: Callable[[bytes], bytes]) -> None:
        self._build = build
        self._encode = encode
        self.made = time.time()  # Unix time
        self._digest = ""
        self._bodies: dict[tuple[str, bool], asyncio.Future[bytes]] = {}

    async def digest(self) -> str:
        """The SHA-512 of the document's JSON, which need not be kept for it."""
        if not self._digest:
            made = self._bodies.get((JSON, False))
            body = await (asyncio.to_thread(self._build) if made is None else asyncio.shield(made))
            self._digest = hashlib.sha512(body).hexdigest().upper()
        return self._digest

    async def body(self, media_type: str, *, zipped: bool = False) -> bytes:
        """The document in a media type; requests that come while it is made wait for the same."""
        key = (media_type, zipped)
        body = self._bodies.get(key)
        if body is None:
            body = self._bodies[key] = asyncio.ensure_future(self._make(media_type, zipped))
        try:
            return await asyncio.shield(body)
        except Exception:
            self._bodies.pop(key, None)
            raise

    async def _make(self, media_type: str, zipped: bool) -> bytes:
        if zipped:
            return await asyncio.to_thread(igzip.compress, await self.body(media_type), GZIP_LEVEL)
        if media_type == JSON:
            return await asyncio.to_thread(self._build)
        return await asyncio.to_thread(self._encode, await self.body(JSON))
