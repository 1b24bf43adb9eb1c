"""Tests of what is served: Kubernetes versions, enabled APIs, feature gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.types import DEFAULT_MINOR, TypeModel
from apiserver_workers.server.endpoints import managers

from tests.storage.conftest import etcd, pytest_pyfunc_call, root

__all__ = ["etcd", "pytest_pyfunc_call", "root"]


@pytest.fixture
def serve() -> Iterator[Callable[[str], TypeModel]]:
    """Makes this process serve a minor version, until the test ends."""

    def use(minor: str) -> TypeModel:
        managers._CONVERTERS.clear()
        return types.serve(minor)

    yield use
    use(DEFAULT_MINOR)
