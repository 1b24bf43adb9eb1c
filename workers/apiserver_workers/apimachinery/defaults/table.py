"""Which defaults each kind has: group, version and kind to the defaulters that run, in order."""

from __future__ import annotations

from apiserver_workers.apimachinery.defaults import conversions, core, extensions, pods, workloads
from apiserver_workers.apimachinery.defaults.resource_lists import resource_lists
from apiserver_workers.apimachinery.defaults.rules import Defaulter, each, pointers, values

_WEBHOOK = {
    "failurePolicy": "Fail",
    "matchPolicy": "Equivalent",
    "namespaceSelector": {},
    "objectSelector": {},
    "timeoutSeconds": 10,
}
_MATCH = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
_WEBHOOK_RULES = (
    pointers("webhooks[].rules[]", scope="*"),
    pointers("webhooks[].clientConfig.service", port=443),
)
_MATCH_RULES = (
    pointers("spec.matchConstraints", **_MATCH),
    pointers("spec.matchConstraints.resourceRules[]", scope="*"),
    pointers("spec.matchConstraints.excludeResourceRules[]", scope="*"),
)
_POLICY = (pointers("spec", failurePolicy="Fail"), *_MATCH_RULES)
_POLICY_BINDING = (
    pointers("spec.matchResources", **_MATCH),
    pointers("spec.matchResources.resourceRules[]", scope="*"),
    pointers("spec.matchResources.excludeResourceRules[]", scope="*"),
)
_ROLE_BINDING = (
    values("roleRef", apiGroup=extensions.RBAC_GROUP),
    each("subjects[]", extensions.set_subject),
)


def _device_rules(devices: str) -> tuple[Defaulter, ...]:
    """The requests of a resource claim's spec.devices, which a claim template holds one level deeper."""
    exact, alternative = f"{devices}.requests[].exactly", f"{devices}.requests[].firstAvailable[]"
    return (
        each(exact, extensions.set_device_request),
        each(alternative, extensions.set_device_request),
        values(f"{exact}.tolerations[]", operator="Equal"),
        values(f"{alternative}.tolerations[]", operator="Equal"),
    )


def _flat_device_rules(devices: str) -> tuple[Defaulter, ...]:
    """The same in v1beta1, whose requests have the fields of `exactly` themselves."""
    request, alternative = f"{devices}.requests[]", f"{devices}.requests[].firstAvailable[]"
    return (
        each(request, extensions.set_flat_device_request),
        each(alternative, extensions.set_device_request),
        values(f"{request}.tolerations[]", operator="Equal"),
        values(f"{alternative}.tolerations[]", operator="Equal"),
    )


_ALLOCATED = values("status.allocation.devices.results[].tolerations[]", operator="Equal")
_QUEUING = values("spec.limited.limitResponse.queuing", queues=64, handSize=8, queueLengthLimit=50)
_EXEMPT = pointers("spec.exempt", nominalConcurrencyShares=0, lendablePercent=0)

# Versions whose kinds have the defaults of another version, but for those that have entries of their own.
SAME_AS = {
    ("admissionregistration.k8s.io", "v1beta1"): "v1",
    ("admissionregistration.k8s.io", "v1alpha1"): "v1",
    ("autoscaling", "v2beta2"): "v2",
    ("certificates.k8s.io", "v1"): "v1beta1",
    ("certificates.k8s.io", "v1alpha1"): "v1beta1",
    ("flowcontrol.apiserver.k8s.io", "v1beta3"): "v1",
    ("flowcontrol.apiserver.k8s.io", "v1beta2"): "v1",
    ("flowcontrol.apiserver.k8s.io", "v1beta1"): "v1",
    ("resource.k8s.io", "v1beta2"): "v1",
}

