"""Which resources are served: what a minor version has, and what --runtime-config switches on and off.

Upstream's MergeAPIResourceConfigs and RemoveUnavailableKinds as functions of data. Stable versions are on, alpha and beta
versions off. Of the keys of --runtime-config that fit a resource the last of this order counts: `api/all`, `api/ga`,
`api/beta`, `api/alpha`, `group/version`, `group/version/resource`; the core group's name is empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace

from apiserver_workers.apimachinery.feature_gates import enabled_gates
from apiserver_workers.apimachinery.resources import ResourceInfo, catalogue
from apiserver_workers.apimachinery.types import DEFAULT_MINOR, TypeModel, model
from apiserver_workers.apimachinery.versions import version_rank

RuntimeConfig = Mapping[str, str]

ALL = "api/all"
STAGES = {
    ALL: re.compile(r""),
    "api/ga": re.compile(r"v\d+$"),
    "api/beta": re.compile(r"v\d+beta\d+$"),
    "api/alpha": re.compile(r"v\d+alpha\d+$"),
}
_STABLE = STAGES["api/ga"]
_ALPHA = STAGES["api/alpha"]

TRUE = frozenset(("", "1", "t", "T", "true", "TRUE", "True"))
BOOLEANS = TRUE | {"0", "f", "F", "false", "FALSE", "False"}

# Groups of the types that are no API of this server.
_NO_API = re.compile(
    r"(.*-)?metrics(\.k8s\.io)?|custom-metrics|external-metrics|audit.*|apidiscovery\.k8s\.io|meta\.k8s\.io"
)


def rewrite_legacy(runtime_config: RuntimeConfig) -> dict[str, str]:
    """The map as Complete leaves it: the core group's old names are one key, api/legacy says nothing."""
    found: dict[str, str] = {}
    for key, value in runtime_config.items():
        if re.match(r"(api/)?v1(/|$)", key):
            found["/v1"] = value
        elif key != "api/legacy":
            found[key] = value
    return found


def is_enabled(info: ResourceInfo, runtime_config: RuntimeConfig) -> bool:
    """Whether the resource is switched on."""
    enabled = info.on or _STABLE.match(info.version) is not None
    for key, pattern in STAGES.items():
        if key in runtime_config and pattern.match(info.version):
            enabled = runtime_config[key] in TRUE
    group_version = f"{info.group}/{info.version}"
    for key in (group_version, f"{group_version}/{info.resource}"):
        if key in runtime_config:
            enabled = runtime_config[key] in TRUE
    return enabled


def resource_enablement(
    minor: str = DEFAULT_MINOR,
    runtime_config: RuntimeConfig | None = None,
    *,
    gates: Mapping[str, bool] | None = None,
    binary_minor: str = "",
    forward: bool = False,
    config_forward: bool = False,
) -> list[ResourceInfo]:
    """The resources that a server of that minor version serves, in discovery order.

    `gates` are the feature gates that are set. `minor` may be emulated by a newer `binary_minor`. Then `forward` adds the newer stable versions of what is served,
    and `config_forward` lets `runtime_config` switch on what the emulated version does not know.
    """
    config = runtime_config or {}
    served = available(minor)
    enabled = [info for info in served if is_enabled(info, config)]
    newer = _newer(served, binary_minor) if binary_minor not in ("", minor) else []
    if forward:
        enabled += [info for info in newer if _follows(info, enabled) and is_enabled(info, config)]
    if config_forward:
        asked = {key: value for key, value in config.items() if key not in STAGES}
        enabled += [info for info in newer if info not in enabled and _is_asked_for(info, asked)]
    on = enabled_gates(gates or {}, minor)
    return [info for info in enabled if not info.gate or on[info.gate]]


def available(minor: str) -> list[ResourceInfo]:
    """Every resource that the minor version has, in discovery order of the default one. Raises LookupError."""
    types = model(minor)
    infos = [info for info in catalogue().values() if (info.group, info.version, info.kind) in types.schemas.kinds]
    return infos if minor == DEFAULT_MINOR else [_as_in(info, types) for info in infos]


