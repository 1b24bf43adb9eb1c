"""Compaction of etcd's history, as upstream's compactor does it.

Every interval, the revision seen one interval ago is compacted, so that watches may resume from at least that far back.
Several servers share the work through one key, whose version counts the rounds: who raises it compacts this round.
"""

from __future__ import annotations

import asyncio
import logging

from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.etcd_api import TXN
from apiserver_workers.storage.interface import Compacted, StorageError

log = logging.getLogger(__name__)

KEY = b"compact_rev_key"


async def compactor(storage: EtcdStorage, interval: float) -> None:
    """Compact every `interval` seconds, for ever; one a server is enough. Does nothing when `interval` is 0."""
    if interval <= 0:
        return
    rounds, revision = 0, 0
    while True:
        await asyncio.sleep(interval)
        try:
            rounds, revision = await compact_once(storage, rounds, revision)
        except StorageError as error:
            log.warning("compaction of etcd failed: %s", error)


async def compact_once(storage: EtcdStorage, rounds: int, revision: int) -> tuple[int, int]:
    """One round. Takes the last round's number and revision; returns this one's. Raises StorageError."""
    answer: rpc.TxnResponse = await storage.call(TXN, _claim(rounds, revision))
    current = answer.header.revision
    if not answer.succeeded:  # another server's round, or our first
        kvs = answer.responses[0].response_range.kvs
        return kvs[0].version if kvs else 0, current
    if revision:
        try:
            await storage.compact(revision)
        except Compacted:
            pass  # somebody went further
        log.info("compacted etcd's history before revision %d", revision)
    return rounds + 1, current


def _claim(rounds: int, revision: int) -> rpc.TxnRequest:
    """Raise the key's version from `rounds`, or read it."""
    return rpc.TxnRequest(
        compare=[rpc.Compare(target=rpc.Compare.VERSION, key=KEY, version=rounds)],
        success=[rpc.RequestOp(request_put=rpc.PutRequest(key=KEY, value=str(revision).encode()))],
        failure=[rpc.RequestOp(request_range=rpc.RangeRequest(key=KEY))],
    )
