"""The size of etcd's databases, as --etcd-db-metric-poll-interval asks for it."""

from __future__ import annotations

import asyncio

from apiserver_workers.apimachinery.metrics import MAX, REGISTRY
from apiserver_workers.storage.factory import Clusters
from apiserver_workers.storage.interface import StorageError

STORAGE_SIZE = REGISTRY.gauge(
    "apiserver_storage_size_bytes",
    "Size of the storage database file physically allocated in bytes.",
    ("storage_cluster_id",),
    merge=MAX,
)


async def poll_sizes(clusters: Clusters, interval: float) -> None:
    """Read the sizes every `interval` seconds, for ever; 0 is never."""
    while interval:
        for number, storage in enumerate(clusters.all):
            try:
                STORAGE_SIZE.set(float((await storage.status()).dbSize), (f"etcd-{number}",))
            except StorageError:
                pass  # health checks tell of it
        await asyncio.sleep(interval)