DEFAULTERS: dict[tuple[str, str, str], tuple[Defaulter, ...]] = {
    # core
    ("", "v1", "Endpoints"): (values("subsets[].ports[]", protocol="TCP"),),
    ("", "v1", "LimitRange"): (each("spec.limits[]", core.set_limit_range_item),),
    ("", "v1", "Namespace"): (core.set_namespace,),
    ("", "v1", "Node"): (each("status", core.set_node_status), conversions.agree_on_pod_cidrs),
    ("", "v1", "PersistentVolume"): (
        values("status", phase="Pending"),
        values("spec", persistentVolumeReclaimPolicy="Retain"),
        pointers("spec", volumeMode="Filesystem"),
        each("spec", core.set_persistent_volume_spec),
    ),
    ("", "v1", "PersistentVolumeClaim"): (workloads.set_persistent_volume_claim,),
    ("", "v1", "Pod"): (pods.set_pod, conversions.agree_on_pod_addresses),
    ("", "v1", "PodTemplate"): (pods.set_template,),
    ("", "v1", "ReplicationController"): (core.set_replication_controller,),
    ("", "v1", "ResourceQuota"): (resource_lists("spec", "hard"), resource_lists("status", "hard", "used")),
    ("", "v1", "Secret"): (values("", type="Opaque"), conversions.fold_string_data),
    ("", "v1", "Service"): (core.set_service,),
    # workloads
    ("apps", "v1", "DaemonSet"): (workloads.set_daemon_set, conversions.set_template_generation),
    ("apps", "v1", "Deployment"): (workloads.set_deployment,),
    ("apps", "v1", "ReplicaSet"): (workloads.set_replica_set,),
    ("apps", "v1", "StatefulSet"): (workloads.set_stateful_set,),
    ("autoscaling", "v1", "HorizontalPodAutoscaler"): (pointers("spec", minReplicas=1),),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"): (workloads.set_autoscaler,),
    ("batch", "v1", "CronJob"): (
        values("spec", concurrencyPolicy="Allow"),
        pointers("spec", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1),
        each("spec.jobTemplate.spec", workloads.set_job_spec),
    ),
    ("batch", "v1", "Job"): (workloads.set_job,),
    # admission, extension
    ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy"): _POLICY,
    ("admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration"): (
        pointers("webhooks[]", **_WEBHOOK, reinvocationPolicy="Never"),
        *_WEBHOOK_RULES,
    ),
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"): _POLICY,
    ("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"): _POLICY_BINDING,
    ("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"): (
        pointers("webhooks[]", **_WEBHOOK),
        *_WEBHOOK_RULES,
    ),
    ("apiextensions.k8s.io", "v1", "CustomResourceDefinition"): (
        extensions.set_custom_resource_definition,
        pointers("spec.conversion.webhook.clientConfig.service", port=443),
    ),
    ("apiregistration.k8s.io", "v1", "APIService"): (pointers("spec.service", port=443),),
    # the rest, by group
    ("certificates.k8s.io", "v1beta1", "PodCertificateRequest"): (pointers("spec", maxExpirationSeconds=86400),),
    ("authentication.k8s.io", "v1", "TokenRequest"): (pointers("spec", expirationSeconds=3600),),
    ("discovery.k8s.io", "v1", "EndpointSlice"): (pointers("ports[]", name="", protocol="TCP"),),
    ("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"): (values("spec", matchingPrecedence=1000),),
    ("flowcontrol.apiserver.k8s.io", "v1", "PriorityLevelConfiguration"): (
        _EXEMPT,
        pointers("spec.limited", nominalConcurrencyShares=30, lendablePercent=0),
        _QUEUING,
    ),
    ("flowcontrol.apiserver.k8s.io", "v1beta3", "PriorityLevelConfiguration"): (
        _EXEMPT,
        extensions.set_shares,
        pointers("spec.limited", lendablePercent=0),
        _QUEUING,
    ),
    **{
        ("flowcontrol.apiserver.k8s.io", version, "PriorityLevelConfiguration"): (
            _EXEMPT,
            values("spec.limited", assuredConcurrencyShares=30),
            pointers("spec.limited", lendablePercent=0),
            _QUEUING,
        )
        for version in ("v1beta2", "v1beta1")
    },
    ("networking.k8s.io", "v1", "IngressClass"): (pointers("spec.parameters", scope="Cluster"),),
    ("networking.k8s.io", "v1", "NetworkPolicy"): (
        each("spec", extensions.set_policy_types),
        pointers("spec.ingress[].ports[]", protocol="TCP"),
        pointers("spec.egress[].ports[]", protocol="TCP"),
    ),
    ("node.k8s.io", "v1", "RuntimeClass"): (resource_lists("overhead", "podFixed"),),
    ("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"): _ROLE_BINDING,
    ("rbac.authorization.k8s.io", "v1", "RoleBinding"): _ROLE_BINDING,
    ("resource.k8s.io", "v1", "ResourceClaim"): (
        *_device_rules("spec.devices"),
        _ALLOCATED,
    ),
    ("resource.k8s.io", "v1", "ResourceClaimTemplate"): _device_rules("spec.spec.devices"),
    ("resource.k8s.io", "v1", "ResourceSlice"): (
        each("spec.devices[].taints[]", extensions.set_device_taint),
        pointers("spec.devices[].nodeAllocatableResourceMappings{}", allocationMultiplier="1"),
    ),
    **{
        ("resource.k8s.io", version, kind): rules
        for version in ("v1beta1", "v1alpha3")
        for kind, rules in {
            "ResourceClaim": (*_flat_device_rules("spec.devices"), _ALLOCATED),
            "ResourceClaimTemplate": _flat_device_rules("spec.spec.devices"),
            "ResourceSlice": (
                each("spec.devices[].basic.taints[]", extensions.set_device_taint),
                pointers("spec.devices[].basic.nodeAllocatableResourceMappings{}", allocationMultiplier="1"),
            ),
        }.items()
    },
    **{
        ("resource.k8s.io", version, "DeviceTaintRule"): (each("spec.taint", extensions.set_device_taint),)
        for version in ("v1", "v1beta2", "v1alpha3")
    },
    ("scheduling.k8s.io", "v1", "PriorityClass"): (pointers("", preemptionPolicy="PreemptLowerPriority"),),
    ("storage.k8s.io", "v1", "CSIDriver"): (
        pointers(
            "spec",
            attachRequired=True,
            podInfoOnMount=False,
            storageCapacity=False,
            fsGroupPolicy="ReadWriteOnceWithFSType",
            requiresRepublish=False,
            seLinuxMount=False,
        ),
        values("spec", volumeLifecycleModes=["Persistent"]),
    ),
    ("storage.k8s.io", "v1", "StorageClass"): (pointers("", reclaimPolicy="Delete", volumeBindingMode="Immediate"),),
    ("storage.k8s.io", "v1", "VolumeAttachment"): (
        each("spec.source.inlineVolumeSpec", core.set_persistent_volume_spec),
    ),
}

for (_group, _version), _other in SAME_AS.items():
    for _kind in [kind for group, version, kind in DEFAULTERS if (group, version) == (_group, _other)]:
        DEFAULTERS.setdefault((_group, _version, _kind), DEFAULTERS[_group, _other, _kind])
