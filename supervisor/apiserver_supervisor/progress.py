"""The steps of starting and stopping as they complete: live on a terminal, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any


class Progress:
    """Steps with the time since the start. `expect` names a step to come, `done` completes it. `quiet` prints nothing."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._begin = time.monotonic()
        self._pending: list[str] = []
        self._finished: list[tuple[str, float, str]] = []
        self._live: Any = None

    def __enter__(self) -> Progress:
        if sys.stdout.isatty() and not self._quiet:
            from rich.live import Live

            # The master forks: no refresh thread, and no replaced streams, which the children would inherit.
            self._live = Live(auto_refresh=False, transient=False, redirect_stdout=False, redirect_stderr=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._pending.clear()
            self.refresh()
            self._live.stop()
            self._live = None

    def expect(self, *steps: str) -> None:
        """Steps that are under way from now on."""
        self._pending.extend(steps)
        self.refresh()

    def done(self, step: str, detail: str = "") -> None:
        """A step has completed."""
        if step in self._pending:
            self._pending.remove(step)
        self._finished.append((step, time.monotonic() - self._begin, detail))
        if self._live:
            self.refresh()
        else:
            self.say(_line("ok", *self._finished[-1]))

    def say(self, text: str) -> None:
        """A line for the user, at once."""
        if not self._quiet:
            print(text, flush=True)

    def refresh(self) -> None:
        """Paint the steps again, so that a terminal shows that time passes."""
        if not self._live:
            return
        from rich.text import Text

        lines = [Text(_line("✓", *step), style="green") for step in self._finished]
        elapsed = time.monotonic() - self._begin
        lines += [Text(_line("…", step, elapsed, ""), style="dim") for step in self._pending]
        self._live.update(Text("\n").join(lines), refresh=True)


def _line(mark: str, step: str, seconds: float, detail: str) -> str:
    return f"  {mark:2} {step:13} {seconds:5.2f} s  {detail}".rstrip()
