"""`logs`: records of several files in the order of time, by age and level."""

from __future__ import annotations

import os
import time
from datetime import datetime
from pathlib import Path

import pytest
from apiserver_supervisor.logs import DEBUG, ERROR, INFO, WARNING, Record, Selection, Tail, parse, show

NONE = Record(0.0, WARNING, "")


def klog(letter: str, ago: float, text: str) -> str:
    at = datetime.fromtimestamp(time.time() - ago)
    return f"{letter}{at:%m%d %H:%M:%S}.{at.microsecond:06} 4711 core x.py:1] {text}"


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("I1130 21:04:05.123456    4711 core x.py:12] fine", INFO),
        ("W1130 21:04:05.123456    4711 core x.py:12] odd", WARNING),
        ("E1130 21:04:05.123456    4711 core x.py:12] bad", ERROR),
        ('{"ts": 1764536645123.5, "msg": "fine", "v": 0}', INFO),
        ('{"ts": 1764536645123.5, "msg": "detail", "v": 4}', DEBUG),
        ('{"ts": 1764536645123.5, "msg": "bad", "err": "why"}', ERROR),
        ('{"level":"warn","ts":"2026-11-30T21:16:49.260Z","msg":"slow"}', WARNING),
        ('{"level":"fatal?","ts":"2026-11-30T21:16:49.260Z","msg":"new"}', INFO),
    ],
)
def test_a_head_tells_time_and_level(line: str, level: int) -> None:
    record = parse(line, NONE)
    assert record.at > 0 and record.level == level and record.text == line


@pytest.mark.parametrize("line", ["Traceback (most recent call last):", "  File", "", "{no json", '{"msg": "no time"}'])
def test_a_line_without_a_head_has_the_level_of_the_one_before(line: str) -> None:
    assert parse(line, NONE) == Record(-1.0, WARNING, line)


def test_a_date_to_come_is_of_last_year() -> None:
    in_a_week = datetime.fromtimestamp(time.time() + 7 * 86400)
    assert parse(f"I{in_a_week:%m%d} 00:00:00.000000 1 core x.py:1] x", NONE).at < time.time()


def test_files_are_merged_by_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    core, etcd = tmp_path / "core.log", tmp_path / "etcd.log"
    core.write_text("\n".join([klog("I", 30, "first"), klog("E", 10, "third"), "  its traceback"]) + "\n")
    etcd.write_text(klog("I", 20, "second") + "\n")
    show([core, etcd], Selection(), follow=False)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[0].strip() for line in lines] == ["core", "etcd", "core", "core"]
    assert [line.split()[-1] for line in lines] == ["first", "second", "third", "traceback"]


@pytest.mark.parametrize(
    ("selection", "shown"),
    [
        (Selection(since=25), ["second", "third"]),
        (Selection(level=WARNING), ["third"]),
        (Selection(lines=1), ["third"]),
        (Selection(since=5), []),
    ],
)
def test_a_selection_leaves_out_the_rest(
    selection: Selection, shown: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "core.log"
    log.write_text("\n".join([klog("I", 30, "first"), klog("I", 20, "second"), klog("E", 10, "third")]) + "\n")
    show([log], selection, follow=False)
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == shown


def test_a_tail_goes_on_in_a_rotated_file(tmp_path: Path) -> None:
    log = tmp_path / "core.log"
    log.write_text(klog("I", 3, "before") + "\n")
    tail = Tail(log)
    assert [record.text.split()[-1] for record in tail.records()] == ["before"]
    os.replace(log, tmp_path / "core.log.1")
    log.write_text(klog("I", 1, "after") + "\n")
    assert [record.text.split()[-1] for record in tail.records()] == ["after"]
    assert list(tail.records()) == []
