"""Showing the log files of a server, one or all of them together."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import click

PAUSE = 0.2


def show(files: Sequence[Path], *, lines: int, follow: bool) -> None:
    """Print the last lines of each file, with its role in front if there are several, and go on if asked to."""
    width = max(len(file.stem) for file in files)
    heads = {file: f"{file.stem:{width}} | " if len(files) > 1 else "" for file in files}
    opened = [(file, file.open(errors="replace")) for file in files]
    for file, stream in opened:
        for line in deque(stream, maxlen=lines):
            click.echo(heads[file] + line.rstrip("\n"))
    while follow:
        for file, stream in opened:
            if os.fstat(stream.fileno()).st_size < stream.tell():
                stream.seek(0)  # it was begun anew
            for line in iter(stream.readline, ""):
                click.echo(heads[file] + line.rstrip("\n"))
        time.sleep(PAUSE)
