"""etcd in memory, behind the storage's own code: the storage contract without a process.

`MemoryChannel` stands where the gRPC channel does and answers the calls that the storage makes. Several storages may
share one `MemoryKeys`, as several workers share an etcd.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator
from typing import Any

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.etcd_api import COMPACTED, FUTURE_REVISION
from apiserver_workers.storage.transport.streams import RpcError

OUT_OF_RANGE, INVALID_ARGUMENT = 11, 3
MAX_REQUEST = 1_572_864  # bytes: etcd's --max-request-bytes
TOO_LARGE = "etcdserver: request is too large"
Change = tuple[int, bytes, "rpc.KeyValue | None"]  # revision, key, what it became (None: deleted)


class MemoryKeys:
    """All keys with their history."""

    def __init__(self) -> None:
        self.revision = 1
        self.compacted = 0
        self._history: dict[bytes, list[tuple[int, rpc.KeyValue | None]]] = {}
        self._sorted: list[bytes] = []
        self._changes: list[Change] = []
        self._leases: dict[int, set[bytes]] = {}
        self._watches: set[MemoryWatch] = set()

    def at(self, key: bytes, revision: int) -> rpc.KeyValue | None:
        """What a key was at a revision."""
        versions = self._history.get(key, [])
        place = bisect_left(versions, revision + 1, key=lambda version: version[0])
        return versions[place - 1][1] if place else None

    def keys(self, key: bytes, end: bytes) -> Iterator[bytes]:
        """The keys of a range that ever were."""
        start = bisect_left(self._sorted, key)
        for place in range(start, len(self._sorted)):
            found = self._sorted[place]
            if not within(found, key, end):
                return
            yield found

    def check(self, revision: int) -> None:
        if revision > self.revision:
            raise RpcError(OUT_OF_RANGE, FUTURE_REVISION)
        if revision < self.compacted:
            raise RpcError(OUT_OF_RANGE, COMPACTED)

    def write(self, key: bytes, value: bytes | None, lease: int = 0) -> None:
        """Put a value, or delete the key."""
        before = self.at(key, self.revision)
        self.revision += 1
        kept = None
        if value is not None:
            created = before.create_revision if before else self.revision
            kept = rpc.KeyValue(key=key, value=value, create_revision=created, mod_revision=self.revision, lease=lease)
            if lease:
                self._leases.setdefault(lease, set()).add(key)
        if key not in self._history:
            self._history[key] = []
            insort(self._sorted, key)
        self._history[key].append((self.revision, kept))
        self._changes.append((self.revision, key, kept))
        for watch in list(self._watches):
            watch.tell((self.revision, key, kept))

    def grant(self, seconds: int) -> int:
        """A lease: its keys are deleted when it has run out."""
        lease = len(self._leases) + 1
        self._leases[lease] = set()
        asyncio.get_running_loop().call_later(seconds, self._expire, lease)
        return lease

    def _expire(self, lease: int) -> None:
        for key in sorted(self._leases.pop(lease)):
            held = self.at(key, self.revision)
            if held is not None and held.lease == lease:
                self.write(key, None)

    def compact(self, revision: int) -> None:
        if revision <= self.compacted:
            raise RpcError(OUT_OF_RANGE, COMPACTED)
        self.compacted = revision

    def since(self, revision: int) -> list[Change]:
        return self._changes[bisect_left(self._changes, revision, key=lambda change: change[0]) :]

    def follow(self, watch: MemoryWatch, on: bool) -> None:
        (self._watches.add if on else self._watches.discard)(watch)


class MemoryWatch:
    """The stream of one watch."""

    def __init__(self, keys: MemoryKeys, create: rpc.WatchCreateRequest) -> None:
        self._keys = keys
        self._create = create
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue()
        start = create.start_revision or keys.revision + 1
        self._put(rpc.WatchResponse(created=True))
        if start < keys.compacted:
            self._put(rpc.WatchResponse(canceled=True, compact_revision=keys.compacted))
            return
        for change in keys.since(start):
            self.tell(change)
        keys.follow(self, True)

    def tell(self, change: Change) -> None:
        revision, key, kept = change
        if revision < self._create.start_revision or not within(key, self._create.key, self._create.range_end):
            return
        event = rpc.Event(type=rpc.Event.PUT, kv=kept)
        if kept is None:
            event = rpc.Event(type=rpc.Event.DELETE, kv=rpc.KeyValue(key=key, mod_revision=revision))
        before = self._keys.at(key, revision - 1)
        if self._create.prev_kv and before is not None and before.mod_revision >= self._keys.compacted:
            event.prev_kv.CopyFrom(before)
        self._put(rpc.WatchResponse(events=[event]))

    def close(self) -> None:
        self._keys.follow(self, False)
        self._messages.put_nowait(None)

    def __aiter__(self) -> MemoryWatch:
        return self

    async def __anext__(self) -> bytes:
        message = await self._messages.get()
        if message is None:
            raise StopAsyncIteration
        return message

    def _put(self, answer: rpc.WatchResponse) -> None:
        answer.header.revision = self._keys.revision
        answer.header.cluster_id = 1
        self._messages.put_nowait(answer.SerializeToString())


class MemoryChannel:
    """A Channel (storage/transport) to keys in memory."""

    def __init__(self, keys: MemoryKeys) -> None:
        self._keys = keys
        self._methods: dict[str, Callable[[Any], Any]] = {
            "Range": self._range,
            "Txn": self._txn,
            "Compact": self._compact,
            "LeaseGrant": lambda request: rpc.LeaseGrantResponse(ID=keys.grant(request.TTL), TTL=request.TTL),
            "Status": lambda request: rpc.StatusResponse(version="3.5.0", leader=1),
        }

    async def call(self, method: Any, request: Any, timeout: float) -> Any:
        await asyncio.sleep(0)
        if request.ByteSize() > MAX_REQUEST:
            raise RpcError(INVALID_ARGUMENT, TOO_LARGE)
        answer = self._methods[method.path.rpartition("/")[2]](request)
        answer.header.revision = self._keys.revision
        return answer

    async def open(self, method: Any, request: rpc.WatchRequest, timeout: float) -> MemoryWatch:
        return MemoryWatch(self._keys, request.create_request)

    async def close(self) -> None:
        """Nothing is open."""

    def _range(self, request: rpc.RangeRequest) -> rpc.RangeResponse:
        keys = self._keys
        revision = request.revision or keys.revision
        keys.check(revision)
        names = keys.keys(request.key, request.range_end)
        found = [held for name in names if (held := keys.at(name, revision)) is not None]
        answer = rpc.RangeResponse(count=len(found))
        if not request.count_only:
            found = [held for held in found if held.mod_revision >= request.min_mod_revision]
            answer.kvs.extend(found[: request.limit] if request.limit else found)
        return answer

    def _txn(self, request: rpc.TxnRequest) -> rpc.TxnResponse:
        """A compare-and-swap of one key, which is all that the storage asks for."""
        [compare] = request.compare
        held = self._keys.at(compare.key, self._keys.revision)
        if (held.mod_revision if held else 0) != compare.mod_revision:
            [otherwise] = request.failure
            read = rpc.ResponseOp(response_range=self._range(otherwise.request_range))
            return rpc.TxnResponse(succeeded=False, responses=[read])
        [change] = request.success
        if change.HasField("request_put"):
            self._keys.write(change.request_put.key, change.request_put.value, change.request_put.lease)
        else:
            self._keys.write(change.request_delete_range.key, None)
        return rpc.TxnResponse(succeeded=True)

    def _compact(self, request: rpc.CompactionRequest) -> rpc.CompactionResponse:
        self._keys.compact(request.revision)
        return rpc.CompactionResponse()


def within(key: bytes, start: bytes, end: bytes) -> bool:
    """Whether a key lies in etcd's range: one key, all from `start` on (end is a zero byte), or up to `end`."""
    if not end:
        return key == start
    return key >= start and (end == b"\x00" or key < end)


def memory_storage(keys: MemoryKeys | None = None, **options: Any) -> EtcdStorage:
    """A storage on keys in memory; its own ones unless some are given."""
    storage = EtcdStorage(["http://memory"], **options)
    storage.channel = MemoryChannel(keys or MemoryKeys())  # type: ignore[assignment]
    return storage
