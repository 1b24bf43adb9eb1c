"""What a server of this configuration serves: its Kubernetes version, the resources, the feature gates.

The master forks each server's processes from one that has called `serve`, so types and gates of a process are those of one
version.
"""

from __future__ import annotations

import functools
import platform

from apiserver_workers.apimachinery import feature_gates, types
from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.enablement import TRUE, resource_enablement
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.server.config import ServerConfig

# The patch release of the version that the recorded answers are of.
PATCHES = {"1.36": 2}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@functools.cache
def serve(config: ServerConfig) -> tuple[ResourceInfo, ...]:
    """This process serves that version from now on. All servers' resources that are on, in discovery order."""
    minor = emulated_minor(config)
    types.serve(minor)
    gates = {name: value in TRUE for name, value in _pairs(config.feature_gates).items()}
    feature_gates.use(gates, minor)
    env.use_compatibility(compatible_minor(config))
    served = resource_enablement(
        minor,
        _pairs(config.runtime_config),
        gates=gates,
        binary_minor=config.kubernetes_version,
        forward=config.emulation_forward_compatible,
        config_forward=config.runtime_config_emulation_forward_compatible,
    )
    if newer := {(info.group, info.version, info.kind) for info in served} - types.model().schemas.kinds.keys():
        types.model().adopt(config.kubernetes_version, newer)
    return tuple(served)


def emulated_minor(config: ServerConfig) -> str:
    """The minor version whose API is served."""
    return _minor_of(config.emulated_version, config.kubernetes_version)


def compatible_minor(config: ServerConfig) -> str:
    """The oldest minor version that other servers of the cluster may have."""
    return _minor_of(config.min_compatibility_version, _before(emulated_minor(config)))


def version_info(config: ServerConfig) -> dict[str, str]:
    """What /version answers (k8s.io/apimachinery/pkg/version.Info)."""
    binary = config.kubernetes_version
    major, _, minor = binary.partition(".")
    emulated = emulated_minor(config)
    compatible = compatible_minor(config)
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": emulated.partition(".")[0],
        "emulationMinor": emulated.partition(".")[2],
        "minCompatibilityMajor": compatible.partition(".")[0],
        "minCompatibilityMinor": compatible.partition(".")[2],
        "gitVersion": config.version or f"v{binary}.{PATCHES.get(binary, 0)}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system().lower()}/{MACHINES.get(platform.machine(), platform.machine())}",
    }


def _minor_of(versions: tuple[str, ...], default: str) -> str:
    """`1.33` of ("kube=1.33",)."""
    return versions[0].rpartition("=")[2].strip().lstrip("v") if versions else default


def _before(minor: str) -> str:
    major, _, number = minor.partition(".")
    return f"{major}.{int(number) - 1}"


def _pairs(items: tuple[str, ...]) -> dict[str, str]:
    return {key: value for key, _, value in (item.rpartition("=") for item in items)}
