"""What these tests ask of etcd and of a server, beside what etcd_view.py has."""

from __future__ import annotations

from typing import Any

import orjson

from tests.etcd_view import EtcdView
from tests.running import RunningServer

Object = dict[str, Any]


def raw(view: EtcdView, key: str) -> bytes:
    """The bytes at a whole key."""
    value, _ = view.client.get(key)
    assert value is not None, key
    return bytes(value)


def lease(view: EtcdView, key: str) -> int:
    """The lease at a whole key, 0 without."""
    _, metadata = view.client.get(key)
    return int(metadata.response_header and metadata.lease_id)


def all_keys(view: EtcdView) -> list[str]:
    return sorted(metadata.key.decode() for _, metadata in view.client.get_all(keys_only=True))


def ask(server: RunningServer, method: str, path: str, body: Any = None, **options: Any) -> Object:
    """The object of an answer, which must be a success."""
    status, answer = server.request(method, path, body, **options)
    assert status < 300, (status, answer)
    return orjson.loads(answer)


def refused(server: RunningServer, method: str, path: str, body: Any = None, **options: Any) -> Object:
    """The Status of an answer, which must be a failure."""
    status, answer = server.request(method, path, body, **options)
    assert status >= 400, (status, answer)
    return orjson.loads(answer)


def config_map(name: str, **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **more}, "data": {"a": "b"}}


def watched(server: RunningServer, path: str, revision: str, seconds: int = 1) -> list[Object]:
    """The events of a watch that lasts for so long."""
    _, body = server.request("GET", f"{path}?watch=1&resourceVersion={revision}&timeoutSeconds={seconds}")
    return [orjson.loads(line) for line in body.splitlines()]


def merge(server: RunningServer, path: str, patch: Any, **options: Any) -> Object:
    return ask(server, "PATCH", path, patch, Content_Type="application/merge-patch+json", **options)
