"""Which kinds have warnings, on creation and on update."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.validation.definitions import definition_warnings
from apiserver_workers.apimachinery.validation.field import each, section
from apiserver_workers.apimachinery.warnings.nodes import warn_of_labels, warn_of_node
from apiserver_workers.apimachinery.warnings.pods import (
    warn_of_claim_spec,
    warn_of_name,
    warn_of_pod,
    warn_of_pod_ips,
    warn_of_spec,
)
from apiserver_workers.apimachinery.warnings.secrets import warn_of_secret
from apiserver_workers.apimachinery.warnings.services import (
    warn_of_balancer,
    warn_of_endpoint_slice,
    warn_of_endpoints,
    warn_of_ingress,
    warn_of_network_policy,
    warn_of_new_endpoint_slice,
    warn_of_service,
)
from apiserver_workers.apimachinery.warnings.storage import (
    warn_of_claim,
    warn_of_driver,
    warn_of_storage_capacity,
    warn_of_storage_class,
    warn_of_volume,
)

Object = dict[str, Any]

POD_NAMES = "Pod names and hostnames"
MOUNTABLE = "kubernetes.io/enforce-mountable-secrets"
STATIC_SUFFIX = ".static.k8s.io"
ADMISSION_KINDS = (
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
)
MANY_INDEXES = (
    "In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might"
    " not be able to track completedIndexes when a big number of indexes fail"
)


@dataclass(frozen=True, slots=True)
class Warnings:
    """What a kind warns of: `create` of a new object, `update` of (new, old), None where updates are not looked at;
    `status` of an update of the status."""

    create: Callable[[Object], list[str]]
    update: Callable[[Object, Object], list[str]] | None = None
    status: Callable[[Object], list[str]] | None = None


def _always(check: Callable[[Object], list[str]], status: Callable[[Object], list[str]] | None = None) -> Warnings:
    return Warnings(check, lambda new, old: check(new), status)


def _templated(*path: str, more: Callable[[Object], list[str]] | None = None, named: bool = True) -> Warnings:
    """A kind with a pod template at `path`; an update is looked at when it counts as a change."""
    holder, at = path[:-1], ".".join(path)

    def check(obj: Object) -> list[str]:
        return [*(more(obj) if more else ()), *warn_of_spec(section(obj, *holder).get(path[-1]) or {}, at)]

    def create(obj: Object) -> list[str]:
        return (warn_of_name(obj, POD_NAMES) if named else []) + check(obj)

    def update(new: Object, old: Object) -> list[str]:
        changed = new["metadata"].get("generation") != old["metadata"].get("generation")
        return check(new) if changed else []

    return Warnings(create, update)


def _stateful_set(obj: Object) -> list[str]:
    spec = obj.get("spec") or {}
    found = [
        warning
        for path, template in each("spec.volumeClaimTemplates", spec.get("volumeClaimTemplates"))
        for warning in warn_of_claim_spec(template.get("spec") or {}, f"{path}.Spec")
    ]
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        text = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {text}")
    return found


def _job_spec(*path: str) -> Callable[[Object], list[str]]:
    def check(obj: Object) -> list[str]:
        spec = section(obj, *path)
        indexed = spec.get("completionMode") == "Indexed"
        many = (spec.get("completions") or 0) > 100_000 and (spec.get("parallelism") or 0) > 10_000
        return [f"{'.'.join(path)}: {MANY_INDEXES}"] if indexed and many else []

    return check


def _service_account(obj: Object) -> list[str]:
    if MOUNTABLE not in (obj["metadata"].get("annotations") or {}):
        return []
    text = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets"
    return [f"metadata.annotations[{MOUNTABLE}]: {text}"]


def _runtime_class(obj: Object) -> list[str]:
    return warn_of_labels(section(obj, "scheduling").get("nodeSelector"), "scheduling.nodeSelector")


def _token_requests(driver: Object) -> list[Object]:
    return section(driver, "spec").get("tokenRequests") or []


def _resource_slice(obj: Object) -> list[str]:
    driver = section(obj, "spec").get("driver", "")
    if driver == driver.lower():
        return []
    return [f"spec.driver: driver names should be lowercase; {quoted(driver)} contains uppercase characters"]


def _static_name(obj: Object) -> list[str]:
    """Names of webhooks and policies that come from files."""
    if not obj["metadata"].get("name", "").endswith(STATIC_SUFFIX):
        return []
    text = "are reserved for static manifest-based configurations and cannot be managed via the API"
    return [f'metadata.name: names ending with "{STATIC_SUFFIX}" {text}']


KINDS: dict[tuple[str, str], Warnings] = {
    ("", "Pod"): Warnings(warn_of_pod, status=warn_of_pod_ips),
    ("", "PodTemplate"): _templated("template", named=False),
    ("", "ReplicationController"): _templated("spec", "template"),
    ("apps", "Deployment"): _templated("spec", "template"),
    ("apps", "ReplicaSet"): _templated("spec", "template"),
    ("apps", "DaemonSet"): _templated("spec", "template"),
    ("apps", "StatefulSet"): _templated("spec", "template", more=_stateful_set, named=False),
    ("batch", "Job"): _templated("spec", "template", more=_job_spec("spec")),
    ("batch", "CronJob"): _templated(
        "spec", "jobTemplate", "spec", "template", more=_job_spec("spec", "jobTemplate", "spec")
    ),
    ("", "Service"): _always(warn_of_service, warn_of_balancer),
    ("", "Endpoints"): _always(warn_of_endpoints),
    ("discovery.k8s.io", "EndpointSlice"): Warnings(
        warn_of_new_endpoint_slice, lambda new, old: warn_of_endpoint_slice(new)
    ),
    ("networking.k8s.io", "NetworkPolicy"): _always(warn_of_network_policy),
    ("networking.k8s.io", "Ingress"): Warnings(warn_of_ingress, status=warn_of_balancer),
    ("", "Node"): _always(warn_of_node),
    ("", "Secret"): _always(warn_of_secret),
    ("", "ServiceAccount"): _always(_service_account),
    ("", "PersistentVolume"): _always(warn_of_volume),
    ("", "PersistentVolumeClaim"): _always(warn_of_claim),
    ("storage.k8s.io", "StorageClass"): _always(warn_of_storage_class),
    ("storage.k8s.io", "CSIStorageCapacity"): _always(warn_of_storage_capacity),
    ("storage.k8s.io", "CSIDriver"): Warnings(
        warn_of_driver, lambda new, old: warn_of_driver(new) if _token_requests(new) != _token_requests(old) else []
    ),
    ("node.k8s.io", "RuntimeClass"): _always(_runtime_class),
    ("resource.k8s.io", "ResourceSlice"): _always(_resource_slice),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Warnings(definition_warnings, definition_warnings),
} | {("admissionregistration.k8s.io", kind): _always(_static_name) for kind in ADMISSION_KINDS}
