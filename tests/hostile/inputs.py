"""Random input put together from parts that mean something to their reader, by a generator with a seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

TIMES = (1, 1, 1, 1, 1, 2, 2, 50, 2000)  # how often a part may be repeated: what is quadratic shows itself
LONGEST = 200_000  # bytes of an input; longer ones are cut
LONG = 20  # one input of so many may be that long, the others are short

Make = Callable[[Random], Any]


@dataclass(frozen=True, slots=True)
class Target:
    """How input is made, what reads it, and what that may raise."""

    make: Make
    read: Callable[[Any], object]
    raises: tuple[type[Exception], ...] = ()


def parts(random: Random, words: list[Any], noise: Make) -> list[Any]:
    """Few different parts, each up to many times."""
    times = TIMES if random.randrange(LONG) == 0 else TIMES[:-2]
    found: list[Any] = []
    for _ in range(random.randrange(7)):
        part = random.choice(words) if random.random() < 0.8 else noise(random)
        found += [part] * random.choice(times)
    return found


def texts(words: list[str], joint: str = "", *, limit: int = LONGEST) -> Make:
    """Texts of such words and of random characters."""
    return lambda random: joint.join(parts(random, words, a_text))[:limit]


def binaries(words: list[bytes], joint: bytes = b"") -> Make:
    """Bytes of such words and of random bytes."""
    return lambda random: joint.join(parts(random, words, octets))[:LONGEST]


def a_text(random: Random) -> str:
    """Some random characters."""
    highest = random.choice((0x7F, 0xFF, 0x2100))
    return "".join(chr(random.randrange(highest + 1)) for _ in range(random.randrange(9)))


def latin(random: Random) -> str:
    """Some characters below 256."""
    return octets(random).decode("latin-1")


def octets(random: Random) -> bytes:
    """Some random bytes."""
    return random.randbytes(random.randrange(40))


def either(*makes: Make) -> Make:
    """What one of these makes."""
    return lambda random: random.choice(makes)(random)


def together(*makes: Make) -> Make:
    """A tuple of what each makes."""
    return lambda random: tuple(make(random) for make in makes)


def one_of(*values: Any) -> Make:
    """One of the values."""
    return lambda random: random.choice(values)
