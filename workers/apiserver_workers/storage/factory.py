"""From a server's options to its storage (DefaultStorageFactory upstream): how objects lie in etcd, and in which one.

`settings` is whatever has the flags' values as attributes: ServerConfig in a worker, the options in the master.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from apiserver_workers.apimachinery.resources import catalogue
from apiserver_workers.storage.encryption.kept import load_rules
from apiserver_workers.storage.encryption.reload import WatchedFile
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.formats import Formats
from apiserver_workers.storage.interface import StorageError
from apiserver_workers.storage.routing import RoutedStorage
from apiserver_workers.storage.transport.channel import client_tls

MEMBER_TIMEOUT = 2.0
# Seconds that a call may take. A cluster that loses its leader lets writes wait for 6 s before it says so, and then
# another member may have to be found.
ONE_MEMBER, SEVERAL_MEMBERS = 10.0, 20.0


class Clusters:
    """The etcd clusters of a server: `all` of them by name, the one without overrides first."""

    def __init__(self, settings: Any, formats: Formats) -> None:
        self.formats = formats
        self._settings = settings
        found: dict[tuple[str, ...], EtcdStorage] = {}
        default = found[tuple(settings.etcd_servers)] = self._cluster(settings.etcd_servers)
        others = {}
        for folder, servers in parse_overrides(settings.etcd_servers_overrides).items():
            if servers not in found:
                found[servers] = self._cluster(servers)
            others[f"{settings.etcd_prefix}/{folder}/"] = found[servers]
        self.all: Sequence[EtcdStorage] = tuple(found.values())
        self.storage: EtcdStorage | RoutedStorage = RoutedStorage(default, others) if others else default

    def _cluster(self, servers: Sequence[str]) -> EtcdStorage:
        return EtcdStorage(
            servers,
            tls=etcd_tls(self._settings, servers),
            timeout=SEVERAL_MEMBERS if len(servers) > 1 else ONE_MEMBER,
            formats=self.formats,
            lease_reuse=self._settings.lease_reuse_duration_seconds,
        )

    @property
    def members(self) -> list[str]:
        """The URLs of all members of all clusters."""
        overrides = parse_overrides(self._settings.etcd_servers_overrides).values()
        return list(dict.fromkeys([*self._settings.etcd_servers, *(url for urls in overrides for url in urls)]))

    async def fault(self, member: str) -> str:
        """Why one member does not answer; "" if it does."""
        storage = EtcdStorage([member], tls=etcd_tls(self._settings, [member]), timeout=MEMBER_TIMEOUT)
        try:
            await storage.status()
        except StorageError as error:
            return str(error)
        finally:
            await storage.close()
        return ""

    async def close(self) -> None:
        """Close all connections."""
        for storage in self.all:
            await storage.close()


def storage_formats(settings: Any) -> Formats:
    """How objects lie in etcd. Raises EncryptionConfigError, ValueError."""
    formats = Formats(
        settings.etcd_prefix, media_type=settings.storage_media_type, storage_versions=settings.storage_versions
    )
    if settings.encryption_provider_config:
        config = load_rules(settings)
        formats.use(config.rules, config.digest)
    return formats


def watched_rules(settings: Any, formats: Formats) -> WatchedFile | None:
    """The file that the encryption's rules are read from again, None if they are to stay as they are."""
    if not settings.encryption_provider_config_automatic_reload:
        return None
    return WatchedFile(settings.encryption_provider_config, formats.digest, settings.run_dir)


def etcd_tls(settings: Any, servers: Sequence[str]) -> ssl.SSLContext | None:
    """The TLS context for these servers, None where their URLs are plain."""
    if not any(url.startswith(("https", "unixs")) for url in servers):
        return None
    return client_tls(cafile=settings.etcd_cafile, certfile=settings.etcd_certfile, keyfile=settings.etcd_keyfile)


def parse_overrides(overrides: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """--etcd-servers-overrides (`group/resource#url;url`) as servers by storage prefix."""
    found = {}
    for entry in overrides:
        name, _, servers = entry.partition("#")
        group, _, resource = name.partition("/")
        found[_storage_prefix(group, resource)] = tuple(servers.split(";"))
    return found


def parse_cache_sizes(sizes: Sequence[str]) -> dict[tuple[str, str], int]:
    """--watch-cache-sizes (`resource[.group]#size`) by group and resource."""
    found = {}
    for entry in sizes:
        name, _, size = entry.partition("#")
        resource, _, group = name.partition(".")
        found[group, resource] = int(size)
    return found


def cache_windows(settings: Any) -> Mapping[str, int]:
    """How many events a watch of a resource may go back, where --watch-cache-sizes says so, by storage prefix."""
    sizes = parse_cache_sizes(settings.watch_cache_sizes)
    return {_storage_prefix(*name): size for name, size in sizes.items() if size}


def is_cached(settings: Any, group: str, resource: str) -> bool:
    """Whether reads of a resource are served from memory."""
    size = parse_cache_sizes(settings.watch_cache_sizes).get((group, resource), settings.default_watch_cache_size)
    return bool(settings.watch_cache and size)


def _storage_prefix(group: str, resource: str) -> str:
    for info in catalogue().values():
        if (info.group, info.resource) == (group, resource) and info.stored_as == (group, info.version):
            return info.storage_prefix
    return f"{group}/{resource}" if group else resource
