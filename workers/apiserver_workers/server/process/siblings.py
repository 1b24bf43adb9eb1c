"""Asking all workers of this server, each on its private socket, for what only it knows or can do."""

from __future__ import annotations

import asyncio
from pathlib import Path

FOLDER = "workers"


async def ask_workers(
    run_dir: str | Path, method: str, target: str, *, timeout: float, role: str = ""
) -> dict[str, bytes]:
    """The bodies of the answers of those that answer 200 in time, by the worker's name such as core-1234; `role` is how
    their names begin."""
    sockets = sorted(Path(run_dir, FOLDER).glob(f"{role}*.sock"))
    answers = await asyncio.gather(
        *(asyncio.wait_for(_ask(path, method, target), timeout) for path in sockets), return_exceptions=True
    )
    return {path.stem: body for path, body in zip(sockets, answers, strict=True) if isinstance(body, bytes)}


async def _ask(path: Path, method: str, target: str) -> bytes | None:
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except ConnectionRefusedError:
        path.unlink(missing_ok=True)  # a worker that was killed
        return None
    try:
        writer.write(f"{method} {target} HTTP/1.0\r\n\r\n".encode())
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return body if head.split(b" ", 2)[1] == b"200" else None
