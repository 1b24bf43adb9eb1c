"""APIResponseCompression: large answers of the API are sent as gzip to clients that accept it.

As upstream's deferredResponseWriter: whoever names plain `gzip` in Accept-Encoding gets it (with a quality, even q=1, it
does not count), if the whole answer is above 128 KiB. Streams are never compressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from isal import isal_zlib

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.server.endpoints.negotiation import MEDIA_TYPES
from apiserver_workers.server.http.messages import Request, Response

THRESHOLD = 128 * 1024
OFF_THE_LOOP = 1024 * 1024  # what is larger is compressed in a thread, so that others are served meanwhile
LEVEL = 1
GZIP = 31  # window bits, and a gzip head
HEADERS = (("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding"))


@memoized
def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the header names gzip without any parameter."""
    return any(token.strip() == "gzip" for token in accept_encoding.split(","))


async def compressed(request: Request, response: Response) -> Response:
    """The answer, compressed if it is large and the client takes that."""
    parts = _parts(response)
    size = sum(map(len, parts))
    if size <= THRESHOLD or not accepts_gzip(request.headers.get("accept-encoding", "")):
        return response
    if not feature_gates.enabled("APIResponseCompression"):
        return response
    body = _gzip(parts) if size <= OFF_THE_LOOP else await asyncio.to_thread(_gzip, parts)
    return Response(response.status, body, response.content_type, (*response.headers, *HEADERS))


def _parts(response: Response) -> Sequence[bytes]:
    """The body's segments; none of an answer that is a stream, comes from elsewhere, or is no object."""
    if response.wire or response.content_type not in MEDIA_TYPES:
        return ()
    body = response.body
    if isinstance(body, bytes):
        return (body,)
    return body if isinstance(body, list | tuple) else ()


def _gzip(parts: Sequence[bytes]) -> bytes:
    # As a whole: the same bytes in every worker, so that another one can go on with an answer that broke off.
    return isal_zlib.compress(b"".join(parts), LEVEL, wbits=GZIP)
