"""Tests of custom resources in this process, over an etcd in memory."""

from tests.registry.conftest import etcd, pytest_pyfunc_call, real_etcd, root

__all__ = ["etcd", "pytest_pyfunc_call", "real_etcd", "root"]
