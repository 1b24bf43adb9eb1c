"""Which Kubernetes version is served: --kubernetes-version and the flags by which upstream emulates an older one.

--kubernetes-version is this server's own: it is that release, whose types the schema package ships. --emulated-version is
upstream's: this release behaves like an older one, at most three minors back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

OLDEST_EMULATED = 3  # minors
_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")


def served_minor(kubernetes_version: str) -> str:
    """`1.30` of 1.30, v1.30 or v1.30.4; what is no version stays as it is."""
    match = _VERSION.fullmatch(kubernetes_version)
    return f"{match[1]}.{match[2]}" if match else kubernetes_version


def component_minor(versions: tuple[str, ...], default: str) -> str:
    """The minor that --emulated-version or --min-compatibility-version names for kube."""
    found = [version.rpartition("=")[2].strip() for version in versions]
    return served_minor(found[0]) if found else default


def kubernetes_version_faults(name: str, value: str) -> Iterator[str]:
    """The schema package has that version."""
    from apiserver_workers.apimachinery.schemas import shipped_minors

    minors = shipped_minors()
    if served_minor(value) not in minors:
        yield f'--{name}: "{value}" is not a Kubernetes version from {minors[0]} to {minors[-1]}'


def component_version_faults(name: str, value: tuple[str, ...]) -> Iterator[str]:
    """Each is `major.minor` or `kube=major.minor`, and there is at most one."""
    seen: list[str] = []
    for item in value:
        component, _, version = item.rpartition("=")
        match = _VERSION.fullmatch(version.strip())
        if component.strip() not in ("", "kube"):
            yield f"--{name}: component not registered: {component.strip()}"
        elif match is None:
            yield f'--{name}: could not parse "{version}" as version'
        elif int(match[3] or 0):
            yield f"--{name}: patch version not allowed, got: kube={version.strip()}"
        else:
            seen.append(f"kube={version.strip()}")
    if len(seen) > 1:
        yield f"--{name}: duplicate version flag, {seen[0]} and {seen[1]}"


def emulation_faults(
    binary: str, emulated_version: tuple[str, ...], min_compatibility_version: tuple[str, ...], *, forward: bool
) -> Iterator[str]:
    """What is wrong between the versions; each alone is right."""
    emulated = component_minor(emulated_version, binary)
    compatible = component_minor(min_compatibility_version, _before(emulated, 1))
    floor = _before(binary, OLDEST_EMULATED)
    if not _number(floor) <= _number(emulated) <= _number(binary):
        yield f"--emulated-version: emulation version {emulated} is not between [{floor}, {binary}]"
    elif not _number(floor) <= _number(compatible) <= _number(emulated):
        yield (
            f"--min-compatibility-version: minCompatibilityVersion version {compatible} is not between"
            f" [{floor}, {emulated}]"
        )
    if forward and emulated == binary:
        yield (
            "--emulation-forward-compatible and --runtime-config-emulation-forward-compatible can only be true when the"
            f" emulation version is older than the version {binary}"
        )


def _before(minor: str, count: int) -> str:
    major, _, number = minor.partition(".")
    return f"{major}.{int(number) - count}"


def _number(minor: str) -> tuple[int, int]:
    major, _, number = minor.partition(".")
    return int(major), int(number)
