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
FEW = 64  # members by which the cost of one is judged
MOST = 16_384
SMALL = 500  # characters of a part that costs little
LINEAR = 0.015  # seconds that a linear step takes for the members of the larger size


def seconds(step: Callable[[], object], enough: float = QUICK) -> float:
    """The CPU time of a step, the best of some runs; one below `enough` is not repeated."""
    best = float("inf")
    for _ in range(RUNS):
        began = time.thread_time()
        step()
        best = min(best, time.thread_time() - began)
        if best < enough:
            return best
    return best


def grows_linearly(step: Callable[[int], Callable[[], object]], sizes: tuple[int, int] = (200, 2000)) -> str:
    """How the time of `step(size)` grows more than twice as quickly as the size; "" if it does not."""
    small, large = sizes
    long = seconds(step(large))
    if long < QUICK:
        return ""
    short = max(seconds(step(small)), 0.0005)
    allowed = 2.5 * large / small * short
    if long >= allowed:
        long = min(long, seconds(step(large), allowed))  # once more: a collection of garbage may have come between
    return "" if long < allowed else f"{small}: {short:.4f} s, {large}: {long:.4f} s"


def grows_as_judged(step: Callable[[int], Callable[[], object]]) -> str:
    """As `grows_linearly`, with the larger size chosen so that a linear step takes little time."""
    cost = max(1e-6, (seconds(step(FEW)) - seconds(step(1))) / (FEW - 1))
    large = min(MOST, max(4 * FEW, int(LINEAR / cost)))
    return grows_linearly(step, (FEW, large))


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


def member(obj: Any, path: Path) -> Any:
    """What lies at the path."""
    for name in path:
        obj = obj[name]
    return obj


def trimmed(obj: Any, path: Path) -> Any:
    """A copy without what is large and does not lie on the path: what does not grow should cost little."""
    if not path:
        return obj
    if isinstance(obj, list):
        return [trimmed(obj[0], path[1:])]
    kept = {name: one for name, one in obj.items() if len(repr(one)) < SMALL}
    return {**kept, path[0]: trimmed(obj[path[0]], path[1:])}


def grown(obj: Any, path: Path, size: int, *, alike: bool = False) -> Any:
    """A copy whose list or map at `path` has that many members; `alike`: those of a list are all the same."""
    result = copy.deepcopy(obj)
    holder = member(result, path[:-1])
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
