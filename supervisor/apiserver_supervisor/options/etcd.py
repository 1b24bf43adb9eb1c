"""etcd flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/etcd.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.flag import BOOL, DURATION, INT, STRING, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import (
    etcd_overrides,
    etcd_urls,
    not_negative,
    one_of,
    readable,
    watch_cache_sizes,
)

MEDIA_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


def _servers(options: Any) -> Iterator[str]:
    if not options.etcd_servers and not options.profile.provides:
        yield "--etcd-servers must be specified"


def _reload(options: Any) -> Iterator[str]:
    if options.encryption_provider_config_automatic_reload and not options.encryption_provider_config:
        yield "--encryption-provider-config-automatic-reload must be set with --encryption-provider-config"


def _encryption(options: Any) -> Iterator[str]:
    if not options.encryption_provider_config:
        return
    from apiserver_workers.storage.encryption.config import (  # only when asked for
        EncryptionConfigError,
        load_encryption_config,
    )

    path, reload = options.encryption_provider_config, options.encryption_provider_config_automatic_reload
    try:
        load_encryption_config(path, reload=reload)
    except EncryptionConfigError as error:
        yield f"--encryption-provider-config {path}: {error}"


def _pair(options: Any) -> Iterator[str]:
    if bool(options.etcd_certfile) != bool(options.etcd_keyfile):
        yield "--etcd-certfile and --etcd-keyfile must be specified together"


GROUP = FlagGroup(
    "Etcd",
    (
        Flag(
            "default-watch-cache-size",
            INT,
            100,
            "Whether resources without a size of their own are cached: 0 is no, everything else yes.",
            not_negative,
            deprecated="caches size themselves; only 0 has a meaning",
        ),
        Flag("delete-collection-workers", INT, 1, "Deletions that one DELETE of a collection does at the same time."),
        Flag(
            "deserialization-cache-size",
            INT,
            0,
            "Decoded objects kept in memory by the etcd2 backend, which does not exist any more.",
            legacy="1.24",
        ),
        Flag("enable-garbage-collector", BOOL, True, "Honour orphan and foreground deletion."),
        Flag(
            "encryption-provider-config",
            STRING,
            "",
            "File that says which resources are encrypted in etcd, and how (EncryptionConfiguration): by aescbc, aesgcm or "
            "secretbox; there is no KMS.",
        ),
        Flag(
            "encryption-provider-config-automatic-reload",
            BOOL,
            False,
            "Read --encryption-provider-config again when it changes.",
        ),
        Flag("etcd-cafile", STRING, "", "CA that verifies etcd's certificate.", readable),
        Flag("etcd-certfile", STRING, "", "Client certificate shown to etcd.", readable),
        Flag(
            "etcd-compaction-interval",
            DURATION,
            300.0,
            "Period of compacting etcd's history; 0 is never.",
            not_negative,
        ),
        Flag(
            "etcd-count-metric-poll-period",
            DURATION,
            60.0,
            "How often the objects of each resource are counted for the metrics; 0 is never.",
            not_negative,
        ),
        Flag(
            "etcd-db-metric-poll-interval",
            DURATION,
            30.0,
            "How often the size of etcd's database is read for the metrics; 0 is never.",
            not_negative,
        ),
        Flag("etcd-healthcheck-timeout", DURATION, 2.0, "Time that etcd has to answer the health check.", not_negative),
        Flag("etcd-keyfile", STRING, "", "Key of --etcd-certfile.", readable),
        Flag("etcd-prefix", STRING, "/registry", "Prefix of every key in etcd."),
        Flag(
            "etcd-quorum-read",
            BOOL,
            True,
            "If false, reads may be stale.",
            legacy="1.13",
        ),
        Flag(
            "etcd-readycheck-timeout", DURATION, 2.0, "Time that etcd has to answer the readiness check.", not_negative
        ),
        Flag(
            "etcd-servers",
            STRINGS,
            (),
            "URLs of the etcd members, such as https://127.0.0.1:2379.",
            etcd_urls,
        ),
        Flag(
            "etcd-servers-overrides",
            STRINGS,
            (),
            "Other etcd members for single resources: group/resource#url;url, with an empty group for the core group.",
            etcd_overrides,
        ),
        Flag(
            "experimental-encryption-provider-config",
            STRING,
            "",
            "Old name of --encryption-provider-config.",
            deprecated="use --encryption-provider-config",
            legacy="1.24",
            sets="encryption-provider-config",
            hidden=True,
        ),
        Flag(
            "lease-reuse-duration-seconds",
            INT,
            60,
            "How many seconds one etcd lease is shared by the objects that end together.",
            not_negative,
        ),
        Flag("storage-backend", STRING, "", "Kind of the storage: etcd3.", one_of("", "etcd3")),
        Flag(
            "storage-media-type",
            STRING,
            "application/vnd.kubernetes.protobuf",
            f"How built-in objects are encoded in etcd: {', '.join(MEDIA_TYPES)}.",
            one_of(*MEDIA_TYPES),
        ),
        Flag("watch-cache", BOOL, True, "Serve lists and watches from memory."),
        Flag(
            "watch-cache-sizes",
            STRINGS,
            (),
            "How many events back a watch of single resources may begin: resource[.group]#size; 0 is not cached at all.",
            watch_cache_sizes,
        ),
    ),
    (_servers, _pair, _reload, _encryption),
)
