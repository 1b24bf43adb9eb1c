"""One control plane of three servers on three etcd members for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.ha.control_plane import Reached, RunningControlPlane


@pytest.fixture(scope="session")
def shared() -> Iterator[RunningControlPlane]:
    with RunningControlPlane("--replicas=3", "--etcd-members=3") as running:
        yield running


@pytest.fixture
def control_plane(shared: RunningControlPlane) -> Iterator[RunningControlPlane]:
    """All its parts run, whatever another test has left."""
    yield shared
    shared.mend()


@pytest.fixture
def servers(control_plane: RunningControlPlane) -> list[Reached]:
    return list(control_plane.servers.values())
