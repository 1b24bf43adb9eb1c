"""What is generated from tables is as the tables are, and every seed system has a test that observes it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from apiserver_supervisor.options import FLAGS, document
from apiserver_workers.server import kinds_document

from tests.seed_table import WAITING

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_flags_is_made_from_the_table() -> None:
    page = (ROOT / "docs" / "flags.md").read_text()
    assert page == document.render(), "run: python -m apiserver_supervisor.options.document > docs/flags.md"
    assert all(f"| `--{name}` |" in page for name in FLAGS)


def test_the_page_of_kinds_is_made_from_the_tables() -> None:
    page = (ROOT / "docs" / "kinds.md").read_text()
    assert page == kinds_document.render(), "run: python -m apiserver_workers.server.kinds_document > docs/kinds.md"
    assert "| PriorityClass | 1 |" in page and "| ServiceCIDR |  | `metadata` |" in page


def test_the_page_of_seed_systems_is_made_from_the_markers_and_no_row_is_without_a_test() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.seed_table"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    page = (ROOT / "docs" / "seed-systems.md").read_text()
    assert page == done.stdout, "run: python -m tests.seed_table > docs/seed-systems.md"
    untested = [line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if "| none yet |" in line]
    assert not untested
    assert not WAITING
