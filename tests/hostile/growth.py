"""Objects that grow in one place, and how the time of a step grows with them: a step over input is to be linear.

CPU time of this thread is measured, the best of several runs, so that other load on the machine counts little.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

Path = tuple[str | int, ...]

RUNS = 2
QUICK = 0.02  # seconds in which a step may do what it likes


def seconds(step: Callable[[], object]) -> float:
    """The CPU time of a step, the best of some runs."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.thread_time()
        step()
        best = min(best, time.thread_time() - began)
        if best < QUICK:
            return best
    return best


def grows_linearly(step: Callable[[int], Callable[[], object]], sizes: tuple[int, int] = (200, 2000)) -> str:
    """How the time of `step(size)` grows more than twice as quickly as the size; "" if it does not."""
    small, large = sizes
    long = seconds(step(large))
    if long < QUICK:
        return ""
    short = seconds(step(small))
    allowed = 2.5 * large / small
    return "" if long < allowed * max(short, 0.0005) else f"{small}: {short:.4f} s, {large}: {long:.4f} s"


def containers_of(value: Any, path: Path = ()) -> Iterator[Path]:
    """Where lists and maps that may grow lie in an object."""
    if isinstance(value, dict):
        if value and path and all(isinstance(one, str) for one in value.values()):
            yield path
        for name, one in value.items():
            yield from containers_of(one, (*path, name))
    elif isinstance(value, list) and value:
        yield path
        yield from containers_of(value[0], (*path, 0))


def grown(obj: Any, path: Path, size: int, *, alike: bool = False) -> Any:
    """A copy whose list or map at `path` has that many members; `alike`: those of a list are all the same."""
    result = copy.deepcopy(obj)
    holder = result
    for step in path[:-1]:
        holder = holder[step]
    held = holder[path[-1]]
    if isinstance(held, list):
        holder[path[-1]] = [held[0] if alike else _varied(held[0], number) for number in range(size)]
    else:
        name, text = next(iter(held.items()))
        holder[path[-1]] = {f"{name}-{number}": text for number in range(size)}
    return result


def _varied(value: Any, number: int) -> Any:
    """The value with other strings and numbers in its first level."""
    if isinstance(value, str):
        return f"{value}-{number}"
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value + number
    if isinstance(value, dict):
        return {name: _varied(one, number) if isinstance(one, str | int) else one for name, one in value.items()}
    return value
