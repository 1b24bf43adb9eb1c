"""etcd's methods that we call, and what its errors mean to the storage."""

from __future__ import annotations

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.interface import Compacted, FutureRevision, StorageError, TooLarge, Unavailable
from apiserver_workers.storage.transport.channel import Method
from apiserver_workers.storage.transport.streams import CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, RpcError

RANGE: Method[rpc.RangeResponse] = Method("/etcdserverpb.KV/Range", rpc.RangeResponse, reads=True)
TXN: Method[rpc.TxnResponse] = Method("/etcdserverpb.KV/Txn", rpc.TxnResponse)
COMPACT: Method[rpc.CompactionResponse] = Method("/etcdserverpb.KV/Compact", rpc.CompactionResponse)
LEASE_GRANT: Method[rpc.LeaseGrantResponse] = Method(
    "/etcdserverpb.Lease/LeaseGrant", rpc.LeaseGrantResponse, reads=True
)
STATUS: Method[rpc.StatusResponse] = Method("/etcdserverpb.Maintenance/Status", rpc.StatusResponse, reads=True)
# "hasleader": a member that has lost its leader ends the watch instead of falling silent.
WATCH: Method[rpc.WatchResponse] = Method(
    "/etcdserverpb.Watch/Watch", rpc.WatchResponse, metadata=(("hasleader", "true"),)
)

COMPACTED = "etcdserver: mvcc: required revision has been compacted"
FUTURE_REVISION = "etcdserver: mvcc: required revision is a future revision"
TOO_LARGE = "etcdserver: request is too large"
TOO_LONG = "grpc: received message larger than max"
TOO_LONG_UNSENT = "rpc error: code = ResourceExhausted desc = trying to send message larger than max"
LEASE_NOT_FOUND = "etcdserver: requested lease not found"

_UNKNOWN_OUTCOME = (CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE)


def translate(error: RpcError) -> StorageError:
    """The storage's error for a failed call."""
    if error.message == COMPACTED:
        return Compacted()
    if error.message == FUTURE_REVISION:
        return FutureRevision(0)
    if error.code in _UNKNOWN_OUTCOME:
        return Unavailable(error.message)
    if error.message == TOO_LARGE:
        return TooLarge(error.message)
    if error.message.startswith(TOO_LONG):
        # etcd's own client does not even send what the server's transport refuses
        return TooLarge(f"{TOO_LONG_UNSENT}{error.message.removeprefix(TOO_LONG)}")
    return StorageError(error.message)


def prefix_end(prefix: bytes) -> bytes:
    """The end of the key range that holds everything below `prefix`; an empty prefix is the whole key space."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else b"\x00"
