"""The baseline level: nothing that is known to let a pod out of its bounds."""

from __future__ import annotations

from apiserver_workers.admission.pod_references import containers
from apiserver_workers.admission.pod_security.checks import (
    Check,
    Checker,
    Object,
    Violation,
    containers_named,
    contexts,
    has_own_users,
    plural,
    pod_context,
    quoted,
    setters,
)

APPARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
CONFINED = frozenset(("RuntimeDefault", "Localhost"))
CAPABILITIES = frozenset(
    [
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    ]
)
SELINUX_TYPES = frozenset(("", "container_t", "container_init_t", "container_kvm_t"))
SYSCTLS = frozenset(
    [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    ]
)
SYSCTLS_27 = SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
SYSCTLS_29 = SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
SYSCTLS_32 = SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
HOST_NAMESPACES = ("hostNetwork", "hostPID", "hostIPC")
PROBES, HOOKS, HANDLERS = ("livenessProbe", "readinessProbe", "startupProbe"), ("postStart", "preStop"), (
    "httpGet",
    "tcpSocket",
)  # fmt: skip


def app_armor(metadata: Object, spec: Object) -> Violation | None:
    allowed = CONFINED | {""}
    kind = (pod_context(spec).get("appArmorProfile") or {}).get("type", "")
    bad = {} if kind in allowed else {kind: None}
    named = []
    for name, context in contexts(spec):
        own = (context.get("appArmorProfile") or {}).get("type", "")
        if own not in allowed:
            named.append(name)
            bad[own] = None
    who = [setters(kind not in allowed, named)] if bad else []
    values = sorted(bad)
    annotated = sorted(
        f'{key}="{value}"'
        for key, value in (metadata.get("annotations") or {}).items()
        if key.startswith(APPARMOR_ANNOTATION) and value not in ("", "runtime/default") and value[:10] != "localhost/"
    )
    if annotated:
        who.append(plural("annotation", len(annotated)))
        values += annotated
    if not who:
        return None
    reason = plural("forbidden AppArmor profile", len(values))
    return Violation(reason, f"{' and '.join(who)} must not set AppArmor profile type to {quoted(values)}")


def capabilities(metadata: Object, spec: Object) -> Violation | None:
    named, added = [], set()
    for name, context in contexts(spec):
        extra = set((context.get("capabilities") or {}).get("add") or ()) - CAPABILITIES
        if extra:
            named.append(name)
            added |= extra
    if not named:
        return None
    detail = f"{containers_named(named)} must not include {quoted(sorted(added))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", detail)


def host_namespaces(metadata: Object, spec: Object) -> Violation | None:
    shared = [f"{field}=true" for field in HOST_NAMESPACES if spec.get(field)]
    return Violation("host namespaces", ", ".join(shared)) if shared else None


def host_path_volumes(metadata: Object, spec: Object) -> Violation | None:
    names = [volume.get("name", "") for volume in spec.get("volumes") or () if "hostPath" in volume]
    return Violation("hostPath volumes", f"{plural('volume', len(names))} {quoted(names)}") if names else None


def host_ports(metadata: Object, spec: Object) -> Violation | None:
    named, ports = [], set()
    for container in containers(spec):
        own = {str(port["hostPort"]) for port in container.get("ports") or () if port.get("hostPort")}
        if own:
            named.append(container.get("name", ""))
            ports |= own
    if not named:
        return None
    uses = f"{plural('uses', len(named), 'use')} {plural('hostPort', len(ports))}"
    return Violation("hostPort", f"{containers_named(named)} {uses} {', '.join(sorted(ports))}")


def handler_hosts(metadata: Object, spec: Object) -> Violation | None:
    named, hosts = set(), set()
    for container in containers(spec):
        lifecycle = container.get("lifecycle") or {}
        holders = [container.get(probe) for probe in PROBES] + [lifecycle.get(hook) for hook in HOOKS]
        own = {((holder or {}).get(handler) or {}).get("host", "") for holder in holders for handler in HANDLERS} - {""}
        if own:
            named.add(container.get("name", ""))
            hosts |= own
    if not named:
        return None
    reason = "probe or lifecycle host"
    uses = f"{plural('uses', len(named), 'use')} {plural(reason, len(hosts))}"
    return Violation(reason, f"{containers_named(sorted(named))} {uses} {quoted(sorted(hosts))}")


def privileged(metadata: Object, spec: Object) -> Violation | None:
    named = [name for name, context in contexts(spec) if context.get("privileged")]
    if not named:
        return None
    return Violation("privileged", f"{containers_named(named)} must not set securityContext.privileged=true")


