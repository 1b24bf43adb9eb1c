"""Backend: what a server that stores resources runs on: etcd, the watch cache, admission and the registry."""

from __future__ import annotations

import ssl
from collections.abc import Iterable

from workers.admission.chain import AdmissionChain
from workers.apimachinery import codec, protobuf, types
from workers.apimachinery.errors import qualified
from workers.apimachinery.resources import catalogue
from workers.registry.registry import Registry
from workers.server.config import ServerConfig
from workers.server.metrics import RESOURCE_OBJECTS, STORAGE_OBJECTS
from workers.storage.etcd import EtcdStorage
from workers.storage.transport.channel import client_tls
from workers.storage.watch_cache import EtcdWatchCache


class Backend:
    """One worker's storage and registry. Make it in the worker: it connects. `only` limits the cache to these prefixes."""

    def __init__(self, config: ServerConfig, *, only: Iterable[str] | None = None) -> None:
        self.storage = EtcdStorage(config.etcd_servers, tls=etcd_tls(config), decode_protobuf=decode_stored)
        self.cache = EtcdWatchCache(self.storage, config.etcd_prefix, only=only)
        self.registry = Registry(
            storage=self.storage, cache=self.cache, settings=config, etcd_prefix=config.etcd_prefix
        )
        self.admission = self.registry.admission = AdmissionChain(
            self.registry, enable=config.enable_admission_plugins, disable=config.disable_admission_plugins
        )

    async def start(self) -> None:
        """Returns when the cache is full."""
        await self.cache.start()
        STORAGE_OBJECTS.follow(lambda: {(qualified(name, group),): n for (group, name), n in self._counts()})
        RESOURCE_OBJECTS.follow(lambda: dict(self._counts()))

    def _counts(self) -> list[tuple[tuple[str, str], float]]:
        """How many objects each built-in resource has, by group and name."""
        counts = self.cache.counts()
        infos = catalogue().values()
        return [((i.group, i.resource), float(counts[i.storage_prefix])) for i in infos if i.storage_prefix in counts]

    async def stop(self) -> None:
        await self.cache.stop()
        await self.storage.close()


def etcd_tls(config: ServerConfig) -> ssl.SSLContext | None:
    """The TLS context for etcd, None where its URLs are plain."""
    if not any(url.startswith(("https", "unixs")) for url in config.etcd_servers):
        return None
    return client_tls(cafile=config.etcd_cafile, certfile=config.etcd_certfile, keyfile=config.etcd_keyfile)


def decode_stored(value: bytes) -> dict[str, object]:
    """An object that another API server stored as protobuf."""
    api_version, kind, _ = protobuf.open_envelope(value)
    group, _, version = api_version.rpartition("/")
    type = types.model().kind(group, version, kind)
    return codec.normalise(type, protobuf.decode_object(type, value))
