"""API enablement flags, and what they, the Kubernetes versions and the feature gates say together."""

from __future__ import annotations

from typing import Any

from apiserver_supervisor.options.feature_gates import gate_faults, gate_warnings
from apiserver_supervisor.options.flag import STRING_MAP, Flag, FlagGroup
from apiserver_supervisor.options.versions import (
    component_minor,
    component_version_faults,
    emulation_faults,
    kubernetes_version_faults,
    served_minor,
)

# While priority and fairness is on its API must be: in the order in which these decide.
_FLOW_CONTROL = ("flowcontrol.apiserver.k8s.io/v1", "api/ga", "api/all")


def completed(options: Any) -> dict[str, Any]:
    """The options of this group as Complete leaves them: legacy keys rewritten, a version without its patch."""
    from apiserver_workers.apimachinery.enablement import rewrite_legacy

    config = options.runtime_config
    return {
        "runtime_config": rewrite_legacy(config) if config else config,
        "kubernetes_version": served_minor(options.kubernetes_version),
    }


def faults(options: Any) -> list[str]:
    """All that is wrong with completed options of versions, gates and --runtime-config."""
    found = [*kubernetes_version_faults("kubernetes-version", options.kubernetes_version)]
    for name in ("emulated-version", "min-compatibility-version"):
        found += component_version_faults(name, getattr(options, name.replace("-", "_")))
    if found:
        return found
    binary = options.kubernetes_version
    minor = component_minor(options.emulated_version, binary)
    found += emulation_faults(
        binary,
        options.emulated_version,
        options.min_compatibility_version,
        forward=options.emulation_forward_compatible or options.runtime_config_emulation_forward_compatible,
    )
    if found:
        return found
    return gate_faults(options.feature_gates, minor) + runtime_config_faults(options, minor, binary)


def warnings(options: Any) -> list[str]:
    """What to warn of at start: gates that have no future."""
    return gate_warnings(options.feature_gates, component_minor(options.emulated_version, options.kubernetes_version))


def runtime_config_faults(options: Any, minor: str, binary: str) -> list[str]:
    """What is wrong with --runtime-config alone, and with what else needs the APIs."""
    config = options.runtime_config
    if not config:
        return []
    from apiserver_workers.apimachinery import enablement

    found = list(enablement.runtime_config_faults(config, enablement.known_versions(minor, binary)))
    if not found and minor != binary and not options.runtime_config_emulation_forward_compatible:
        found += enablement.forward_faults(config, minor, binary)
    if not found and getattr(options, "enable_priority_and_fairness", True):
        key = next((key for key in _FLOW_CONTROL if config.get(key) in ("true", "false")), "")
        if key and config[key] == "false" and minor == binary:
            found.append(f"{key}=false conflicts with --enable-priority-and-fairness=true")
    return [f"--runtime-config: {fault}" for fault in found]


GROUP = FlagGroup(
    "API enablement",
    (
        Flag(
            "runtime-config",
            STRING_MAP,
            {},
            "APIs switched on or off, such as batch/v1=false, networking.k8s.io/v1beta1/ipaddresses=true or api/beta=true;"
            " the more specific key wins. Alpha and beta versions are off.",
        ),
    ),
    (faults,),
)
