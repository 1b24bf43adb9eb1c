"""Fixtures for all tests. Tests that start a whole server are marked e2e and run after the others."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.running import RunningServer

ADMIN_TOKEN = "test-admin-token"
# A busy machine may halt any example for a second, which says nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

TOKENS = f"""\
{ADMIN_TOKEN},admin,,"system:masters"
test-alice-token,alice,alice-uid,"dev,qa"
test-bob-token,bob,,
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Quick tests first. Whoever uses the server is an end-to-end test."""
    for item in items:
        if "server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for all tests of this process: `server.url`, `.kubeconfig`, `.request(method, path, body)`.

    It has the users of TOKENS, authorizes by RBAC, and publishes 192.0.2.10. Tests use namespaces of their own and kill
    none of its processes.
    """
    folder = tmp_path_factory.mktemp("server")
    tokens = Path(folder, "tokens.csv")
    tokens.write_text(TOKENS)
    with RunningServer(folder, f"--token-auth-file={tokens}", "--advertise-address=192.0.2.10") as running:
        yield running


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="as-") as folder:
        yield Path(folder)
