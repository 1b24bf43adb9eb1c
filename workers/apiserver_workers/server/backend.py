"""Backend: what a server that stores resources runs on: etcd, the watch cache, admission and the registry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from apiserver_workers.admission.chain import AdmissionChain, followed_prefixes
from apiserver_workers.apimachinery import types
from apiserver_workers.apimachinery.builtin_kind import BuiltinKinds
from apiserver_workers.apimachinery.errors import qualified
from apiserver_workers.apimachinery.resources import stored_prefixes
from apiserver_workers.registry.attributes import Admission
from apiserver_workers.registry.registry import Registry
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.health import HealthChecks, add_storage_checks
from apiserver_workers.server.metrics import RESOURCE_OBJECTS, STORAGE_OBJECTS
from apiserver_workers.storage.encryption.reload import follow_file
from apiserver_workers.storage.factory import Clusters, cache_windows, storage_formats, watched_rules
from apiserver_workers.storage.size import poll_sizes
from apiserver_workers.storage.watch_cache import EtcdWatchCache


def unguarded(chain: AdmissionChain, registry: Registry) -> Admission:
    """The chain as it is."""
    return chain


def _plugins(config: ServerConfig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plugins that are asked for and those that are taken out."""
    return config.enable_admission_plugins, config.disable_admission_plugins


class Backend:
    """One worker's storage and registry. Make it in the worker: it connects.

    The cache follows the storage prefixes `keep` by one watch (by default those of all built-in resources), or with `only`
    these by a watch each, and what admission follows besides. `kinds` are the built-in ones, by default of the version that the process serves; `guard` makes
    what stands around the admission chain, from the chain and the registry.
    """

    def __init__(
        self,
        config: ServerConfig,
        *,
        keep: Iterable[str] | None = None,
        only: Iterable[str] | None = None,
        kinds: BuiltinKinds | None = None,
        guard: Callable[[AdmissionChain, Registry], Admission] = unguarded,
    ) -> None:
        self._config = config
        self._watchers: list[asyncio.Task[None]] = []
        self.clusters = Clusters(config, storage_formats(config))
        self.storage = self.clusters.storage
        if only is not None:
            only = dict.fromkeys((*only, *followed_prefixes(*_plugins(config))))
        self.cache = EtcdWatchCache(
            self.storage,
            config.etcd_prefix,
            keep=stored_prefixes() if keep is None else keep,
            only=only,
            windows=cache_windows(config),
            quorum=config.etcd_quorum_read,
        )
        self._guard = guard
        self.registry = Registry(
            kinds=kinds or BuiltinKinds(types.model()),
            storage=self.storage,
            cache=self.cache,
            settings=config,
            admission=self._admission,
            etcd_prefix=config.etcd_prefix,
        )

    def _admission(self, registry: Registry) -> Admission:
        enable, disable = _plugins(self._config)
        self.admission = AdmissionChain(registry, enable=enable, disable=disable)
        return self._guard(self.admission, registry)

    async def start(self) -> None:
        """Returns when the cache is full."""
        await self.cache.start()
        await self.admission.start()
        self._watchers = [
            asyncio.create_task(watcher)
            for watcher in (poll_sizes(self.clusters, self._config.etcd_db_metric_poll_interval), self._follow_rules())
        ]
        if self._config.etcd_count_metric_poll_period:
            STORAGE_OBJECTS.follow(lambda: {(qualified(name, group),): n for (group, name), n in self._counts()})
            RESOURCE_OBJECTS.follow(lambda: dict(self._counts()))

    def add_checks(self, health: HealthChecks) -> None:
        """The health checks of etcd and the cache."""
        live, ready = self._config.etcd_healthcheck_timeout, self._config.etcd_readycheck_timeout
        add_storage_checks(health, self.clusters, lambda: self.cache.healthy, live=live, ready=ready)

    async def _follow_rules(self) -> None:
        """Take the encryption's rules over when their file changes."""
        formats = self.clusters.formats
        if file := watched_rules(self._config, formats):
            await follow_file(file, formats.use)

    def _counts(self) -> list[tuple[tuple[str, str], float]]:
        """How many objects each resource that is served now has, by group and name."""
        counts = self.cache.counts()
        infos = self.registry.resources()
        return [((i.group, i.resource), float(counts[i.storage_prefix])) for i in infos if i.storage_prefix in counts]

    async def stop(self) -> None:
        for watcher in self._watchers:
            watcher.cancel()
        await self.admission.stop()
        await self.cache.stop()
        await self.clusters.close()
