"""Which cells each kind's row has, in the order of its columns: upstream's printers as data.

Kinds that are not here have the default table, with two columns: Name and Created At.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.conversion import convert
from apiserver_workers.apimachinery.tables import cluster, events, network, pods, policy, storage, workloads
from apiserver_workers.apimachinery.tables.cells import (
    NONE,
    UNKNOWN,
    UNSET,
    Cell,
    Object,
    containers,
    count,
    created,
    created_at,
    filled,
    flag,
    joined,
    labels,
    name,
    number,
    selector,
    since,
    value,
)

Printer = Callable[[Object, float], list[Any]]


def _row(*cells: Cell) -> Printer:
    return lambda obj, now: [cell(obj, now) for cell in cells]


_TEMPLATE = containers("spec.template.spec.containers")
_REPLICAS = (number("spec.replicas"), number("status.replicas"), number("status.readyReplicas"), created, *_TEMPLATE)
_BINDING = _row(
    name,
    policy.role_reference,
    created,
    policy.subjects("User"),
    policy.subjects("Group"),
    policy.subjects("ServiceAccount"),
)
_POLICY_BINDING = _row(name, value("spec.policyName"), policy.parameter, created)
_WEBHOOKS = _row(name, count("webhooks"), created)
_NAME_AND_AGE = _row(name, created)
_AUTOSCALER = _row(
    name,
    workloads.scale_target,
    workloads.targets,
    workloads.min_pods,
    number("spec.maxReplicas"),
    number("status.currentReplicas"),
    created,
)


def _autoscaler(obj: Object, now: float) -> list[Any]:
    """An autoscaler of either version: v1 holds most metrics in annotations."""
    old = obj.get("apiVersion") == "autoscaling/v1"
    return _AUTOSCALER(convert(obj, "autoscaling", "v2") if old else obj, now)


DEFAULT: Printer = _row(name, created_at)
SCALE: Printer = _row(name, number("spec.replicas"), number("status.replicas"), created)

PRINTERS: dict[tuple[str, str], Printer] = {
    ("internal.apiserver.k8s.io", "StorageVersion"): _row(
        name, filled("status.commonEncodingVersion", UNSET), cluster.storage_versions, created
    ),
    # core
    ("", "ComponentStatus"): cluster.component,
    ("", "ConfigMap"): lambda obj, now: [
        name(obj, now),
        len(obj.get("data") or ()) + len(obj.get("binaryData") or ()),
        created(obj, now),
    ],
    ("", "Endpoints"): _row(name, network.endpoints, created),
    ("", "Event"): events.event,
    ("", "Namespace"): _row(name, value("status.phase"), created),
    ("", "Node"): _row(
        name,
        cluster.node_status,
        cluster.node_roles,
        created,
        value("status.nodeInfo.kubeletVersion"),
        cluster.node_address("InternalIP"),
        cluster.node_address("ExternalIP"),
        filled("status.nodeInfo.osImage", UNKNOWN),
        filled("status.nodeInfo.kernelVersion", UNKNOWN),
        filled("status.nodeInfo.containerRuntimeVersion", UNKNOWN),
    ),
    ("", "PersistentVolume"): _row(
        name,
        storage.volume_capacity,
        storage.volume_modes,
        value("spec.persistentVolumeReclaimPolicy"),
        storage.phase,
        storage.volume_claim,
        storage.storage_class,
        value("spec.volumeAttributesClassName", UNSET),
        value("status.reason"),
        created,
        value("spec.volumeMode", UNSET),
    ),
    ("", "PersistentVolumeClaim"): _row(
        name,
        storage.phase,
        value("spec.volumeName"),
        storage.claim_capacity,
        storage.claim_modes,
        storage.storage_class,
        value("spec.volumeAttributesClassName", UNSET),
        created,
        value("spec.volumeMode", UNSET),
    ),
    ("", "Pod"): pods.cells,
    ("", "PodTemplate"): _row(name, *containers("template.spec.containers"), labels("template.metadata.labels")),
    ("", "ReplicationController"): _row(name, *_REPLICAS, labels("spec.selector")),
    ("", "ResourceQuota"): _row(name, policy.quota(limits=False), policy.quota(limits=True), created),
    ("", "Secret"): _row(name, value("type"), count("data"), created),
    ("", "Service"): _row(
        name,
        value("spec.type"),
        network.cluster_ip,
        network.external_ip,
        network.service_ports,
        created,
        labels("spec.selector"),
    ),
    ("", "ServiceAccount"): _NAME_AND_AGE,
    # workloads
    ("apps", "ControllerRevision"): _row(name, workloads.controller, number("revision"), created),
    ("apps", "DaemonSet"): _row(
        name,
        number("status.desiredNumberScheduled"),
        number("status.currentNumberScheduled"),
        number("status.numberReady"),
        number("status.updatedNumberScheduled"),
        number("status.numberAvailable"),
        labels("spec.template.spec.nodeSelector"),
        created,
        *_TEMPLATE,
        selector("spec.selector"),
    ),
    ("apps", "Deployment"): _row(
        name,
        workloads.ready_of_desired,
        number("status.updatedReplicas"),
        number("status.availableReplicas"),
        created,
        *_TEMPLATE,
        workloads.plain_selector,
    ),
    ("apps", "ReplicaSet"): _row(name, *_REPLICAS, selector("spec.selector")),
    ("apps", "StatefulSet"): _row(name, workloads.ready_of_desired, created, *_TEMPLATE),
    ("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    ("batch", "CronJob"): _row(
        name,
        value("spec.schedule"),
        value("spec.timeZone", NONE),
        workloads.suspended,
        count("status.active"),
        since("status.lastScheduleTime", NONE),
        created,
        *containers("spec.jobTemplate.spec.template.spec.containers"),
        selector("spec.jobTemplate.spec.selector"),
    ),
    ("batch", "Job"): _row(
        name,
        workloads.job_status,
        workloads.job_completions,
        workloads.job_duration,
        created,
        *_TEMPLATE,
        selector("spec.selector"),
    ),
    # admission, extension
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"): _row(
        name, count("spec.mutations"), policy.parameter_kind, created
    ),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _WEBHOOKS,
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"): _row(
        name, count("spec.validations"), policy.parameter_kind, created
    ),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _WEBHOOKS,
    ("apiregistration.k8s.io", "APIService"): _row(name, cluster.service_of, cluster.available, created),
    # the rest, by group
    ("certificates.k8s.io", "CertificateSigningRequest"): _row(
        name,
        created,
        filled("spec.signerName", NONE),
        value("spec.username"),
        policy.requested_duration,
        policy.request_condition,
    ),
    ("coordination.k8s.io", "Lease"): _row(name, value("spec.holderIdentity"), created),
    ("discovery.k8s.io", "EndpointSlice"): _row(
        name, value("addressType"), network.slice_ports, network.slice_endpoints, created
    ),
    ("events.k8s.io", "Event"): events.event,
    ("flowcontrol.apiserver.k8s.io", "FlowSchema"): _row(
        name,
        value("spec.priorityLevelConfiguration.name"),
        number("spec.matchingPrecedence"),
        value("spec.distinguisherMethod.type", NONE),
        created,
        policy.missing_level,
    ),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration"): _row(
        name,
        value("spec.type"),
        value("spec.limited.nominalConcurrencyShares", NONE),
        value("spec.limited.limitResponse.queuing.queues", NONE),
        value("spec.limited.limitResponse.queuing.handSize", NONE),
        value("spec.limited.limitResponse.queuing.queueLengthLimit", NONE),
        created,
    ),
    ("networking.k8s.io", "Ingress"): _row(
        name,
        value("spec.ingressClassName", NONE),
        network.hosts,
        network.load_balancer,
        network.ingress_ports,
        created,
    ),
    ("networking.k8s.io", "IngressClass"): _row(name, value("spec.controller"), network.class_parameters, created),
    # one cell more than it has columns, as upstream
    ("networking.k8s.io", "IPAddress"): _row(name, network.parent, created),
    ("networking.k8s.io", "NetworkPolicy"): _row(name, selector("spec.podSelector"), created),
    ("networking.k8s.io", "ServiceCIDR"): _row(name, joined("spec.cidrs"), created),
    ("node.k8s.io", "RuntimeClass"): _row(name, value("handler"), created),
    ("policy", "PodDisruptionBudget"): _row(
        name,
        policy.budget_limit("spec.minAvailable"),
        policy.budget_limit("spec.maxUnavailable"),
        number("status.disruptionsAllowed"),
        created,
    ),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _BINDING,
    ("rbac.authorization.k8s.io", "RoleBinding"): _BINDING,
    ("resource.k8s.io", "DeviceClass"): _NAME_AND_AGE,
    ("resource.k8s.io", "ResourceClaim"): _row(name, cluster.claim_state, created),
    ("resource.k8s.io", "ResourceClaimTemplate"): _NAME_AND_AGE,
    ("resource.k8s.io", "ResourceSlice"): _row(
        name,
        # of a pointer: null when the slice is not of one node
        value("spec.nodeName", None),
        value("spec.driver"),
        value("spec.pool.name"),
        created,
    ),
    ("scheduling.k8s.io", "PriorityClass"): _row(
        name, number("value"), flag("globalDefault"), created, value("preemptionPolicy")
    ),
    ("storage.k8s.io", "CSIDriver"): _row(
        name,
        flag("spec.attachRequired", missing=True),
        flag("spec.podInfoOnMount"),
        flag("spec.storageCapacity"),
        storage.token_requests,
        flag("spec.requiresRepublish"),
        joined("spec.volumeLifecycleModes", NONE),
        created,
    ),
    ("storage.k8s.io", "CSINode"): _row(name, count("spec.drivers"), created),
    ("storage.k8s.io", "StorageClass"): _row(
        storage.name_of_class(storage.DEFAULT_STORAGE_CLASS),
        value("provisioner"),
        value("reclaimPolicy", "Delete"),
        value("volumeBindingMode", "Immediate"),
        flag("allowVolumeExpansion"),
        created,
    ),
    ("storage.k8s.io", "VolumeAttachment"): _row(
        name,
        value("spec.attacher"),
        value("spec.source.persistentVolumeName"),
        value("spec.nodeName"),
        flag("status.attached"),
        created,
    ),
    ("storage.k8s.io", "VolumeAttributesClass"): _row(
        storage.name_of_class(storage.DEFAULT_ATTRIBUTES_CLASS), value("driverName"), created
    ),
}
