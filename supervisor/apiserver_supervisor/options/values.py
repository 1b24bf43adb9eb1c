"""The values that some flags can take, for completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def _authorization_modes() -> Sequence[str]:
    return ("AlwaysAllow", "AlwaysDeny", "ABAC", "Webhook", "RBAC", "Node")


def _plugins() -> Sequence[str]:
    from apiserver_supervisor.options.admission import KNOWN_PLUGINS

    return sorted(KNOWN_PLUGINS)


def _versions() -> Sequence[str]:
    from apiserver_workers.apimachinery.schemas import shipped_minors

    return list(shipped_minors())


def _instances() -> Sequence[str]:
    from apiserver_supervisor.instances import find_instances

    return [instance.name for instance in find_instances()]


def _gates() -> Sequence[str]:
    from apiserver_workers.apimachinery.feature_gates import known_gates

    return [f"{name}={value}" for name in sorted(known_gates()) for value in ("true", "false")]


_VALUES: dict[str, Callable[[], Sequence[str]]] = {
    "admission-control": _plugins,
    "authorization-mode": _authorization_modes,
    "disable-admission-plugins": _plugins,
    "emulated-version": _versions,
    "enable-admission-plugins": _plugins,
    "feature-gates": _gates,
    "instance": _instances,
    "kubernetes-version": _versions,
    "logging-format": lambda: ("text", "json"),
    "min-compatibility-version": _versions,
    "profiling": lambda: ("true", "false"),
    "secure-port": lambda: ("auto", "6443"),
    "storage-media-type": lambda: ("application/json", "application/vnd.kubernetes.protobuf"),
    "endpoint-reconciler-type": lambda: ("lease", "master-count", "none"),
}


def values_of(flag: str) -> Sequence[str]:
    """What a flag, by its name, can be given; nothing if that is anything, such as a file."""
    values = _VALUES.get(flag)
    return values() if values else ()
