"""Tests of the registry and its endpoints: requests to a server in this process, over a real etcd."""

from tests.storage.conftest import etcd, pytest_pyfunc_call, root

__all__ = ["etcd", "pytest_pyfunc_call", "root"]
