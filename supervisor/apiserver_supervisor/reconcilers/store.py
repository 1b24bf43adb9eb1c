"""The few etcd calls that the reconcilers need, over python-etcd3.

Objects have kind, apiVersion and metadata first and no resourceVersion; they lie in etcd as the workers' do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import etcd3
import grpc
import orjson
from apiserver_workers.storage.encryption.reload import WatchedFile
from apiserver_workers.storage.formats import Formats

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
    """etcd by keys relative to the prefix. Every call raises StoreError when etcd does not answer in time.

    `others` are the servers of resources that have an etcd of their own, by storage prefix; `rules` is the file of the
    rules of encryption, if it may change.
    """

    def __init__(
        self,
        servers: tuple[str, ...],
        prefix: str,
        *,
        ca: str = "",
        certificate: str = "",
        key: str = "",
        others: Mapping[str, Sequence[str]] | None = None,
        formats: Formats | None = None,
        rules: WatchedFile | None = None,
    ):
        secrets = (Path(path).read_bytes() if path else None for path in (ca, key, certificate))
        credentials = grpc.ssl_channel_credentials(*secrets)
        self._client = _client(servers, credentials)
        self._others = {f"{folder}/": _client(urls, credentials) for folder, urls in (others or {}).items()}
        self._prefix = "/" + prefix.strip("/") + "/"
        self._formats = formats or Formats(prefix)
        self._rules = rules

    def get(self, key: str) -> tuple[Object | None, int]:
        """The object at a key and its mod revision; None and 0 if there is none."""
        value, metadata = self._ask(key, lambda client: client.get(self._prefix + key))
        return (self._decode(self._prefix + key, value), metadata.mod_revision) if metadata else (None, 0)

    def list(self, prefix: str) -> list[Object]:
        """All objects below a prefix."""
        found = self._ask(prefix, lambda client: list(client.get_prefix(self._prefix + prefix)))
        return [self._decode(metadata.key.decode(), value) for value, metadata in found]

    def write(self, key: str, value: Object, mod_revision: int) -> None:
        """Create (mod_revision 0) or update. Raises Conflict if the key is at another revision.

        That may be our own write's, when the member that made it failed before it answered.
        """
        name = self._prefix + key
        stored = self._encode(name, value)
        succeeded, _ = self._ask(
            key,
            lambda client: client.transaction(
                compare=[client.transactions.mod(name) == mod_revision],
                success=[client.transactions.put(name, stored)],
                failure=[],
            ),
        )
        if not succeeded:
            raise Conflict(key)

    def put_for(self, key: str, value: Object, ttl: int) -> None:
        """Write a key that vanishes after `ttl` seconds, with a lease of its own."""
        name = self._prefix + key
        stored = self._encode(name, value)
        self._ask(key, lambda client: client.put(name, stored, lease=client.lease(ttl)))

    def delete(self, key: str) -> bool:
        """Remove a key; whether it was there."""
        return bool(self._ask(key, lambda client: client.delete(self._prefix + key)))

    def _ask(self, key: str, call: Callable[[Any], Any]) -> Any:
        """Ask a member that has the key, and when it fails the others, each once. The client itself moves on at the next
        call only."""
        client = next((found for folder, found in self._others.items() if key.startswith(folder)), self._client)
        for _ in range(len(client.endpoints) - 1):
            try:
                return call(client)
            except StoreError:
                continue
        return call(client)

    def close(self) -> None:
        """Close the connections."""
        for client in (self._client, *self._others.values()):
            client.close()

    def _encode(self, key: str, value: Object) -> bytes:
        self._look_for_rules()
        return self._formats.write(key, orjson.dumps(value))

    def _decode(self, key: str, stored: bytes) -> Object:
        self._look_for_rules()
        found: Object = orjson.loads(self._formats.entry(key, stored, 0).value)
        return found

    def _look_for_rules(self) -> None:
        if self._rules is not None and (rules := self._rules.changed()) is not None:
            self._formats.use(rules)


def _client(servers: Sequence[str], credentials: Any) -> Any:
    endpoints = [_endpoint(server, credentials) for server in servers]
    return etcd3.MultiEndpointEtcd3Client(endpoints, timeout=CALL_TIMEOUT, failover=True)


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
