"""Measure a server of one's own: start, requests, watches, memory, stop. Prints a table with the budget beside each."""

from __future__ import annotations

import argparse
import asyncio
import socket
import tempfile
from pathlib import Path

import uvloop
from server import PARTS, Server
from workloads import Bench, Figure

READY_SECONDS, STOP_SECONDS, MEMORY_MB = 1.5, 2.0, 230
STOP_WATCHES = 100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--objects", type=int, default=5000, help="ConfigMaps to create and list")
    parser.add_argument("--requests", type=int, default=2000, help="requests of each other kind")
    parser.add_argument("--clients", type=int, default=16, help="connections that send requests")
    parser.add_argument("--watchers", type=int, nargs="*", default=[100, 1000], help="watchers of each fan-out")
    parser.add_argument("--events", type=int, default=100, help="writes of each fan-out")
    parser.add_argument("--http2", action="store_true", help="let the connections be streams of HTTP/2")
    parser.add_argument("option", nargs="*", help="options for the server, after --")
    return parser.parse_args()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def heading(unit: str) -> None:
    print("\n" + f"{unit:32}" + "".join(f"{part:>12}" for part in (*PARTS, "all", "budget")))


def row(figure: Figure, scale: float, digits: int) -> None:
    cells = [figure.cpu[part] * scale for part in PARTS] + [sum(figure.cpu.values()) * scale]
    text = "".join(f"{cell:12.{digits}f}" for cell in cells)
    budget = "" if figure.budget is None else f"{figure.budget * scale:12.{digits}f}"
    print(f"{figure.name:32}{text}{budget}", flush=True)


def line(name: str, value: float, unit: str, budget: float) -> None:
    print(f"{name:44}{value:10.2f} {unit:4} budget {budget:g}", flush=True)


async def load(server: Server, options: argparse.Namespace) -> None:
    bench = Bench(server, options.clients, http2=options.http2)
    heading("CPU ms a request")
    for figure in await bench.requests(options.objects, options.requests):
        row(figure, 1, 3)
    heading("CPU µs an event")
    for watchers in options.watchers:
        row(await bench.fan_out(watchers, options.events), 1000, 1)


async def stop_with_watches(server: Server) -> float:
    watches = await Bench(server, 1).watches(STOP_WATCHES)
    seconds = await asyncio.to_thread(server.stop)
    for watch in watches:
        watch.close()
    return seconds


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = Server(Path(folder), free_port(), options.option)
        line("ready, from an empty data folder", server.start(), "s", READY_SECONDS)
        line("memory (PSS) when ready", server.memory().total() / 1e6, "MB", MEMORY_MB)
        try:
            uvloop.run(load(server, options))
            print()
            line(f"memory (PSS) with {options.objects} objects", server.memory().total() / 1e6, "MB", MEMORY_MB)
        finally:
            line(f"stop, {STOP_WATCHES} watches open", uvloop.run(stop_with_watches(server)), "s", STOP_SECONDS)
        line(f"ready again, with {options.objects} objects", server.start(), "s", READY_SECONDS)
        server.stop()


if __name__ == "__main__":
    main()
