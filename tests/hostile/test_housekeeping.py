"""Logs stay within bounds, dead workers leave no sockets, and why etcd does not start is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from apiserver_supervisor.etcd_log import reason
from apiserver_supervisor.housekeeping import KEPT, Housekeeping, older, remove_sockets_of_the_dead, rotate


def test_a_log_is_begun_anew_under_its_writer(tmp_path: Path) -> None:
    log = tmp_path / "core.log"
    writer = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number in range(KEPT + 3):
        os.write(writer, b"%d\n" % number)
        rotate(log)
    os.write(writer, b"last\n")
    assert log.read_bytes() == b"last\n"
    held = [older(log, number).read_text() for number in range(1, KEPT + 1)]
    assert held == ["5\n", "4\n", "3\n"]
    assert len(list(tmp_path.iterdir())) == KEPT + 1
    assert older(log, 1).stat().st_mode & 0o777 == 0o600
    os.close(writer)


def test_only_large_logs_are_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apiserver_supervisor.housekeeping.MAX_LOG", 10)
    (tmp_path / "small.log").write_text("small")
    (tmp_path / "large.log").write_text("large" * 10)
    keeping = Housekeeping(tmp_path, tmp_path)
    keeping.turn(100.0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["large.log", "large.log.1", "small.log"]
    (tmp_path / "small.log").write_text("small" * 10)
    keeping.turn(100.5)
    assert not (tmp_path / "small.log.1").exists()
    keeping.turn(101.0)
    assert (tmp_path / "small.log.1").exists()


def test_sockets_of_dead_workers_go(tmp_path: Path) -> None:
    kept = {f"core-{os.getpid()}.sock", "odd.sock", "core-x.sock"}
    for name in (*kept, "core-4194304.sock", "core-4194305.sock"):
        (tmp_path / name).touch()
    remove_sockets_of_the_dead(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept
    remove_sockets_of_the_dead(tmp_path / "absent")


STACK = "goroutine 1 [running]:\ngo.etcd.io/bbolt.(*DB).Open\n\t/src/db.go:1 +0x1\n" * 30


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ('{"level":"warn","msg":"w"}\n{"level":"fatal","msg":"failed","error":"no space left on device"}\n' + STACK,
         "failed: no space left on device"),
        ('{"level":"panic","msg":"failed to open wal","error":"crc mismatch"}\npanic: failed to open wal\n' + STACK,
         "failed to open wal"),
        ("panic: freepages: failed to get all reachable pages\n" + STACK, "freepages: failed to get all reachable pages"),
        ('{"level":"error","msg":"e"}\n', "e"),
        ('{"level":"warn","msg":"w"}\n[]\nnull\n{"level":[]}\n' + "[" * 5000, ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_reason_stands_above_the_stack(tmp_path: Path, log: str, told: str) -> None:
    path = tmp_path / "etcd.log"
    path.write_text(log)
    assert reason(str(path)) == told


def test_there_may_be_no_log(tmp_path: Path) -> None:
    assert reason(str(tmp_path / "absent")) == ""
