"""What a pod's status says of its resource claims, its containers' users and the health of what they were given."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.quantity import parse
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    duplicate,
    each,
    forbidden,
    invalid,
    key,
    not_supported,
    required,
    section,
    too_long,
)
from apiserver_workers.apimachinery.validation.resource_lists import is_native

Object = dict[str, Any]

STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
HEALTH = ("Healthy", "Unhealthy", "Unknown")
MAX_HEALTH_MESSAGE, MAX_IMAGE_REFERENCE = 1024, 256
MAX_ID = 2**31 - 1
ID_RANGE = f"must be between 0 and {MAX_ID}, inclusive"
NO_CONTAINER = "must match the name of an entry in spec.initContainers.name or spec.containers.name"
NO_REQUEST = (
    "must match the extended resource name of an entry in spec.initContainers.resources.requests "
    "or spec.containers.resources.requests"
)
NO_CLAIM = (
    "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' "
    "or 'claim:<claimName>' if request is empty"
)


def validate_claim_statuses(status: Object, spec: Object) -> Errors:
    """The claims that were made for the pod, for its extended resources and for what nodes have themselves."""
    errors = _validate_claims(status.get("resourceClaimStatuses"), spec, "status.resourceClaimStatuses")
    if (extended := status.get("extendedResourceClaimStatus")) is not None:
        errors += _validate_extended(extended, spec, "status.extendedResourceClaimStatus")
    path = "status.nodeAllocatableResourceClaimStatuses"
    for at, one in each(path, status.get("nodeAllocatableResourceClaimStatuses")):
        errors += _validate_node_allocatable(one, status, spec, at)
    return errors


def _validate_claims(statuses: list[Object] | None, spec: Object, path: str) -> Errors:
    errors: Errors = []
    known = {claim.get("name") for claim in spec.get("resourceClaims") or ()}
    seen: set[str] = set()
    for at, status in each(path, statuses):
        name, claim = status.get("name", ""), status.get("resourceClaimName")
        if name not in known:
            errors.append(invalid(f"{at}.name", name, "must match the name of an entry in `spec.resourceClaims`"))
        if name in seen:
            errors.append(duplicate(f"{at}.name", name))
        seen.add(name)
        if claim is not None:
            errors += _claim_name(claim, f"{at}.resourceClaimName")
    return errors


def _claim_name(name: str, path: str) -> Errors:
    return [invalid(path, name, fault) for fault in names.is_dns1123_subdomain(name)]


def _validate_extended(status: Object, spec: Object, path: str) -> Errors:
    containers = {
        container.get("name", ""): container
        for field in ("initContainers", "containers")
        for container in spec.get(field) or ()
    }
    errors: Errors = []
    mappings = status.get("requestMappings") or []
    if not mappings:
        errors.append(required(f"{path}.requestMappings", "at least one request mapping is required"))
    seen: set[tuple[str, ...]] = set()
    for at, mapping in each(f"{path}.requestMappings", mappings):
        container, resource, request = (mapping.get(f, "") for f in ("containerName", "resourceName", "requestName"))
        if container not in containers:
            errors.append(invalid(f"{at}.containerName", container, NO_CONTAINER))
        elif resource not in section(containers[container], "resources", "requests"):
            errors.append(invalid(f"{at}.resourceName", resource, NO_REQUEST))
        errors += [invalid(f"{path}.requestName", request, fault) for fault in names.is_dns1123_label(request)]
        if (container, resource, request) in seen:
            errors.append(duplicate(f"{at}.containerName", container))
            errors.append(duplicate(f"{at}.resourceName", resource))
            errors.append(duplicate(f"{at}.requestName", request))
        seen.add((container, resource, request))
    claim = status.get("resourceClaimName")
    at = f"{path}.resourceClaimName"
    return errors + (_claim_name(claim, at) if claim else [required(at)])


def _validate_node_allocatable(status: Object, pod: Object, spec: Object, path: str) -> Errors:
    errors: Errors = []
    claim, at = status.get("resourceClaimName", ""), f"{path}.resourceClaimName"
    if not claim:
        errors.append(required(at, "must not be empty"))
    references = [*(spec.get("resourceClaims") or ()), *(pod.get("resourceClaimStatuses") or ())]
    if all(reference.get("resourceClaimName") != claim for reference in references):
        errors.append(invalid(at, claim, "no mapping found in pod reference"))
    for field in ("containers", "resources"):
        if not status.get(field):
            errors.append(required(f"{path}.{field}", "must not be empty"))
    for name, value in sorted((status.get("resources") or {}).items()):
        place = key(f"{path}.resources", name)
        if not is_native(name):
            errors.append(invalid(place, name, "must be a node allocatable resource name"))
        if parse(value).nano < 0:
            errors.append(invalid(place, value, "must be non-negative"))
    return errors


def validate_container_statuses(status: Object, spec: Object) -> Errors:
    """Users, allocated resources and mounted images of all containers."""
    errors: Errors = []
    system = (spec.get("os") or {"name": "linux"}).get("name")
    for field in STATUSES:
        for at, container in each(f"status.{field}", status.get(field)):
            errors += _validate_user(section(container, "user").get("linux"), system, f"{at}.user.linux")
    for field, holder in zip(STATUSES, ("containers", "initContainers"), strict=False):
        for at, container in each(f"status.{field}", status.get(field)):
            errors += _validate_allocated(container, spec.get(holder) or [], f"{at}.allocatedResourcesStatus")
    for at, container in each(f"status.{STATUSES[2]}", status.get(STATUSES[2])):
        if container.get("allocatedResourcesStatus"):
            text = "must not be specified in container status"
            errors.append(forbidden(f"{at}.allocatedResourcesStatus", text))
    return errors + _validate_images(status)


def _validate_user(user: Object | None, system: str | None, path: str) -> Errors:
    if user is None:
        return []
    if system == "windows":
        return [forbidden(path, "cannot be set for a windows pod")]
    if system != "linux":
        return []
    numbered = [(f"{path}.{field}", user.get(field) or 0) for field in ("uid", "gid")]
    numbered += each(f"{path}.supplementalGroups", user.get("supplementalGroups"))
    return [invalid(at, number, ID_RANGE) for at, number in numbered if not 0 <= number <= MAX_ID]


def _validate_allocated(status: Object, containers: list[Object], path: str) -> Errors:
    errors: Errors = []
    container = next((one for one in containers if one.get("name") == status.get("name", "")), None)
    for at, allocated in each(path, status.get("allocatedResourcesStatus")):
        name = allocated.get("name", "")
        if container is not None and (fault := _unrequested(name, container)):
            errors.append(invalid(f"{at}.name", name, fault))
        seen: set[str] = set()
        for place, resource in each(f"{at}.resources", allocated.get("resources")):
            errors += _validate_health(resource, place, seen)
    return errors


def _unrequested(name: str, container: Object) -> str:
    resources = section(container, "resources")
    if name.startswith("claim:"):
        return "" if name in {_claimed(claim) for claim in resources.get("claims") or ()} else NO_CLAIM
    return "" if name in (resources.get("requests") or {}) else "must match one of the container's resource requests"


def _claimed(claim: Object) -> str:
    request = claim.get("request")
    name = f"claim:{claim.get('name', '')}"
    return f"{name}/{request}" if request else name


def _validate_health(resource: Object, path: str, seen: set[str]) -> Errors:
    errors: Errors = []
    health, message, identity = resource.get("health", ""), resource.get("message"), resource.get("resourceID", "")
    if health not in HEALTH:
        errors.append(not_supported(f"{path}.health", health, HEALTH))
    if message == "":
        errors.append(required(f"{path}.message", "must be non-empty if specified"))
    elif message is not None and len(message.encode()) > MAX_HEALTH_MESSAGE:
        errors.append(too_long(f"{path}.message", MAX_HEALTH_MESSAGE))
    if identity in seen:
        errors.append(duplicate(f"{path}.resourceID", identity))
    seen.add(identity)
    return errors


def _validate_images(status: Object) -> Errors:
    errors: Errors = []
    for field in STATUSES:
        for at, container in each(f"status.{field}", status.get(field)):
            for place, mount in each(f"{at}.volumeMounts", container.get("volumeMounts")):
                if (image := section(mount, "volumeStatus").get("image")) is not None:
                    errors += _validate_image(image.get("imageRef", ""), f"{place}.volumeStatus.imageVolumeStatus")
    return errors


def _validate_image(reference: str, path: str) -> Errors:
    at = f"{path}.imageRef"
    if not reference:
        return [required(at, "imageRef must not be empty")]
    too_big = len(reference.encode()) > MAX_IMAGE_REFERENCE
    return [too_long(at, MAX_IMAGE_REFERENCE)] if too_big else []
