"""How much is logged: --v, and PUT /debug/flags/v while the server runs, for all its workers.

What was put is kept in a file in the run folder, so that workers which start later log as much.
"""

from __future__ import annotations

from pathlib import Path

FILE = "verbosity"

_MAXIMUM = (1 << 31) - 1


def parse(text: str) -> int:
    """Raises ValueError, whose text is Go's."""
    try:
        number = int(text, 10) if text.strip() == text and "_" not in text else None
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if abs(number) > _MAXIMUM:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return number


def keep(run_dir: str, v: int) -> None:
    """For workers that start later."""
    Path(run_dir, FILE).write_text(str(v))


def kept(run_dir: str, default: int) -> int:
    """What was put while the server ran, else the flag's value."""
    try:
        return parse(Path(run_dir, FILE).read_text())
    except (OSError, ValueError):
        return default
