"""On a terminal the start shows live progress; what the processes log is not touched by that."""

from __future__ import annotations

import os
import pty
import signal
import sys
from pathlib import Path

SMALL = (sys.executable, str(Path(__file__).with_name("small_apps.py")))


def test_logs_hold_no_escape_sequences(tmp_path: Path, short_folder: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm"
        os.execv(
            SMALL[0],
            [*SMALL, "start", f"--run-dir={short_folder}", f"--data-dir={tmp_path / 'd'}", "--secure-port=auto"],
        )
    shown = b""
    while b"Try: kubectl" not in shown:
        shown += os.read(terminal, 65536)
    os.kill(pid, signal.SIGTERM)
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass  # the terminal of a process that has ended
    assert os.waitpid(pid, 0)[1] == 0
    assert b"\x1b[" in shown  # it was a live display
    logs = {log.name: log.read_bytes() for log in (short_folder / "logs").glob("*.log")}
    assert {"core.log", "aggregator.log", "extensions.log", "master.log"} <= set(logs)
    assert not [name for name, text in logs.items() if b"\x1b" in text]
