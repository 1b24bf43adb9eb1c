"""etcd as somebody outside sees it: what is stored, how long leases last, and every change as it comes."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import etcd3
import grpc
from apiserver_workers.apimachinery import codec, protobuf, types
from etcd3 import etcdrpc

Object = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """A key was written, or has gone: then `value` is None. `lease` is the id of the write's lease, 0 without."""

    at: float
    key: str
    value: Object | None
    lease: int
    revision: int


class EtcdView:
    """One etcd member, below a prefix."""

    def __init__(self, url: str, prefix: str = "/registry") -> None:
        parts = urlsplit(url)
        self.client = etcd3.client(parts.hostname, parts.port, timeout=10)
        self.prefix = prefix
        self.changes: list[Change] = []

    def get(self, key: str) -> Object | None:
        value, _ = self.client.get(f"{self.prefix}/{key}")
        return None if value is None else decode(value)

    def put(self, key: str, obj: Object) -> None:
        self.client.put(f"{self.prefix}/{key}", json.dumps(obj, separators=(",", ":")))

    def delete(self, key: str) -> None:
        self.client.delete(f"{self.prefix}/{key}")

    def keys(self, key: str) -> list[str]:
        """The keys below a key, without it."""
        found = self.client.get_prefix(f"{self.prefix}/{key}", keys_only=True)
        return sorted(meta.key.decode().removeprefix(f"{self.prefix}/{key}") for _, meta in found)

    def time_to_live(self, lease: int) -> tuple[int, int]:
        """Seconds that a lease was granted, and that it has left."""
        found = self.client.get_lease_info(lease)
        return found.grantedTTL, found.TTL

    def follow(self) -> None:
        """Record every change from now on, until the view is closed."""
        first = f"{self.prefix}/".encode()
        creation = etcdrpc.WatchCreateRequest(key=first, range_end=first[:-1] + b"0")
        requests: queue.Queue[Any] = queue.Queue()
        requests.put(etcdrpc.WatchRequest(create_request=creation))
        answers = etcdrpc.WatchStub(self.client.channel).Watch(iter(requests.get, None))
        assert next(answers).created
        threading.Thread(target=self._record, args=(answers,), daemon=True).start()

    def of(self, key: str) -> list[Change]:
        """The recorded changes of a key, in their order."""
        return [change for change in list(self.changes) if change.key == key]

    def close(self) -> None:
        self.client.close()

    def _record(self, answers: Any) -> None:
        with contextlib.suppress(grpc.RpcError):  # closed
            for answer in answers:
                self.changes += [self._change(event) for event in answer.events]

    def _change(self, event: Any) -> Change:
        kv = event.kv
        value = None if event.type == event.DELETE else decode(kv.value)
        key = kv.key.decode().removeprefix(f"{self.prefix}/")
        return Change(time.monotonic(), key, value, kv.lease, kv.mod_revision)


def decode(value: bytes) -> Object:
    """A stored object, whether it is JSON or protobuf."""
    if not value.startswith(b"k8s\0"):
        return json.loads(value)
    api_version, kind, _ = protobuf.open_envelope(value)
    group, _, version = api_version.rpartition("/")
    type = types.model().kind(group, version, kind)
    return {"kind": kind, "apiVersion": api_version, **codec.normalise(type, protobuf.decode_object(type, value))}


def ips(endpoints: Object | None) -> list[str]:
    """The addresses of an Endpoints object, in their order."""
    return [one["ip"] for subset in (endpoints or {}).get("subsets") or [] for one in subset["addresses"]]


def slice_ips(found: Object | None) -> list[str]:
    """The addresses of an EndpointSlice, in their order."""
    return [ip for endpoint in (found or {}).get("endpoints") or [] for ip in endpoint["addresses"]]
