"""Which paths exist, which methods they have, and what the others answer."""

from __future__ import annotations

import pytest

from tests.registry.api import running
from tests.storage.etcd_process import EtcdProcess

NOT_FOUND, NOT_ALLOWED = "the server could not find the requested resource", "the server does not allow this method"
PATHS = [
    ("GET", "/api/v1/namespaces/default/configmaps", 200, ""),
    ("GET", "/api/v1/configmaps", 200, ""),
    ("GET", "/api/v1/namespaces/default/things", 404, NOT_FOUND),
    ("GET", "/apis/apps/v9/deployments", 404, NOT_FOUND),
    ("GET", "/api/v2", 404, NOT_FOUND),
    ("GET", "/api/v1/namespaces/default/nodes", 404, NOT_FOUND),
    ("GET", "/api/v1/configmaps/a", 404, NOT_FOUND),
    ("GET", "/api/v1/namespaces/default/configmaps/a/status", 404, NOT_FOUND),
    ("PUT", "/api/v1/namespaces/default/configmaps", 405, NOT_ALLOWED),
    ("PATCH", "/api/v1/namespaces/default/configmaps", 405, NOT_ALLOWED),
    ("POST", "/api/v1/namespaces/default/configmaps/a", 405, NOT_ALLOWED),
    ("POST", "/api/v1/configmaps", 405, NOT_ALLOWED),
    ("DELETE", "/api/v1/namespaces", 405, NOT_ALLOWED),
    ("HEAD", "/api/v1/namespaces/default/configmaps", 405, NOT_ALLOWED),
    ("FROB", "/api/v1/namespaces/default/configmaps", 405, NOT_ALLOWED),
]


@pytest.mark.parametrize(("method", "path", "status", "message"), PATHS)
async def test_paths_and_methods(
    etcd: EtcdProcess, root: str, method: str, path: str, status: int, message: str
) -> None:
    async with running(etcd, root) as api:
        answer = await api.call(method, path)
        assert answer.status == status
        if message:
            assert answer.message.startswith(message)


async def test_what_no_server_knows_reaches_the_end_of_the_chain(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        for path in (
            "/golden",
            "/apis/golden.example.com/v1/things",
            "//api/v1/namespaces",
            "///api/v1/nodes",
            "//apis/apps/v1/deployments",
            "//",
        ):
            answer = await api.call("GET", path)
            assert (answer.status, answer.body) == (404, b"404 page not found\n")


async def test_errors_come_in_the_media_type_that_is_accepted(etcd: EtcdProcess, root: str) -> None:
    async with running(etcd, root) as api:
        answer = await api.call("GET", "/api/v1/nodes/none", accept="application/yaml")
        assert answer.content_type == "application/yaml"
        assert answer.obj["message"] == 'nodes "none" not found'
