"""Processes that hang, and files that are damaged, of a whole server."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.running import RunningServer, wait_for


def test_a_damaged_authority_is_named_and_stays(tmp_path: Path) -> None:
    with RunningServer(tmp_path) as first:
        authority = first.data_dir / "pki" / "ca.crt"
        key = authority.with_suffix(".key").read_bytes()
    authority.write_text("damaged")
    second = RunningServer(tmp_path)
    with pytest.raises(AssertionError, match=r"ca\.crt"):
        second.start()
    assert authority.read_text() == "damaged"
    assert authority.with_suffix(".key").read_bytes() == key


def test_a_stopped_reconciler_is_noticed_and_replaced(server: RunningServer) -> None:
    (stopped,) = server.processes("reconciler")
    os.kill(stopped, signal.SIGSTOP)
    wait_for(lambda: server.processes("reconciler") not in ([], [stopped]), 60, "another reconciler")
    assert not Path(f"/proc/{stopped}").exists()
