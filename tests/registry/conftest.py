"""Tests of the registry and its endpoints: requests to a server in this process, over an etcd in memory.

The storage's own tests show that it answers as a real etcd does.
"""

import pytest

from tests.storage.conftest import etcd as real_etcd
from tests.storage.conftest import pytest_pyfunc_call, root
from tests.storage.memory import MemoryKeys

__all__ = ["pytest_pyfunc_call", "real_etcd", "root"]


@pytest.fixture
def etcd() -> MemoryKeys:
    return MemoryKeys()
