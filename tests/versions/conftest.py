"""Tests of what is served: Kubernetes versions, enabled APIs, feature gates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.types import DEFAULT_MINOR, TypeModel

from tests.storage.conftest import etcd, pytest_pyfunc_call, root

__all__ = ["etcd", "pytest_pyfunc_call", "root"]


@pytest.fixture
def serve() -> Iterator[Callable[[str], TypeModel]]:
    """Makes this process serve a minor version, until the test ends."""

    yield types.serve
    types.serve(DEFAULT_MINOR)
