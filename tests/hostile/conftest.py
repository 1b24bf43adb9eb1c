"""One server for all attacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import TOKENS
from tests.running import RunningServer


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that nothing else uses, so that what is measured is the attack's."""
    folder = tmp_path_factory.mktemp("hostile")
    tokens = Path(folder, "tokens.csv")
    tokens.write_text(TOKENS)
    with RunningServer(folder, f"--token-auth-file={tokens}", "--advertise-address=192.0.2.10") as running:
        yield running
