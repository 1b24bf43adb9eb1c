"""What /version answers (k8s.io/apimachinery/pkg/version.Info)."""

from __future__ import annotations

import platform

# The patch release of each minor version whose API is served.
PATCHES = {"1.36": 2}


def version_info(minor_version: str) -> dict[str, str]:
    """The version.Info of `minor_version`, such as 1.36."""
    major, _, minor = minor_version.partition(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": f"v{minor_version}.{PATCHES.get(minor_version, 0)}",
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system().lower()}/{MACHINES.get(platform.machine(), platform.machine())}",
    }


MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
