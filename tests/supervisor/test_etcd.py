"""Which etcd serves a data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from apiserver_supervisor import etcd
from apiserver_supervisor.etcd import EtcdError, find, writer_file

ON_PATH, INSTALLED = Path("/usr/bin/etcd"), Path("/venv/etcd")


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """etcd 3.4 on PATH, and 3.5 installed."""
    versions = {ON_PATH: "3.4.23", INSTALLED: "3.5.1"}
    monkeypatch.setattr(etcd, "_on_path", lambda: ON_PATH)
    monkeypatch.setattr(etcd, "_installed", lambda: INSTALLED)
    monkeypatch.setattr(etcd, "_version", versions.__getitem__)


@pytest.mark.parametrize(
    ("writer", "chosen"),
    [(None, ON_PATH), ("3.4.23", ON_PATH), ("3.4.30", ON_PATH), ("3.5.1", INSTALLED), ("3.5.9", INSTALLED)],
)
def test_the_one_that_can_read_the_data(two: None, tmp_path: Path, writer: str | None, chosen: Path) -> None:
    data = tmp_path / "etcd"
    if writer:
        writer_file(data).write_text(f"{writer}\n")
    assert find(folder=tmp_path, data=data, log=None).binary == chosen


def test_none_can_read_the_data(two: None, tmp_path: Path) -> None:
    writer_file(tmp_path / "etcd").write_text("3.6.2\n")
    with pytest.raises(EtcdError, match=r"etcd 3\.6\.2 has written .* put etcd 3\.6 or newer on PATH, or remove"):
        find(folder=tmp_path, data=tmp_path / "etcd", log=None)


def test_the_data_remember_who_wrote_them(two: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "fork", lambda run, *, log: 4711)
    data = tmp_path / "data" / "etcd"
    found = find(folder=tmp_path / "run", data=data, log=None)
    assert found.start() == 4711
    assert writer_file(data).read_text() == "3.4.23\n"
