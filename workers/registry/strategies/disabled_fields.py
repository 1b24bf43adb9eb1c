"""Fields of features whose gate is off: dropped from what clients write, unless the object has the feature already.

Upstream calls this dropDisabledFields (pkg/api/pod/util.go, pkg/registry/*/*/strategy.go): an object that was stored while
the gate was on keeps what it has, and may be changed. A field behind a gate is one word below: the way to it, through
lists as if they were not there. With `?` the part before it goes too when nothing else is left in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from workers.apimachinery import feature_gates
from workers.apimachinery.pod_templates import POD_TEMPLATES
from workers.apimachinery.resources import ResourceInfo

Object = dict[str, Any]

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
STORAGE, DRA, SCHEDULING = "storage.k8s.io", "resource.k8s.io", "scheduling.k8s.io"

# Below the spec of a pod, and of a pod template; * stands for each list of containers.
POD_SPEC = {
    "ClusterTrustBundleProjection": "volumes.projected.sources.clusterTrustBundle",
    "ContainerRestartRules": (
        "containers.restartPolicy containers.restartPolicyRules initContainers.restartPolicyRules"
        " ephemeralContainers.restartPolicy ephemeralContainers.restartPolicyRules"
    ),
    "ContainerStopSignals": "*.lifecycle?.stopSignal",
    "DynamicResourceAllocation": "resourceClaims *.resources.claims",
    "EnvFiles": "*.env.valueFrom.fileKeyRef",
    "GenericWorkload": "schedulingGroup",
    "HostnameOverride": "hostnameOverride",
    "ImageVolume": "volumes.image",
    "InPlacePodVerticalScaling": "*.resizePolicy",
    "MatchLabelKeysInPodTopologySpread": "topologySpreadConstraints.matchLabelKeys",
    "NodeInclusionPolicyInPodTopologySpread": (
        "topologySpreadConstraints.nodeAffinityPolicy topologySpreadConstraints.nodeTaintsPolicy"
    ),
    "PodCertificateRequest": "volumes.projected.sources.podCertificate",
    "PodLevelResources": "resources",
    "RecursiveReadOnlyMounts": "*.volumeMounts.recursiveReadOnly",
    "SELinuxChangePolicy": "securityContext.seLinuxChangePolicy",
    "SupplementalGroupsPolicy": "securityContext.supplementalGroupsPolicy",
    "UserNamespacesSupport": "hostUsers",
}

# Below the status of a pod; * stands for each list of container statuses.
POD_STATUS = {
    "ContainerStopSignals": "*.stopSignal",
    "DRAExtendedResource": "extendedResourceClaimStatus",
    "DRANodeAllocatableResources": "nodeAllocatableResourceClaimStatuses",
    "InPlacePodLevelResourcesVerticalScaling": "resources allocatedResources",
    "ResourceHealthStatus": "*.allocatedResourcesStatus",
}

_REQUESTS = ("spec.devices.requests.exactly", "spec.devices.requests.firstAvailable")
_POD_GROUP = {
    "DRAWorkloadResourceClaims": "resourceClaims",
    "TopologyAwareWorkloadScheduling": "schedulingConstraints",
    "WorkloadAwarePreemption": "disruptionMode priority priorityClassName",
}


def _below(parts: Iterable[str], fields: str) -> str:
    return " ".join(f"{part}.{field}" for part in parts for field in fields.split())


def _each_below(part: str, gates: dict[str, str]) -> dict[str, str]:
    return {gate: _below((part,), fields) for gate, fields in gates.items()}


_CLAIM = {
    "DRAConsumableCapacity": f"{_below(_REQUESTS, 'capacity')} spec.devices.constraints.distinctAttribute",
    "DRADeviceTaints": _below(_REQUESTS, "tolerations"),
    "DRAPrioritizedList": "spec.devices.requests.firstAvailable",
}

# (group, resource) -> gate -> fields, of all else.
FIELDS: dict[tuple[str, str], dict[str, str]] = {
    ("", "nodes"): {"NodeDeclaredFeatures": "status.declaredFeatures"},
    ("", "persistentvolumeclaims"): {
        "VolumeAttributesClass": (
            "spec.volumeAttributesClassName status.currentVolumeAttributesClassName status.modifyVolumeStatus"
        ),
    },
    ("", "persistentvolumes"): {"VolumeAttributesClass": "spec.volumeAttributesClassName"},
    ("apps", "deployments"): {"DeploymentReplicaSetTerminatingReplicas": "status.terminatingReplicas"},
    ("apps", "replicasets"): {"DeploymentReplicaSetTerminatingReplicas": "status.terminatingReplicas"},
    ("apps", "statefulsets"): {"MaxUnavailableStatefulSet": "spec.updateStrategy.rollingUpdate.maxUnavailable"},
    ("autoscaling", "horizontalpodautoscalers"): {
        "HPAConfigurableTolerance": "spec.behavior.scaleDown.tolerance spec.behavior.scaleUp.tolerance",
    },
    ("batch", "jobs"): {
        "JobBackoffLimitPerIndex": "spec.backoffLimitPerIndex spec.maxFailedIndexes",
        "JobManagedBy": "spec.managedBy",
        "JobPodReplacementPolicy": "spec.podReplacementPolicy",
        "JobSuccessPolicy": "spec.successPolicy",
    },
    ("coordination.k8s.io", "leases"): {"CoordinatedLeaderElection": "spec.strategy spec.preferredHolder"},
    (DRA, "deviceclasses"): {"DRAExtendedResource": "spec.extendedResourceName"},
    (DRA, "resourceclaims"): {
        **_CLAIM,
        "DRADeviceBindingConditions": (
            "status.allocation.allocationTimestamp status.allocation.devices.results.bindingConditions"
            " status.allocation.devices.results.bindingFailureConditions"
        ),
        "DRAResourceClaimDeviceStatus": "status.devices",
    },
    (DRA, "resourceclaimtemplates"): _each_below("spec", _CLAIM),
    (DRA, "resourceslices"): {
        "DRADeviceBindingConditions": (
            "spec.devices.bindingConditions spec.devices.bindingFailureConditions spec.devices.bindsToNode"
        ),
        "DRADeviceTaints": "spec.devices.taints",
        "DRANodeAllocatableResources": "spec.devices.nodeAllocatableResourceMappings",
    },
    (SCHEDULING, "podgroups"): _each_below("spec", _POD_GROUP),
    (SCHEDULING, "workloads"): _each_below("spec.podGroupTemplates", _POD_GROUP),
    (STORAGE, "csidrivers"): {"VolumeLimitScaling": "spec.preventPodSchedulingIfMissing"},
}


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one field."""

    parts: tuple[str, ...]
    field: str
    whole: bool  # the part goes too when it is left empty


