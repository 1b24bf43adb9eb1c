"""What is generated from tables is as the tables are."""

from __future__ import annotations

from pathlib import Path

from supervisor.options import FLAGS, document

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_flags_is_made_from_the_table() -> None:
    page = (ROOT / "docs" / "flags.md").read_text()
    assert page == document.render(), "run: python -m supervisor.options.document > docs/flags.md"
    assert all(f"| `--{name}` |" in page for name in FLAGS)
