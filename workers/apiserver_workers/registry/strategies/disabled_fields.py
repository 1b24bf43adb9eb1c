"""Fields of features whose gate is off: dropped from what clients write, unless the object has the feature already.

Upstream calls this dropDisabledFields (pkg/api/pod/util.go, pkg/registry/*/*/strategy.go): an object that was stored while
the gate was on keeps what it has, and may be changed. A field behind a gate is one word below: its path, as those of
defaults (apimachinery/defaults/rules.py). With `?` the part before it goes too when it has nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.defaults.pods import CONTAINER_LISTS
from apiserver_workers.apimachinery.defaults.rules import Object, split, structs
from apiserver_workers.apimachinery.pod_templates import POD_TEMPLATES
from apiserver_workers.apimachinery.resources import ResourceInfo

STATUS_LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
STORAGE, DRA, SCHEDULING = "storage.k8s.io", "resource.k8s.io", "scheduling.k8s.io"

# Below the spec of a pod, and of a pod template; * stands for each list of containers.
POD_SPEC = {
    "ClusterTrustBundleProjection": "volumes[].projected.sources[].clusterTrustBundle",
    "ContainerRestartRules": (
        "containers[].restartPolicy containers[].restartPolicyRules initContainers[].restartPolicyRules"
        " ephemeralContainers[].restartPolicy ephemeralContainers[].restartPolicyRules"
    ),
    "ContainerStopSignals": "*.lifecycle?.stopSignal",
    "DynamicResourceAllocation": "resourceClaims *.resources.claims",
    "EnvFiles": "*.env[].valueFrom.fileKeyRef",
    "GenericWorkload": "schedulingGroup",
    "HostnameOverride": "hostnameOverride",
    "ImageVolume": "volumes[].image",
    "InPlacePodVerticalScaling": "*.resizePolicy",
    "MatchLabelKeysInPodTopologySpread": "topologySpreadConstraints[].matchLabelKeys",
    "NodeInclusionPolicyInPodTopologySpread": (
        "topologySpreadConstraints[].nodeAffinityPolicy topologySpreadConstraints[].nodeTaintsPolicy"
    ),
    "PodCertificateRequest": "volumes[].projected.sources[].podCertificate",
    "PodLevelResources": "resources",
    "RecursiveReadOnlyMounts": "*.volumeMounts[].recursiveReadOnly",
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

_REQUESTS = ("spec.devices.requests[].exactly", "spec.devices.requests[].firstAvailable[]")
_POD_GROUP = {
    "DRAWorkloadResourceClaims": "resourceClaims",
    "TopologyAwareWorkloadScheduling": "schedulingConstraints",
    "WorkloadAwarePreemption": "disruptionMode priority priorityClassName",
}


def _below(parts: Iterable[str], fields: str) -> str:
    return " ".join(f"{part}.{field}" for part in parts for field in fields.split())


def _each_below(part: str, gates: dict[str, str]) -> dict[str, str]:
    return {gate: _below((part,), fields) for gate, fields in gates.items()}


_RESULTS = "status.allocation.devices.results[]"
_DEVICE_PLACES = "consumesCounters nodeName nodeSelector allNodes"
_CLAIM = {
    "DRAAdminAccess": f"{_REQUESTS[0]}.adminAccess",
    "DRAConsumableCapacity": f"{_below(_REQUESTS, 'capacity')} spec.devices.constraints[].distinctAttribute",
    "DRADeviceTaints": _below(_REQUESTS, "tolerations"),
    "DRAPrioritizedList": "spec.devices.requests[].firstAvailable",
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
    ("discovery.k8s.io", "endpointslices"): {"PreferSameTrafficDistribution": "endpoints[].hints.forNodes"},
    (DRA, "resourceclaims"): {
        **_CLAIM,
        "DRAAdminAccess": f"{_CLAIM['DRAAdminAccess']} {_RESULTS}.adminAccess",
        "DRAConsumableCapacity": (
            f"{_CLAIM['DRAConsumableCapacity']} {_RESULTS}.shareID {_RESULTS}.consumedCapacity status.devices[].shareID"
        ),
        "DRADeviceBindingConditions": (
            "status.allocation.allocationTimestamp status.allocation.devices.results[].bindingConditions"
            " status.allocation.devices.results[].bindingFailureConditions"
        ),
        "DRAResourceClaimDeviceStatus": "status.devices",
    },
    (DRA, "resourceclaimtemplates"): _each_below("spec", _CLAIM),
    (DRA, "resourceslices"): {
        "DRADeviceBindingConditions": (
            "spec.devices[].bindingConditions spec.devices[].bindingFailureConditions spec.devices[].bindsToNode"
        ),
        "DRAConsumableCapacity": ("spec.devices[].allowMultipleAllocations spec.devices[].capacity{}.requestPolicy"),
        "DRADeviceTaints": "spec.devices[].taints",
        "DRAListTypeAttributes": _below(("spec.devices[].attributes{}",), "bools ints strings versions"),
        "DRANodeAllocatableResources": "spec.devices[].nodeAllocatableResourceMappings",
        "DRAPartitionableDevices": (
            f"spec.sharedCounters spec.perDeviceNodeSelection {_below(('spec.devices[]',), _DEVICE_PLACES)}"
        ),
    },
    (SCHEDULING, "podgroups"): _each_below("spec", _POD_GROUP),
    (SCHEDULING, "workloads"): _each_below("spec.podGroupTemplates[]", _POD_GROUP),
    (STORAGE, "csidrivers"): {
        "CSIServiceAccountTokenSecrets": "spec.serviceAccountTokenInSecrets",
        "MutableCSINodeAllocatableCount": "spec.nodeAllocatableUpdatePeriodSeconds",
        "SELinuxMountReadWriteOncePod": "spec.seLinuxMount",
        "VolumeLimitScaling": "spec.preventPodSchedulingIfMissing",
    },
    (STORAGE, "volumeattachments"): {
        "MutableCSINodeAllocatableCount": "status.attachError.errorCode status.detachError.errorCode",
    },
}


@dataclass(frozen=True, slots=True)
class Path:
    """The path of one field."""

    steps: tuple[str, ...]
    field: str
    whole: bool  # the last step goes too where it has nothing else

    def used(self, obj: Object) -> bool:
        """Whether the object has the field anywhere."""
        return any(self.field in struct for struct in structs(obj, self.steps))

    def drop(self, obj: Object) -> None:
        """Remove the field, in place."""
        if self.whole:
            *outer, last = self.steps
            for struct in structs(obj, tuple(outer)):
                if (struct.get(last) or {}).keys() == {self.field}:
                    del struct[last]
        for struct in structs(obj, self.steps):
            struct.pop(self.field, None)


Feature = tuple[Path, ...]


def disabled_fields(info: ResourceInfo) -> tuple[Feature, ...]:
    """The fields of a stored resource whose gates are off in this process, together by gate."""
    return tuple(
        tuple(_path(word) for word in words)
        for gate, words in sorted(gated_fields(info.group, info.resource).items())
        if not feature_gates.enabled(gate)
    )


def drop_disabled(disabled: tuple[Feature, ...], new: Object, old: Object | None) -> None:
    """Drop in place what `new` has of these features, unless `old` uses the feature."""
    for feature in disabled:
        if any(path.used(new) for path in feature):
            if old is not None and any(path.used(old) for path in feature):
                continue
            for path in feature:
                path.drop(new)


def gated_fields(group: str, resource: str) -> Mapping[str, list[str]]:
    """Gate -> paths of a resource's fields."""
    gates: defaultdict[str, list[str]] = defaultdict(list)
    for gate, words in FIELDS.get((group, resource), {}).items():
        gates[gate] += words.split()
    if (group, resource) == ("", "pods"):
        tables = [("spec", POD_SPEC, CONTAINER_LISTS), ("status", POD_STATUS, STATUS_LISTS)]
    elif template := POD_TEMPLATES.get((group, resource)):
        tables = [(".".join((*template, "spec")), POD_SPEC, CONTAINER_LISTS)]
    else:
        tables = []
    for part, table, lists in tables:
        for gate, words in table.items():
            gates[gate] += [f"{part}.{each}" for word in words.split() for each in _spread(word, lists)]
    return gates


def _spread(word: str, lists: Iterable[str]) -> Iterator[str]:
    if word.startswith("*"):
        yield from (f"{name}[]{word[1:]}" for name in lists)
    else:
        yield word


def _path(word: str) -> Path:
    *steps, field = split(word)
    whole = bool(steps) and steps[-1].endswith("?")
    return Path(tuple(step.rstrip("?") for step in steps), field, whole)
