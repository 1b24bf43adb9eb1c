"""One control plane of three servers on three etcd members for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ha.control_plane import Reached, RunningControlPlane


@pytest.fixture(scope="session")
def control_plane() -> Iterator[RunningControlPlane]:
    """Tests leave it as they found it: with all parts running."""
    with RunningControlPlane("--replicas=3", "--etcd-members=3") as running:
        yield running


@pytest.fixture
def servers(control_plane: RunningControlPlane) -> list[Reached]:
    return list(control_plane.servers.values())
