"""What is wrong with an expression, in the words and the form of upstream's errors.

A fault has a position and a message. Faults are printed by position, each with its source line and a mark under the
position. Wide characters have wide marks, so that the mark stands where it should in a fixed-width font.

Upstream: cel-go common/errors.go, common/error.go.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

NOWHERE = -1
_MOST_FAULTS = 100
_LONGEST_LINE = 16384


class Fault(NamedTuple):
    """A message and the offset in code points that it is about; `NOWHERE` if it is about the whole expression."""

    position: int
    message: str


class CompileError(Exception):
    """An expression that does not compile: `faults`, and the text for the user as `str(error)`."""

    def __init__(self, source: str, faults: Sequence[Fault]) -> None:
        super().__init__(render(source, faults))
        self.source = source
        self.faults = tuple(faults)


class _Lines:
    """The lines of a source, and where they start."""

    def __init__(self, source: str) -> None:
        self.lines = source.split("\n")
        self.starts = [0]
        for line in self.lines[:-1]:
            self.starts.append(self.starts[-1] + len(line) + 1)

    def locate(self, position: int) -> tuple[int, int]:
        """The line, from 1, and the column, from 0; (-1, -1) of a fault without a position."""
        if position == NOWHERE:
            return -1, -1
        line = bisect_right(self.starts, position)
        return line, position - self.starts[line - 1]


def render(source: str, faults: Sequence[Fault]) -> str:
    """All faults as one text, sorted by position; of more than 100 faults the first 100 found, and how many others."""
    lines = _Lines(source)
    located = [(*lines.locate(fault.position), fault.message) for fault in faults[:_MOST_FAULTS]]
    located.sort(key=lambda fault: fault[:2])
    texts = [_render(lines.lines, line, column, message) for line, column, message in located]
    if len(faults) > _MOST_FAULTS:
        texts.append(f"{len(faults) - _MOST_FAULTS} more errors were truncated")
    return "\n".join(texts)


def _render(lines: Sequence[str], line: int, column: int, message: str) -> str:
    text = f"ERROR: <input>:{line}:{column + 1}: {message}"
    if line < 1 or len(lines[line - 1].encode("utf-8", "surrogatepass")) > _LONGEST_LINE:
        return text
    snippet = lines[line - 1].replace("\t", " ")
    dots = "".join("." if character < "\x80" else "．" for character in snippet[:column])
    marked = snippet[column : column + 1]
    mark = "＾" if marked >= "\x80" else "^"
    return f"{text}\n | {snippet}\n | {dots}{mark}"
