"""Whoever watches or asks does not notice that all workers are replaced, again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiserver_workers.server.process.children import memory

from tests.e2e.connection import Client
from tests.running import RunningServer

GROUPS = ("core", "aggregator", "extensions")
WATCHES, ROLLS = 200, 6
PATH = "/api/v1/namespaces/default/configmaps"
EVENTS_WITHIN = 30.0
GROWTH = 1.25  # of the front's memory while nothing but restarts happens


class Watches:
    """Many idle watches on connections of their own, half of them each with a selector of its own."""

    def __init__(self, server: RunningServer, number: int, version: str) -> None:
        self._server, self._number, self._version = server, number, version
        self.ended: list[int] = []
        self.seen = [0] * number
        self.open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._all(),), daemon=True)
        self._thread.start()

    async def _all(self) -> None:
        self._stop = asyncio.Event()
        tls = self._server.admin_tls()
        tasks = [asyncio.create_task(self._watch(number, tls)) for number in range(self._number)]
        await self._stop.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, number: int, tls: object) -> None:
        host, _, port = self._server.url.removeprefix("https://").partition(":")
        selector = f"&labelSelector=for%21%3D{number}" if number % 2 else ""
        reader, writer = await asyncio.open_connection(host, int(port), ssl=tls)  # type: ignore[arg-type]
        try:
            head = f"GET {PATH}?watch=true&resourceVersion={self._version}{selector} HTTP/1.1\r\nHost: x\r\n\r\n"
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in answer, answer
            self.open += 1
            while line := await reader.readline():
                if line == b"0\r\n":
                    break
                self.seen[number] += line.startswith(b"{")
        finally:
            self.ended.append(number)
            writer.transport.abort()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


@contextlib.contextmanager
def asking(server: RunningServer) -> Iterator[list[str]]:
    """A client that reads and writes all the time on connections that it keeps; what failed."""
    failed: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        client, number = Client(server), 0
        while not stop.wait(0.02):
            number += 1
            for method, path, body in (
                ("GET", PATH, None),
                ("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": f"asked-{number}"}}),
                ("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", None),
            ):
                status, _ = client.ask(method, path, body)
                if status not in (200, 201):
                    failed.append(f"{method} {path}: {status}")

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join(15)


def restart_again_and_again(server: RunningServer, watches: int, rolls: int) -> tuple[int, int]:
    """Roll the groups in turn under many watches; the front's memory before and after. Raises AssertionError."""
    version = json.loads(server.request("GET", PATH)[1])["metadata"]["resourceVersion"]
    (front,) = server.processes("aggregator worker")
    held = Watches(server, watches, version)
    try:
        until = time.monotonic() + 60
        while held.open < watches:
            assert time.monotonic() < until and not held.ended, f"{held.open} of {watches} watches are open"
            time.sleep(0.05)
        with asking(server) as failed:
            server.command("restart", "core")
            before = memory(front)
            for number in range(rolls):
                server.command("restart", GROUPS[number % len(GROUPS)])
            after = memory(front)
        assert failed == []
        assert held.ended == []
        assert front in server.processes("aggregator retired worker")
        assert server.request("POST", PATH, {"metadata": {"name": "at-last"}}, timeout=30)[0] == 201
        until = time.monotonic() + EVENTS_WITHIN
        while held.seen != [1] * watches and time.monotonic() < until:
            time.sleep(0.05)
        assert held.seen == [1] * watches
        return before, after
    finally:
        held.close()


@pytest.mark.e2e
def test_no_watch_is_lost_no_request_fails_and_the_front_does_not_grow(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10") as server:
        before, after = restart_again_and_again(server, WATCHES, ROLLS)
        assert after < before * GROWTH, f"{before >> 20} MiB became {after >> 20} MiB"
        server.command("reload")
        assert server.stop() == 0