def proc_mount(metadata: Object, spec: Object) -> Violation | None:
    found = [(name, context["procMount"]) for name, context in contexts(spec) if context.get("procMount") is not None]
    bad = [(name, mount) for name, mount in found if mount != "Default"]
    if not bad:
        return None
    kinds = quoted(sorted({mount for _, mount in bad}))
    detail = f"{containers_named([name for name, _ in bad])} must not set securityContext.procMount to {kinds}"
    return Violation("procMount", detail)


def proc_mount_35(metadata: Object, spec: Object) -> Violation | None:
    return None if has_own_users(spec) else proc_mount(metadata, spec)


def selinux(allowed: frozenset[str]) -> Checker:
    """The check that allows these types."""

    def check(metadata: Object, spec: Object) -> Violation | None:
        own = pod_context(spec).get("seLinuxOptions") or {}
        named = [(name, context.get("seLinuxOptions") or {}) for name, context in contexts(spec)]
        bad = [(name, options) for name, options in named if faults(options)]
        who = setters(bool(faults(own)), [name for name, _ in bad])
        if not who:
            return None
        every = [own, *(options for _, options in bad)]
        kinds = sorted({options.get("type", "") for options in every} - allowed)
        detail = [f"{plural('type', len(kinds))} {quoted(kinds)}"] if kinds else []
        detail += [f"{field} may not be set" for field in ("user", "role") if any(one.get(field) for one in every)]
        return Violation("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(detail)}")

    def faults(options: Object) -> bool:
        return options.get("type", "") not in allowed or bool(options.get("user") or options.get("role"))

    return check


def seccomp_annotations(metadata: Object, spec: Object) -> Violation | None:
    annotations = metadata.get("annotations") or {}
    keys = [SECCOMP_POD, *(SECCOMP_CONTAINER + name for name, _ in contexts(spec))]
    bad = sorted({f'{key}="{annotations[key]}"' for key in keys if not _seccomp_annotation(annotations.get(key))})
    if not bad:
        return None
    return Violation("seccompProfile", f"forbidden {plural('annotation', len(bad))} {', '.join(bad)}")


def _seccomp_annotation(value: str | None) -> bool:
    return value in (None, "runtime/default", "docker/default") or str(value).startswith("localhost/")


def seccomp(metadata: Object, spec: Object) -> Violation | None:
    own = pod_context(spec).get("seccompProfile")
    kinds = [(name, context["seccompProfile"].get("type", "")) for name, context in contexts(spec)
             if context.get("seccompProfile") is not None]  # fmt: skip
    bad = [(name, kind) for name, kind in kinds if kind not in CONFINED]
    pod = own is not None and own.get("type", "") not in CONFINED
    who = setters(pod, [name for name, _ in bad])
    if not who:
        return None
    values = {kind for _, kind in bad} | ({own.get("type", "")} if own is not None and pod else set())
    detail = f"{who} must not set securityContext.seccompProfile.type to {quoted(sorted(values))}"
    return Violation("seccompProfile", detail)


def sysctls(allowed: frozenset[str]) -> Checker:
    """The check that allows these names."""

    def check(metadata: Object, spec: Object) -> Violation | None:
        named = [sysctl.get("name", "") for sysctl in pod_context(spec).get("sysctls") or ()]
        bad = [name for name in named if name not in allowed]
        return Violation("forbidden sysctls", ", ".join(bad)) if bad else None

    return check


def host_process(metadata: Object, spec: Object) -> Violation | None:
    own = (pod_context(spec).get("windowsOptions") or {}).get("hostProcess")
    named = [name for name, context in contexts(spec) if (context.get("windowsOptions") or {}).get("hostProcess")]
    who = setters(bool(own), named)
    return (
        Violation("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true") if who else None
    )


# In the order of their names.
CHECKS = (
    Check("appArmorProfile", ((0, app_armor),)),
    Check("capabilities_baseline", ((0, capabilities),)),
    Check("hostNamespaces", ((0, host_namespaces),)),
    Check("hostPathVolumes", ((0, host_path_volumes),)),
    Check("hostPorts", ((0, host_ports),)),
    Check("hostProbesAndHostLifecycle", ((34, handler_hosts),)),
    Check("privileged", ((0, privileged),)),
    Check("procMount", ((0, proc_mount), (35, proc_mount_35))),
    Check("seLinuxOptions", ((0, selinux(SELINUX_TYPES)), (31, selinux(SELINUX_TYPES | {"container_engine_t"})))),
    Check("seccompProfile_baseline", ((0, seccomp_annotations), (19, seccomp))),
    Check(
        "sysctls",
        ((0, sysctls(SYSCTLS)), (27, sysctls(SYSCTLS_27)), (29, sysctls(SYSCTLS_29)), (32, sysctls(SYSCTLS_32))),
    ),
    Check("windowsHostProcess", ((0, host_process),)),
)
