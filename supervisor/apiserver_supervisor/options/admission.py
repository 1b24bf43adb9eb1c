"""admission flags (upstream: pkg/kubeapiserver/options/admission.go, plugins.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.feature_gates import gate_faults
from apiserver_supervisor.options.files import admission_configuration
from apiserver_supervisor.options.flag import INT, STRING, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import not_negative
from apiserver_supervisor.options.versions import component_minor

# every plugin that a command line may name: those of 1.36 in their order, and among them those that only 1.12 had
KNOWN_PLUGINS = (
    "AlwaysAdmit",
    "NamespaceAutoProvision",
    "NamespaceLifecycle",
    "NamespaceExists",
    "SecurityContextDeny",
    "LimitPodHardAntiAffinityTopology",
    "LimitRanger",
    "ServiceAccount",
    "NodeRestriction",
    "TaintNodesByCondition",
    "AlwaysPullImages",
    "ImagePolicyWebhook",
    "PodSecurity",
    "PodNodeSelector",
    "Priority",
    "DefaultTolerationSeconds",
    "PodTolerationRestriction",
    "DenyEscalatingExec",
    "DenyExecOnPrivileged",
    "EventRateLimit",
    "ExtendedResourceToleration",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "PodGroupProtection",
    "OwnerReferencesPermissionEnforcement",
    "PersistentVolumeClaimResize",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "ClusterTrustBundleAttest",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "DenyServiceExternalIPs",
    "PodTopologyLabels",
    "PodGroupWorkloadExists",
    "NodeDeclaredFeatureValidator",
    "JobValidation",
    "PodResizeValidator",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
    "AlwaysDeny",
)
# plugins that do not start without a configuration
NEED_CONFIGURATION = frozenset(("EventRateLimit", "ImagePolicyWebhook"))


def _plugins(options: Any) -> Iterator[str]:
    lists = ("enable_admission_plugins", "disable_admission_plugins", "admission_control")
    for field in lists:
        for plugin in getattr(options, field):
            if plugin not in KNOWN_PLUGINS:
                flag = field.replace("_", "-")
                yield f'--{flag}: {flag} plugin "{plugin}" is unknown'
    enabled, disabled = set(options.enable_admission_plugins), options.disable_admission_plugins
    for plugin in disabled:
        if plugin in enabled:
            yield f"--enable-admission-plugins and --disable-admission-plugins: {plugin} in both, they must not overlap"
    if "admission_control" in options.given and options.given & {
        "enable_admission_plugins",
        "disable_admission_plugins",
    }:
        yield "--admission-control and --enable-admission-plugins/--disable-admission-plugins flags are mutually exclusive"


def _configuration(options: Any) -> Iterator[str]:
    """What plugins are told must make sense to them; some must be told something."""
    path, enabled = options.admission_control_config_file, options.enable_admission_plugins
    if not path and not NEED_CONFIGURATION & set(enabled):
        return
    minor = component_minor(options.emulated_version, options.kubernetes_version)
    if list(admission_configuration("", path)) or list(_plugins(options)) or gate_faults(options.feature_gates, minor):
        return  # told already
    from apiserver_workers.admission.chain import unknown_plugins  # loads every plugin: only when asked for
    from apiserver_workers.admission.configuration import configuration_faults, load_configuration
    from apiserver_workers.apimachinery import feature_gates

    feature_gates.use(options.feature_gates, minor)  # plugins may take more with a gate
    told = load_configuration(path) if path else b""
    disabled = options.disable_admission_plugins
    absent = set(unknown_plugins({*enabled, *disabled}))
    for fault in configuration_faults(told, set(enabled) - absent, set(disabled) - absent):
        yield f"--admission-control-config-file: {fault}"


GROUP = FlagGroup(
    "Admission",
    (
        Flag(
            "admission-control",
            STRINGS,
            (),
            "All admission plugins that there shall be; an empty value is none.",
            deprecated="Use --enable-admission-plugins or --disable-admission-plugins instead. Will be removed in a future version.",
        ),
        Flag(
            "admission-control-config-file",
            STRING,
            "",
            "Configuration of single admission plugins (AdmissionConfiguration).",
            admission_configuration,
        ),
        Flag(
            "default-not-ready-toleration-seconds",
            INT,
            300,
            "How long pods stay on a node that is not ready, if they do not say (DefaultTolerationSeconds).",
            not_negative,
        ),
        Flag(
            "default-unreachable-toleration-seconds",
            INT,
            300,
            "How long pods stay on a node that is unreachable, if they do not say (DefaultTolerationSeconds).",
            not_negative,
        ),
        Flag("disable-admission-plugins", STRINGS, (), "Admission plugins taken out of the default set."),
        Flag("enable-admission-plugins", STRINGS, (), "Admission plugins added to the default set."),
    ),
    (_plugins, _configuration),
)