def known_versions(*minors: str) -> dict[str, set[str]]:
    """The versions of each group that upstream registers, whether they are served or not."""
    found: dict[str, set[str]] = {}
    for minor in minors:
        for group, version, _ in model(minor).kinds():
            if version.startswith("v") and not _NO_API.fullmatch(group):
                found.setdefault(group, set()).add(version)
    for info in catalogue().values():
        found.setdefault(info.group, set()).add(info.version)
    return found


def runtime_config_faults(runtime_config: RuntimeConfig, known: Mapping[str, Set[str]]) -> Iterator[str]:
    """What is wrong with --runtime-config (after `rewrite_legacy`), in upstream's words."""
    if dict(runtime_config) == {ALL: "false"}:
        yield "invalid key with only api/all=false"
        return
    unknown: list[str] = []
    for key, value in runtime_config.items():
        if key in STAGES:
            if value not in ("true", "false"):
                yield f"invalid value {key}={value}"
            continue
        parts = key.split("/")
        if len(parts) not in (2, 3) or not parts[1]:
            yield f"runtime-config invalid key {key}"
        elif parts[0] not in known:
            unknown.append(parts[0])
        else:
            yield from _entry_faults(key, value, parts, known)
    if unknown:
        yield f"unknown api groups {','.join(unknown)}"


def _entry_faults(key: str, value: str, parts: list[str], known: Mapping[str, Set[str]]) -> Iterator[str]:
    group, version = parts[:2]
    if version not in known[group]:
        yield f"group version {f'{group}/{version}' if group else version} that has not been registered"
    if value not in BOOLEANS:
        yield f'invalid value of {key}: {value}, err: strconv.ParseBool: parsing "{value}": invalid syntax'
    if len(parts) == 3 and parts[2] != parts[2].lower():
        yield f'invalid key {key}: group/version/resource and resource is always lowercase plural, not "{parts[2]}"'


def forward_faults(runtime_config: RuntimeConfig, minor: str, binary_minor: str) -> Iterator[str]:
    """What --runtime-config switches on although the emulated version has no such API."""
    asked = {key: value for key, value in runtime_config.items() if key not in STAGES}
    for info in _newer(available(minor), binary_minor):
        if _is_asked_for(info, asked):
            yield (
                f"{info.group_version} {info.resource} is newer than the emulated version {minor}, it is served with"
                " --runtime-config-emulation-forward-compatible"
            )


def _newer(served: Iterable[ResourceInfo], binary_minor: str) -> list[ResourceInfo]:
    have = {_key(info) for info in served}
    return [info for info in available(binary_minor) if _key(info) not in have]


def _follows(info: ResourceInfo, enabled: Iterable[ResourceInfo]) -> bool:
    """Whether it is a stabler version of an enabled resource; alpha versions have no such successors."""
    return any(
        (old.group, old.resource) == (info.group, info.resource)
        and version_rank(info.version) > version_rank(old.version)
        and not _ALPHA.match(old.version)
        for old in enabled
    )


def _is_asked_for(info: ResourceInfo, asked: RuntimeConfig) -> bool:
    group_version = f"{info.group}/{info.version}"
    return bool({group_version, f"{group_version}/{info.resource}"} & asked.keys()) and is_enabled(info, asked)


def _key(info: ResourceInfo) -> tuple[str, str, str]:
    return info.group, info.version, info.resource


def _as_in(info: ResourceInfo, types: TypeModel) -> ResourceInfo:
    """The resource with the subresources that it has in that version."""
    minor = int(types.minor.partition(".")[2])
    kept = {
        name: sub
        for name, sub in info.subresources.items()
        if int(sub.since.partition(".")[2] or 0) <= minor
        and (name != "status" or "status" in types.kind(info.group, info.version, info.kind).fields)
    }
    return info if kept.keys() == info.subresources.keys() else replace(info, subresources=kept)
