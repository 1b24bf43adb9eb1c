"""Admission is tested on real stores over a real etcd, each test with a prefix of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from apiserver_workers.server.config import ServerConfig

from tests.admission.cluster import Scenario, run
from tests.storage.etcd_process import EtcdProcess


@pytest.fixture(scope="session")
def etcd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EtcdProcess]:
    process = EtcdProcess(tmp_path_factory.mktemp("etcd"))
    process.start()
    yield process
    process.kill()


@pytest.fixture
def config(etcd: EtcdProcess, tmp_path: Path) -> ServerConfig:
    return ServerConfig(
        instance="test",
        run_dir=str(tmp_path),
        service_ip="10.0.0.1",
        loopback_token="loopback",
        etcd_servers=(etcd.url,),
        etcd_prefix=f"/{uuid4().hex}",
        authorization_mode=("RBAC",),
        enable_admission_plugins=("NodeRestriction",),
    )


@pytest.fixture
def in_cluster(config: ServerConfig) -> Callable[[Scenario], None]:
    """Runs an async scenario of a Cluster."""

    def start(scenario: Scenario) -> None:
        asyncio.run(run(config, scenario))

    return start
