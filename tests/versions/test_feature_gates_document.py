"""docs/feature-gates.md: every gate that is on is asked by code or has a line there that says why not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from apiserver_workers.apimachinery import feature_gates

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "feature-gates.md"
STAGES = ("AllAlpha", "AllBeta")


@pytest.fixture(scope="module")
def asked() -> set[str]:
    """The gates whose names are in the code."""
    code = "".join(path.read_text() for folder in ("workers", "supervisor") for path in (ROOT / folder).rglob("*.py"))
    return set(re.findall(r'"([A-Z][A-Za-z0-9]+)"', code))


@pytest.fixture(scope="module")
def listed() -> list[str]:
    """The gates that the document names: its table's first cells, and the paragraph of other components."""
    text = DOCUMENT.read_text()
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    paragraph = text.partition("does not.\n")[2].partition("##")[0]
    return [
        name.strip() for part in (*cells, paragraph) for name in part.split(",") if name.strip() not in ("gate", "")
    ]


def test_every_gate_that_is_on_is_asked_or_listed(asked: set[str], listed: list[str]) -> None:
    on = {gate.name for gate in feature_gates.gates_of("1.36") if gate.default and gate.name not in STAGES}
    assert on - asked - set(listed) == set()


def test_what_is_listed_is_a_gate_that_no_code_asks(asked: set[str], listed: list[str]) -> None:
    on = {gate.name for gate in feature_gates.gates_of("1.36") if gate.default}
    assert len(listed) == len(set(listed))
    assert set(listed) - on == set()
    assert set(listed) & asked == set()
