"""Integers that clients write in strings.

Python refuses to read more than 4,300 digits, and reading many takes quadratic time. No limit that such a number is
compared with is anywhere near that, so a number this long only has to stay beyond all of them.
"""

from __future__ import annotations

MAX_DIGITS = 400
HUGE = 10**MAX_DIGITS


def whole(text: str) -> int:
    """The integer that the text is; one with more digits than are read becomes HUGE or -HUGE. Raises ValueError."""
    if len(text) <= MAX_DIGITS:
        return int(text)
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if not digits.isdecimal():
        raise ValueError(f"invalid literal of {len(text)} characters")
    return -HUGE if text.startswith("-") else HUGE
