"""Security contexts of pods and containers (pkg/apis/core/validation)."""

from __future__ import annotations

import re
from typing import Any

from apiserver_workers.apimachinery.validation.capabilities import PRIVILEGED, permitted
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
    too_long,
)
from apiserver_workers.apimachinery.validation.windows import validate_windows_options

MAX_ID = 2**31 - 1
ID_RANGE = f"must be between 0 and {MAX_ID}, inclusive"
LONGEST_PROFILE = 4095
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
SYSCTL_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
SYSCTL = rf"({SYSCTL_SEGMENT}[\./])*{SYSCTL_SEGMENT}"
LONGEST_SYSCTL = 253
_sysctl = re.compile(SYSCTL)

# The internal type's fields, in its order: how messages show a security context.
INTERNAL_FIELDS = (
    ("Capabilities", "capabilities"),
    ("Privileged", "privileged"),
    ("SELinuxOptions", "seLinuxOptions"),
    ("WindowsOptions", "windowsOptions"),
    ("RunAsUser", "runAsUser"),
    ("RunAsGroup", "runAsGroup"),
    ("RunAsNonRoot", "runAsNonRoot"),
    ("ReadOnlyRootFilesystem", "readOnlyRootFilesystem"),
    ("AllowPrivilegeEscalation", "allowPrivilegeEscalation"),
    ("ProcMount", "procMount"),
    ("SeccompProfile", "seccompProfile"),
    ("AppArmorProfile", "appArmorProfile"),
)


def validate_pod_security_context(spec: dict[str, Any], path: str) -> Errors:
    """The pod's security context, with the host namespaces that upstream keeps in it (`path` is the spec's)."""
    context = spec.get("securityContext") or {}
    at = f"{path}.securityContext"
    errors: Errors = []
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        errors += _validate_id(context.get(field), f"{at}.{field}")
    for group_path, group in each(f"{at}.supplementalGroups", context.get("supplementalGroups")):
        errors += _validate_id(group, group_path)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        text = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(invalid(f"{at}.shareProcessNamespace", True, text))
    if context.get("sysctls"):
        errors += _validate_sysctls(context["sysctls"], f"{at}.sysctls", spec)
    errors += _choice(context, "fsGroupChangePolicy", ("Always", "OnRootMismatch"), at)
    errors += validate_seccomp(context.get("seccompProfile"), f"{at}.seccompProfile")
    errors += validate_windows_options(context.get("windowsOptions"), f"{at}.windowsOptions")
    errors += validate_app_armor(context.get("appArmorProfile"), f"{at}.appArmorProfile")
    errors += _choice(context, "supplementalGroupsPolicy", ("Merge", "Strict"), at)
    return errors + _choice(context, "seLinuxChangePolicy", ("MountOption", "Recursive"), at)


def _choice(context: dict[str, Any], field: str, choices: tuple[str, ...], path: str) -> Errors:
    value = context.get(field)
    return [] if value is None or value in choices else [not_supported(f"{path}.{field}", value, choices)]


def _validate_id(value: int | None, path: str) -> Errors:
    return [] if value is None or 0 <= value <= MAX_ID else [invalid(path, value, ID_RANGE)]


def _validate_sysctls(sysctls: list[dict[str, Any]], path: str, spec: dict[str, Any]) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for at, sysctl in each(path, sysctls):
        name = sysctl.get("name", "")
        if not name:
            errors.append(required(f"{at}.name"))
        elif len(name) > LONGEST_SYSCTL or not _sysctl.fullmatch(name):
            text = f"must have at most 253 characters and match regex ^{SYSCTL}$"
            errors.append(invalid(f"{at}.name", name, text))
        elif name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        for prefix, field in (("net.", "hostNetwork"), ("kernel.shm", "hostIPC"), ("kernel.msg", "hostIPC")):
            if name.startswith(prefix) and spec.get(field):
                errors.append(invalid(f"{at}.name", name, f"may not be specified when '{field}' is true"))
    return errors


def validate_seccomp(profile: dict[str, Any] | None, path: str) -> Errors:
    """validateSeccompProfileField."""
    if profile is None:
        return []
    kind, local, at = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    errors: Errors = []
    if not kind:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in PROFILE_TYPES:
        errors.append(not_supported(f"{path}.type", kind, PROFILE_TYPES))
    if kind == "Localhost" and local is None:
        errors.append(required(at, "must be set when seccomp type is Localhost"))
    elif kind == "Localhost":
        errors += validate_local_descending_path(local or "", at)
    elif local is not None:
        shown = {"Type": kind, "LocalhostProfile": local}
        errors.append(invalid(at, shown, "can only be set when seccomp type is Localhost"))
    return errors


def validate_app_armor(profile: dict[str, Any] | None, path: str) -> Errors:
    """ValidateAppArmorProfileField."""
    if profile is None:
        return []
    kind, local, at = profile.get("type", ""), profile.get("localhostProfile"), f"{path}.localhostProfile"
    if not kind:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if kind not in PROFILE_TYPES:
        return [not_supported(f"{path}.type", kind, PROFILE_TYPES)]
    if kind != "Localhost":
        return [] if local is None else [invalid(at, local, "can only be set when AppArmor type is Localhost")]
    if not local:
        return [required(at, "must be set when AppArmor type is Localhost")]
    errors: Errors = []
    if local != local.strip():
        errors.append(invalid(at, local, "must not be padded with whitespace"))
    return [*errors, too_long(at, LONGEST_PROFILE)] if len(local) > LONGEST_PROFILE else errors


def validate_local_descending_path(value: str, path: str) -> Errors:
    """A relative path without backsteps."""
    errors = [invalid(path, value, "must be a relative path")] if value.startswith("/") else []
    return [*errors, invalid(path, value, "must not contain '..'")] if ".." in value.split("/") else errors


def validate_security_context(context: dict[str, Any] | None, path: str, *, host_users: bool = True) -> Errors:
    """ValidateSecurityContext of one container."""
    if not context:
        return []
    errors: Errors = []
    if context.get("privileged") and not permitted(PRIVILEGED):
        errors.append(forbidden(f"{path}.privileged", "disallowed by cluster policy"))
    for field in ("runAsUser", "runAsGroup"):
        errors += _validate_id(context.get(field), f"{path}.{field}")
    mount = context.get("procMount")
    if mount is not None:
        if mount not in ("Default", "Unmasked"):
            errors.append(not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
        elif mount == "Unmasked" and host_users:
            text = "`hostUsers` must be false to use `Unmasked`"
            errors.append(invalid(f"{path}.procMount", mount, text))
    errors += validate_seccomp(context.get("seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        text = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        if context.get("privileged"):
            errors.append(invalid(path, internal(context), text))
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or ()):
            text = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid(path, internal(context), text))
    errors += validate_windows_options(context.get("windowsOptions"), f"{path}.windowsOptions")
    return errors + validate_app_armor(context.get("appArmorProfile"), f"{path}.appArmorProfile")


def internal(context: dict[str, Any]) -> dict[str, Any]:
    """A container's security context with the field names of upstream's internal type."""
    return {name: context.get(field) for name, field in INTERNAL_FIELDS}
