"""The restricted level: what hardened pods do besides keeping to the baseline."""

from __future__ import annotations

from apiserver_workers.admission.pod_security import baseline
from apiserver_workers.admission.pod_security.checks import (
    Check,
    Object,
    Violation,
    containers_named,
    contexts,
    has_own_users,
    is_windows,
    plural,
    pod_context,
    quoted,
    setters,
)

VOLUMES = frozenset(
    [
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    ]
)


def privilege_escalation(metadata: Object, spec: Object) -> Violation | None:
    named = [name for name, context in contexts(spec) if context.get("allowPrivilegeEscalation") is not False]
    if not named:
        return None
    detail = f"{containers_named(named)} must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", detail)


def privilege_escalation_25(metadata: Object, spec: Object) -> Violation | None:
    return None if is_windows(spec) else privilege_escalation(metadata, spec)


def capabilities(metadata: Object, spec: Object) -> Violation | None:
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for name, context in contexts(spec):
        own = context.get("capabilities") or {}
        if "ALL" not in (own.get("drop") or ()):
            keeping.append(name)
        if extra := set(own.get("add") or ()) - {"NET_BIND_SERVICE"}:
            adding.append(name)
            added |= extra
    details = []
    if keeping:
        details.append(f'{containers_named(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        names = quoted(sorted(added))
        details.append(f"{containers_named(adding)} must not include {names} in securityContext.capabilities.add")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def capabilities_25(metadata: Object, spec: Object) -> Violation | None:
    return None if is_windows(spec) else capabilities(metadata, spec)


def volumes(metadata: Object, spec: Object) -> Violation | None:
    names: list[str] = []
    kinds: set[str] = set()
    for volume in spec.get("volumes") or ():
        sources = volume.keys() - {"name"}
        if not sources & VOLUMES:
            names.append(volume.get("name", ""))
            kinds.add(next(iter(sources), "unknown"))
    if not names:
        return None
    uses = f"{plural('uses', len(names), 'use')} {plural('restricted volume type', len(kinds))}"
    detail = f"{plural('volume', len(names))} {quoted(names)} {uses} {quoted(sorted(kinds))}"
    return Violation("restricted volume types", detail)


def run_as_non_root(metadata: Object, spec: Object) -> Violation | None:
    own = pod_context(spec).get("runAsNonRoot")
    said = [(name, context.get("runAsNonRoot")) for name, context in contexts(spec)]
    if who := setters(own is False, [name for name, value in said if value is False]):
        return Violation("runAsNonRoot != true", f"{who} must not set securityContext.runAsNonRoot=false")
    silent = [name for name, value in said if value is None]
    if own or not silent:
        return None
    detail = f"pod or {containers_named(silent)} must set securityContext.runAsNonRoot=true"
    return Violation("runAsNonRoot != true", detail)


def run_as_non_root_35(metadata: Object, spec: Object) -> Violation | None:
    return None if has_own_users(spec) else run_as_non_root(metadata, spec)


def run_as_user(metadata: Object, spec: Object) -> Violation | None:
    root = [name for name, context in contexts(spec) if context.get("runAsUser") == 0]
    who = setters(pod_context(spec).get("runAsUser") == 0, root)
    return Violation("runAsUser=0", f"{who} must not set runAsUser=0") if who else None


def run_as_user_35(metadata: Object, spec: Object) -> Violation | None:
    return None if has_own_users(spec) else run_as_user(metadata, spec)


def seccomp(metadata: Object, spec: Object) -> Violation | None:
    if explicit := baseline.seccomp(metadata, spec):
        return explicit
    silent = [name for name, context in contexts(spec) if context.get("seccompProfile") is None]
    if pod_context(spec).get("seccompProfile") is not None or not silent:
        return None
    types = 'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {containers_named(silent)} must set {types}")


def seccomp_25(metadata: Object, spec: Object) -> Violation | None:
    return None if is_windows(spec) else seccomp(metadata, spec)


# In the order of their names.
CHECKS = (
    Check("allowPrivilegeEscalation", ((8, privilege_escalation), (25, privilege_escalation_25))),
    Check("capabilities_restricted", ((22, capabilities), (25, capabilities_25)), ("capabilities_baseline",)),
    Check("restrictedVolumes", ((0, volumes),), ("hostPathVolumes",)),
    Check("runAsNonRoot", ((0, run_as_non_root), (35, run_as_non_root_35))),
    Check("runAsUser", ((23, run_as_user), (35, run_as_user_35))),
    Check("seccompProfile_restricted", ((19, seccomp), (25, seccomp_25)), ("seccompProfile_baseline",)),
)
