"""Stacks in the collapsed form: `outermost;...;innermost`."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

_LOOP = asyncio.Runner.run.__code__
_ROOT = str(Path(__file__).parents[3]) + "/"


def collapsed(frame: FrameType | None) -> str:
    """The stack that ends in `frame`; what lies outside the event loop is always the same and left out."""
    names: list[str] = []
    while frame is not None and frame.f_code is not _LOOP:
        names.append(name(frame.f_code))
        frame = frame.f_back
    if frame is not None:
        names.append("event loop")
    return ";".join(reversed(names))


def name(code: CodeType) -> str:
    """A function and where it is."""
    return f"{code.co_qualname} ({place(code.co_filename)}:{code.co_firstlineno})"


def place(file: str) -> str:
    """A source file, from the root of this project or of the packages."""
    return file.removeprefix(_ROOT).rpartition("site-packages/")[2]


def listed(weights: Counter[str]) -> str:
    """One line a stack, the heaviest first."""
    return "".join(f"{stack} {weight}\n" for stack, weight in weights.most_common())