Feature = tuple[Way, ...]


def disabled_fields(info: ResourceInfo) -> tuple[Feature, ...]:
    """The fields of a stored resource whose gates are off in this process, together by gate."""
    return tuple(
        tuple(_ways(fields)) for gate, fields in sorted(_gated(info).items()) if not feature_gates.enabled(gate)
    )


def drop_disabled(disabled: tuple[Feature, ...], new: Object, old: Object | None) -> None:
    """Drop in place what `new` has of these features, unless `old` uses the feature."""
    for feature in disabled:
        found = [(way, *holders) for way in feature for holders in _holders(new, way)]
        if not found or (old is not None and any(_holders(old, way) for way in feature)):
            continue
        for way, outer, holder in found:
            del holder[way.field]
            if way.whole and not holder:
                del outer[way.parts[-1]]


def _gated(info: ResourceInfo) -> dict[str, str]:
    name = (info.group, info.resource)
    gates = dict(FIELDS.get(name, ()))
    if name == ("", "pods"):
        parts = [("spec", POD_SPEC, CONTAINERS), ("status", POD_STATUS, STATUSES)]
    else:
        template = POD_TEMPLATES.get(name)
        parts = [(".".join((*template, "spec")), POD_SPEC, CONTAINERS)] if template else []
    for part, fields, lists in parts:
        for gate, words in fields.items():
            ways = " ".join(word.replace("*", a_list) for word in words.split() for a_list in lists[: _copies(word)])
            gates[gate] = f"{gates.get(gate, '')} {_below((part,), ways)}"
    return gates


def _copies(word: str) -> int:
    return len(CONTAINERS) if "*" in word else 1


def _ways(fields: str) -> Iterator[Way]:
    for word in fields.split():
        *parts, field = word.split(".")
        yield Way(tuple(part.rstrip("?") for part in parts), field, bool(parts) and parts[-1].endswith("?"))


def _holders(obj: Object, way: Way) -> list[tuple[Object, Object]]:
    """The objects that have the field, each with the one around it."""
    found = [(obj, obj)]
    for part in way.parts:
        inner: list[tuple[Object, Object]] = []
        for _, holder in found:
            value = holder.get(part)
            if type(value) is dict:
                inner.append((holder, value))
            elif type(value) is list:
                inner += [(holder, item) for item in value]
        if not inner:
            return inner
        found = inner
    return [pair for pair in found if way.field in pair[1]]
