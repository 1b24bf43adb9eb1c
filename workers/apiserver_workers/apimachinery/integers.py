"""Integers that clients write: ASCII digits, and not so many that reading them costs anything.

Python's own tests say yes to digits of other scripts, which int() may then refuse. int() refuses more than 4,300 digits,
and reading many takes quadratic time.
"""

from __future__ import annotations

LONGEST = 20  # digits of 2**64
INT64 = 1 << 63
UINT64 = 1 << 64
MAX_DIGITS = 400
HUGE = 10**MAX_DIGITS


def whole(text: str) -> int:
    """The integer that the text is; one with more digits than are read becomes HUGE or -HUGE. Raises ValueError.

    No limit that such a number is compared with is anywhere near HUGE, so a long number only has to stay beyond them all.
    """
    if len(text) <= MAX_DIGITS:
        return int(text)
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    if not digits.isdecimal():
        raise ValueError(f"invalid literal of {len(text)} characters")
    return -HUGE if text.startswith("-") else HUGE


def is_digits(text: str) -> bool:
    """Whether the text is one or more of 0 to 9."""
    return text.isascii() and text.isdigit()


def natural(text: str, below: int = UINT64) -> int | None:
    """The number of a text of digits alone; None for any other text and for a number that is not `below`."""
    if not is_digits(text):
        return None
    text = text.lstrip("0") or "0" if len(text) > LONGEST else text
    if len(text) > LONGEST:
        return None
    number = int(text)
    return number if number < below else None


def signed(text: str, below: int = INT64) -> int | None:
    """The number of digits with a sign or without one; None for any other text and out of the range of an int64."""
    negative = text[:1] == "-"
    number = natural(text[1:] if text[:1] in ("+", "-") else text, below + negative)
    if number is None:
        return None
    return -number if negative else number


def has_sign_and_digits(text: str) -> bool:
    """Whether the text is a number for strconv.ParseInt, in range or not."""
    return is_digits(text[1:] if text[:1] in ("+", "-") else text)
