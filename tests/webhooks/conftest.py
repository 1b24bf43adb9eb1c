"""Webhooks are tested on the stores of one process with a real etcd, and from outside on a whole server."""

from __future__ import annotations

import pytest

from tests.admission.conftest import config, etcd, in_cluster  # noqa: F401
from tests.auth.remote import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))
