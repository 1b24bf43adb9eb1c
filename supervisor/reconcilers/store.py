"""The few etcd calls that the reconcilers need, over python-etcd3.

Values are objects' JSON in the stored form: kind, apiVersion and metadata first, no resourceVersion.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import etcd3
import grpc

Object = dict[str, Any]
CALL_TIMEOUT = 2.0
SHUT_OUT = 0.2  # seconds for which a member that failed is not asked while there are others
_CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
)
StoreError = etcd3.exceptions.Etcd3Exception


class Conflict(Exception):
    """Somebody else wrote the key since it was read."""


class Store:
    """etcd by keys relative to the prefix. Every call raises StoreError when etcd does not answer in time."""

    def __init__(self, servers: tuple[str, ...], prefix: str, *, ca: str = "", certificate: str = "", key: str = ""):
        secrets = (Path(path).read_bytes() if path else None for path in (ca, key, certificate))
        credentials = grpc.ssl_channel_credentials(*secrets)
        endpoints = [_endpoint(server, credentials) for server in servers]
        self._client = etcd3.MultiEndpointEtcd3Client(endpoints, timeout=CALL_TIMEOUT, failover=True)
        self._prefix = "/" + prefix.strip("/") + "/"

    def get(self, key: str) -> tuple[Object | None, int]:
        """The object at a key and its mod revision; None and 0 if there is none."""
        value, metadata = self._ask(lambda client: client.get(self._prefix + key))
        return (decode(value), metadata.mod_revision) if metadata else (None, 0)

    def list(self, prefix: str) -> list[Object]:
        """All objects below a prefix."""
        found = self._ask(lambda client: list(client.get_prefix(self._prefix + prefix)))
        return [decode(value) for value, _ in found]

    def write(self, key: str, value: Object, mod_revision: int) -> None:
        """Create (mod_revision 0) or update. Raises Conflict if the key is at another revision.

        That may be our own write's, when the member that made it failed before it answered.
        """
        name = self._prefix + key
        succeeded, _ = self._ask(
            lambda client: client.transaction(
                compare=[client.transactions.mod(name) == mod_revision],
                success=[client.transactions.put(name, encode(value))],
                failure=[],
            )
        )
        if not succeeded:
            raise Conflict(key)

    def put_for(self, key: str, value: Object, ttl: int) -> None:
        """Write a key that vanishes after `ttl` seconds, with a lease of its own."""
        self._ask(lambda client: client.put(self._prefix + key, encode(value), lease=client.lease(ttl)))

    def delete(self, key: str) -> bool:
        """Remove a key; whether it was there."""
        return bool(self._ask(lambda client: client.delete(self._prefix + key)))

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        """Ask a member, and when it fails the others, each once. The client itself moves on at the next call only."""
        for _ in range(len(self._client.endpoints) - 1):
            try:
                return call(self._client)
            except StoreError:
                continue
        return call(self._client)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def encode(value: Object) -> bytes:
    """An object's JSON; the caller has put kind, apiVersion and metadata first."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def decode(value: bytes) -> Object:
    """An object from etcd; another server may have written it as protobuf."""
    if value.startswith(b"k8s\0"):
        return _decode_protobuf(value)
    return json.loads(value)


def _decode_protobuf(value: bytes) -> Object:
    from workers.apimachinery import protobuf, types

    api_version, kind, _ = protobuf.open_envelope(value)
    group, _, version = api_version.rpartition("/")
    return protobuf.decode_object(types.model().kind(group, version, kind), value)


def _endpoint(server: str, credentials: Any) -> Any:
    url = urlsplit(server if "://" in server else f"http://{server}")
    options: list[tuple[str, Any]] = list(_CHANNEL)
    if url.scheme == "unix":
        # the library joins host and port by a colon, as the embedded etcd does in its socket's name
        host, _, port = (url.netloc + url.path).rpartition(":")
        options.append(("grpc.default_authority", "localhost"))
        return etcd3.Endpoint(f"unix:{host}", port, secure=False, time_retry=SHUT_OUT, opts=options)
    secure = url.scheme == "https"
    name = url.hostname or ""
    host = f"[{name}]" if ":" in name else name
    return etcd3.Endpoint(
        host, url.port or 2379, secure=secure, creds=credentials if secure else None, time_retry=SHUT_OUT, opts=options
    )
