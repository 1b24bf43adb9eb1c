"""PodSecurityConfiguration: the policy of namespaces without labels, and who is exempt."""

from __future__ import annotations

from typing import Any, NamedTuple

from apiserver_workers.admission.pod_security.levels import (
    LEVELS,
    MODES,
    PREFIX,
    PRIVILEGED,
    UNRESTRICTED,
    WRONG_LEVEL,
    WRONG_VERSION,
    LevelVersion,
    Policy,
    minor_of,
)
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import Errors, duplicate, invalid
from apiserver_workers.server.config_file import aggregated, decode_document

GROUP, KIND = "pod-security.admission.config.k8s.io", "PodSecurityConfiguration"
KINDS = {f"{GROUP}/{version}": KIND for version in ("v1", "v1beta1", "v1alpha1")}
SHAPE = {
    "defaults": {name: str for mode in MODES for name in (mode, f"{mode}-version")},
    "exemptions": {name: [str] for name in ("usernames", "namespaces", "runtimeClasses")},
}


class Configuration(NamedTuple):
    """What the plugin is told."""

    defaults: Policy = UNRESTRICTED
    users: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    runtime_classes: frozenset[str] = frozenset()

    def ignored(self, name: str, policy: Policy, labels: dict[str, str]) -> list[str]:
        """The warning that an exempt namespace's own policy does not count, if it has one."""
        if policy in (UNRESTRICTED, self.defaults) or all(one.level == PRIVILEGED for one in policy):
            return []
        shown = [
            f"{mode}={wanted}"
            for mode, wanted in zip(MODES, policy, strict=True)
            if wanted.level != PRIVILEGED and (PREFIX + mode in labels or f"{PREFIX}{mode}-version" in labels)
        ]
        return [f'namespace "{name}" is exempt from Pod Security, and the policy ({", ".join(shown)}) will be ignored']


def parse(given: Any) -> Configuration:
    """The configuration as it is written. Raises ValueError."""
    if given is None:
        return Configuration()
    document = decode_document(given, KINDS, SHAPE)
    defaults, exemptions = document.get("defaults") or {}, document.get("exemptions") or {}
    faults: Errors = []
    modes = {mode: _level(defaults, mode, faults) for mode in ("enforce", "warn", "audit")}
    kinds = (
        ("namespaces", names.is_dns1123_label),
        ("runtimeClasses", names.is_dns1123_subdomain),
        ("usernames", _user),
    )
    for field, check in kinds:
        faults += _list_faults(exemptions.get(field) or [], f"exemptions.{field}", check)
    if faults:
        raise ValueError(aggregated(faults))
    return Configuration(
        Policy(*(modes[mode] for mode in MODES)),
        frozenset(exemptions.get("usernames") or ()),
        frozenset(exemptions.get("namespaces") or ()),
        frozenset(exemptions.get("runtimeClasses") or ()),
    )


def _level(defaults: dict[str, str], mode: str, faults: Errors) -> LevelVersion:
    level = defaults.get(mode) or PRIVILEGED
    version = defaults.get(f"{mode}-version") or "latest"
    minor = minor_of(version)
    if level not in LEVELS:
        faults.append(invalid(f"defaults.{mode}", level, WRONG_LEVEL))
    if minor is None:
        faults.append(invalid(f"defaults.{mode}-version", version, WRONG_VERSION))
    return LevelVersion(level, minor or 0)


def _user(name: str) -> list[str]:
    return [] if name else ["username must not be empty"]


def _list_faults(values: list[str], path: str, check: Any) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, value in enumerate(values):
        if faults := check(value):
            errors.append(invalid(f"{path}[{index}]", value, ", ".join(faults)))
        elif value in seen:
            errors.append(duplicate(f"{path}[{index}]", value))
        seen.add(value)
    return errors
