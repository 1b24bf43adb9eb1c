"""What is wrong with a file that a flag names, in one sentence that names both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def file_fault(flag: str, path: str, load: Callable[[str], Any]) -> Iterator[str]:
    """The fault that keeps `load` from making sense of the file; none if it does, or if no file is named."""
    if not path:
        return
    try:
        load(path)
    except OSError as error:
        yield f"--{flag}: {error.filename or path}: {error.strerror or type(error).__name__}"
    except ValueError as error:
        text = str(error)
        named = any(form in text for form in (f'"{path}"', f"{path}:", f"{path},"))
        yield f"--{flag}: {text}" if named else f"--{flag}: {path}: {text}"
