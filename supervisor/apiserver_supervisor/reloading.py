"""Where a reload is: wanted, checked, handed over, rolled. The master takes the steps."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any

from apiserver_supervisor import handover


class Reload:
    """One reload at a time; another that is wanted meanwhile follows. `start_check` starts the check."""

    def __init__(self, start_check: Callable[[], subprocess.Popen[str]]) -> None:
        self.failed = ""  # why the last one did
        self.rolls = False  # the new program has taken over, and its arbiters start
        self._start_check = start_check
        self._check: subprocess.Popen[str] | None = None
        self._began = 0.0
        self._again = False

    @property
    def goes_on(self) -> bool:
        """Whether a reload is under way."""
        return self.rolls or self._check is not None

    def want(self) -> bool:
        """Begin a reload, or note that another is wanted; whether it has begun."""
        if self.goes_on:
            self._again = True
            return False
        self.failed, self._again = "", False
        self._began = time.monotonic()
        self._check = self._start_check()
        return True

    def check_ended(self) -> bool:
        """Whether the check has come to an end, by itself or because it takes too long."""
        if self._check is None:
            return False
        if time.monotonic() - self._began > handover.CHECK_WITHIN:
            self._check.kill()
        return self._check.poll() is not None

    def result(self, fixed: dict[str, Any]) -> str:
        """What the check found against the new program, or nothing."""
        assert self._check is not None
        check, self._check = self._check, None
        return handover.checked(check, fixed)

    def cancel(self) -> None:
        """The server stops."""
        if self._check is not None:
            self._check.kill()
            self._check.communicate()
            self._check = None

    def begin(self) -> None:
        """This is the new program: its arbiters are about to take over."""
        self.rolls = True

    def end(self, problem: str) -> bool:
        """It is over. Whether another one was wanted meanwhile."""
        self.rolls, self.failed = False, problem
        return self._again
