"""A minute of faults on two servers with three etcd members: nothing is lost, and nobody notices what is planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import Plan, run

pytestmark = pytest.mark.e2e
SECONDS = 60.0


def test_a_minute_of_faults(tmp_path: Path) -> None:
    report = run(Plan(seconds=SECONDS, seed=11), tmp_path)
    print(report.text())
    assert report.faults.total() >= 3
    assert report.counts["acknowledged creations"] > 50
    assert report.counts["operations checked for linearizability"] > 100
    assert not report.violations, report.text()
