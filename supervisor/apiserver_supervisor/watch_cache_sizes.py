"""Which resources are cached, and the estimates of old releases from --target-ram-mb.

Upstream: pkg/kubeapiserver/default_storage_factory_builder.go; until 1.12 pkg/registry/cachesize.
"""

from __future__ import annotations

from typing import Any

MEGABYTES_PER_NODE = 60
# resource: watch cache entries per node of the cluster, and the least
HEURISTIC = {
    "replicationcontrollers": (5, 100),
    "endpoints": (10, 1000),
    "nodes": (5, 1000),
    "pods": (50, 1000),
    "services": (5, 1000),
    "apiservices.apiregistration.k8s.io": (5, 1000),
}


def cluster_size(target_ram_mb: int) -> int:
    """How many nodes a memory budget in megabytes is meant for."""
    return target_ram_mb // MEGABYTES_PER_NODE


def deserialization_cache_size(target_ram_mb: int) -> int:
    """Decoded objects that the etcd2 backend would have kept."""
    return max(25 * cluster_size(target_ram_mb), 1000)


def watch_cache_sizes(options: Any) -> tuple[str, ...]:
    """The sizes of all resources that have one, resource[.group]#n; what the user says replaces what is estimated.

    Malformed entries are kept as they are, for Validate to name them.
    """
    sizes: dict[str, int | str] = {}
    if options.watch_cache and options.target_ram_mb > 0:
        nodes = cluster_size(options.target_ram_mb)
        sizes |= {resource: max(each * nodes, least) for resource, (each, least) in HEURISTIC.items()}
    malformed = []
    for entry in options.watch_cache_sizes:
        resource, separator, size = entry.partition("#")
        if separator and size:
            sizes[resource] = size
        else:
            malformed.append(entry)
    return (*(f"{resource}#{size}" for resource, size in sizes.items()), *malformed)
