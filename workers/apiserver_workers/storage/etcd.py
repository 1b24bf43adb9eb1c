"""The storage on etcd: each verb is one call, each write one compare-and-swap transaction.

A write whose answer was lost may have happened. Repeating the same compare-and-swap is safe, because at most one of the
two can succeed; if the repetition succeeds the outcome is known. If it meets another revision, only a created object can
prove that the first attempt was ours (its uid is made for this one request); anything else stays `Unavailable`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.entry import JSONEntry
from apiserver_workers.storage.etcd_api import (
    COMPACT,
    LEASE_GRANT,
    LEASE_NOT_FOUND,
    RANGE,
    STATUS,
    TXN,
    WATCH,
    Method,
    prefix_end,
    translate,
)
from apiserver_workers.storage.formats import Formats
from apiserver_workers.storage.interface import (
    MAX_REVISION,
    Compacted,
    Entry,
    Event,
    FutureRevision,
    KeyExists,
    Listing,
    Mismatch,
    Shape,
    StorageError,
    Unavailable,
)
from apiserver_workers.storage.leases import MAX_WINDOW, LeaseManager
from apiserver_workers.storage.read_index import ReadIndex
from apiserver_workers.storage.transport.channel import Channel
from apiserver_workers.storage.transport.streams import RpcError

PROBE_KEY = b"compact_rev_key"
RETRY_PAUSE = 0.1
UID = b'"uid":"'


class EtcdStorage:
    """Storage (interface.py) on an etcd cluster. Connects at the first call, on the loop that makes it."""

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        probe_timeout: float = 3.0,
        formats: Formats | None = None,
        lease_reuse: float = MAX_WINDOW,
    ) -> None:
        self.channel = Channel(endpoints, tls=tls)
        self.formats = formats or Formats()
        self.entry = self.formats.entry
        self._timeout = timeout
        self._probe_timeout = probe_timeout
        self._read_index = ReadIndex(self._probe)
        self._leases = LeaseManager(self._grant, reuse=lease_reuse)

    def of(self, key: str) -> EtcdStorage:
        """The cluster that a key lies in: this one."""
        return self

    async def close(self) -> None:
        """Close the connections; calls under way raise Unavailable."""
        await self.channel.close()

    # reads

    async def get(self, key: str, revision: int = 0) -> JSONEntry | None:
        """The entry at `key` (at `revision`, 0: now, linearizable). Raises Compacted, FutureRevision, Unavailable."""
        answer = await self.call(RANGE, rpc.RangeRequest(key=key.encode(), revision=revision))
        return self._entry(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, start_key: str = "", limit: int = 0, revision: int = 0) -> Listing:
        """A page of the keys below `prefix`. Raises Compacted, FutureRevision, Unavailable."""
        if revision > MAX_REVISION:
            raise FutureRevision(await self.current_revision())
        request = rpc.RangeRequest(
            key=(start_key or prefix).encode(), range_end=prefix_end(prefix.encode()), limit=limit, revision=revision
        )
        try:
            answer = await self.call(RANGE, request)
        except FutureRevision:
            raise FutureRevision(await self.current_revision()) from None
        entries = [self._entry(kv) for kv in answer.kvs]
        return Listing(entries, revision or answer.header.revision, answer.count - len(entries))

    async def current_revision(self) -> int:
        """A linearizable revision, read after this call began. Raises Unavailable."""
        return await self._read_index.current()

    def stale(self, entry: Entry) -> bool:
        """Whether the entry lies in etcd otherwise than it would be written now. Raises Unreadable."""
        return isinstance(entry, JSONEntry) and self.formats.stale(entry)

    def shape(self, prefix: str, shape: Shape) -> None:
        """Bring what is read below a resource's prefix into shape from now on."""
        self.formats.shape(prefix, shape)

    def forget(self, prefix: str) -> None:
        """Nothing lies below this prefix that is served any more."""
        self.formats.forget(prefix)

    async def status(self) -> rpc.StatusResponse:
        """The state of the member that answers (version, database size, leader). Raises Unavailable."""
        return await self.call(STATUS, rpc.StatusRequest())

    # writes

    async def create(self, key: str, value: bytes, *, ttl: float = 0) -> int:
        """The new revision. Raises KeyExists, Unavailable."""
        stored = self.formats.write(key, value)
        answer, repeated = await self._put(key, stored, 0, ttl)
        if answer.succeeded:
            return answer.header.revision
        if not repeated:
            raise KeyExists(key)
        present = answer.responses[0].response_range.kvs
        if present and present[0].value == stored and UID in value:
            return present[0].mod_revision
        raise Unavailable("the outcome of the write is unknown")

    async def update(self, key: str, value: bytes, mod_revision: int, *, ttl: float = 0) -> int:
        """The new revision. Raises Mismatch, Unavailable."""
        return self._outcome(*await self._put(key, self.formats.write(key, value), mod_revision, ttl))

    async def delete(self, key: str, mod_revision: int) -> int:
        """The deletion's revision. Raises Mismatch, Unavailable."""
        name = key.encode()
        change = rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=name))
        return self._outcome(*await self._swap(_transaction(name, mod_revision, change)))

    async def compact(self, revision: int) -> None:
        """Forget the history before `revision`. Raises Compacted if that has happened already."""
        await self.call(COMPACT, rpc.CompactionRequest(revision=revision))

    # watching

    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[Sequence[Event]]:
        """Batches of events, resumed after failures. Raises Compacted."""
        key, end = prefix.encode(), prefix_end(prefix.encode())
        while True:
            try:
                async with aclosing(self.watch_stream(key, end, start_revision, prev_kv=True)) as answers:
                    async for answer in answers:
                        if answer.events:
                            start_revision = answer.events[-1].kv.mod_revision + 1
                            yield [event for change in answer.events if (event := self.event(change))]
            except Unavailable:
                await asyncio.sleep(RETRY_PAUSE)

    async def watch_stream(
        self, key: bytes, range_end: bytes, start_revision: int, *, prev_kv: bool = False
    ) -> AsyncGenerator[rpc.WatchResponse, None]:
        """etcd's answers of one watch, the one that says "created" first. Raises Compacted, Unavailable."""
        create = rpc.WatchCreateRequest(key=key, range_end=range_end, start_revision=start_revision, prev_kv=prev_kv)
        try:
            stream = await self.channel.open(WATCH, rpc.WatchRequest(create_request=create), self._timeout)
        except RpcError as error:
            raise translate(error) from None
        try:
            async for message in stream:
                answer = rpc.WatchResponse.FromString(message)
                if answer.canceled:
                    raise (
                        Compacted(answer.compact_revision)
                        if answer.compact_revision
                        else Unavailable(f"watch cancelled: {answer.cancel_reason}")
                    )
                yield answer
            raise Unavailable("watch ended")
        except RpcError as error:
            raise translate(error) from None
        finally:
            stream.close()

    def event(self, change: rpc.Event) -> Event | None:
        """The event of a change that came with its previous value; None for a deletion whose last state is compacted."""
        kv = change.kv
        previous = self._entry(change.prev_kv) if change.HasField("prev_kv") else None
        if change.type == rpc.Event.PUT:
            return Event("MODIFIED" if previous else "ADDED", self._entry(kv), previous)
        return Event("DELETED", previous.at(kv.mod_revision), previous) if previous else None

    # below the verbs

    async def call(self, method: Method[Any], request: Any) -> Any:
        """One call with the default deadline. Raises StorageError."""
        try:
            return await self.channel.call(method, request, self._timeout)
        except RpcError as error:
            raise translate(error) from None

    async def _probe(self) -> int:
        request = rpc.RangeRequest(key=PROBE_KEY, count_only=True)
        try:
            answer = await self.channel.call(RANGE, request, self._probe_timeout)
        except RpcError as error:
            raise translate(error) from None
        return answer.header.revision

    async def _grant(self, seconds: int) -> int:
        answer = await self.call(LEASE_GRANT, rpc.LeaseGrantRequest(TTL=seconds))
        return answer.ID

    async def _put(self, key: str, stored: bytes, mod_revision: int, ttl: float) -> tuple[rpc.TxnResponse, bool]:
        name = key.encode()
        while True:
            lease = await self._leases.lease_for(ttl) if ttl else 0
            change = rpc.RequestOp(request_put=rpc.PutRequest(key=name, value=stored, lease=lease))
            try:
                return await self._swap(_transaction(name, mod_revision, change))
            except StorageError as error:
                if str(error) != LEASE_NOT_FOUND:
                    raise
                self._leases.forget(lease)

    async def _swap(self, request: rpc.TxnRequest) -> tuple[rpc.TxnResponse, bool]:
        """The transaction's answer, and whether it was sent more than once because an outcome was unknown."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        repeated = False
        while True:
            try:
                return await self.channel.call(TXN, request, deadline - loop.time()), repeated
            except RpcError as error:
                failure = translate(error)
                if not isinstance(failure, Unavailable) or loop.time() + RETRY_PAUSE >= deadline:
                    raise failure from None
                repeated = repeated or not error.unsent
                await asyncio.sleep(RETRY_PAUSE)

    def _outcome(self, answer: rpc.TxnResponse, repeated: bool) -> int:
        if answer.succeeded:
            return answer.header.revision
        if repeated:
            raise Unavailable("the outcome of the write is unknown")
        raise Mismatch(self._current(answer))

    def _current(self, answer: rpc.TxnResponse) -> JSONEntry | None:
        kvs = answer.responses[0].response_range.kvs
        return self._entry(kvs[0]) if kvs else None

    def _entry(self, kv: rpc.KeyValue) -> JSONEntry:
        return self.entry(kv.key.decode(), kv.value, kv.mod_revision)


def _transaction(key: bytes, mod_revision: int, change: rpc.RequestOp) -> rpc.TxnRequest:
    """`change` if the key is at `mod_revision` (0: absent), else a read of the key."""
    return rpc.TxnRequest(
        compare=[rpc.Compare(target=rpc.Compare.MOD, key=key, mod_revision=mod_revision)],
        success=[change],
        failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=key))],
    )
