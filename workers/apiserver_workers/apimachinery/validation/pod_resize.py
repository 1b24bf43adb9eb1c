"""What a resize may change of a pod (pkg/apis/core/validation ValidatePodResize): cpu and memory, and nothing else.

To see whether anything else differs, cpu and memory of the old pod are put into the new one, which must then be the same.
"""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.validation.field import Errors, each, forbidden, section

Object = dict[str, Any]

NOWHERE = "[]"  # the path of the whole object
MIRROR_POD = "kubernetes.io/config.mirror"
RESIZABLE = ("cpu", "memory")
ONLY = "only cpu and memory resources are mutable"
NO_POD_LEVEL = (
    "resize of pods with pod-level resources is forbidden when InPlacePodLevelResourcesVerticalScalingEnabled "
    "feature gate is disabled"
)
KINDS_OF_CONTAINERS = ("containers", "initContainers")


def is_static(pod: Object) -> bool:
    """Whether the pod mirrors one that a kubelet runs by itself."""
    return MIRROR_POD in (pod["metadata"].get("annotations") or {})


def refuse_resize(old: Object) -> Errors:
    """Why such a pod is never resized; empty if it may be."""
    if is_static(old):
        return [forbidden(NOWHERE, "static pods cannot be resized")]
    if section(old, "spec", "os").get("name") == "windows":
        return [forbidden(NOWHERE, "windows pods cannot be resized")]
    return []


def validate_changes(new: Object, old: Object, errors: Errors) -> Errors:
    """`errors`, what is wrong otherwise, with what the resize may not change."""
    now = section(new, "spec")
    before = section(old, "spec")
    if not _node_resizes(old):
        errors.append(forbidden("spec", "Pod running on node without support for resize"))
    munged = dict(now)
    if any(_says_resources(spec) for spec in (now, before)):
        if not feature_gates.enabled("InPlacePodLevelResourcesVerticalScaling"):
            return [*errors, forbidden(NOWHERE, NO_POD_LEVEL)]
        errors += _validate_pod_level(now, before, munged)
    if section(old, "status").get("nodeAllocatableResourceClaimStatuses"):
        errors.append(forbidden("spec", "pods with node allocatable resource claims cannot be resized"))
    if moved := _validate_order(now, before):
        return errors + moved
    errors += _validate_removals(now, before)
    errors += _validate_containers(now, before) + _validate_init_containers(now, before)
    if errors:
        return errors
    munged.update({field: before[field] for field in KINDS_OF_CONTAINERS if before.get(field)})
    return [] if munged == before else [forbidden("spec", ONLY)]


def _node_resizes(pod: Object) -> bool:
    """Whether the kubelet tells the resources of what runs, which those that can resize do."""
    for status in section(pod, "status").get("containerStatuses") or ():
        if section(status, "state").get("running") is not None:
            return status.get("resources") is not None
    return True


def _says_resources(spec: Object) -> bool:
    resources = spec.get("resources") or {}
    return bool(resources.get("requests") or resources.get("limits"))


def _validate_pod_level(now: Object, before: Object, munged: Object) -> Errors:
    """The resources of the pod as a whole; those of `munged` become what they were."""
    wanted = now.get("resources")
    held = before.get("resources")
    if held is not None and wanted is None:
        return [forbidden("spec.resources", "pod-level resources cannot be removed")]
    errors = [
        forbidden(f"spec.resources.{field}", f"pod-level resource {field} cannot be removed")
        for field in ("requests", "limits")
        if _removed(wanted, held, field)
    ]
    munged["resources"] = _with_amounts_of(wanted or {}, held or {}, keep=True)
    if munged["resources"] != (held or {}):
        errors.append(forbidden("spec", "only cpu and memory resources are mutable at pod-level"))
    elif held is None:
        del munged["resources"]
    return errors


def _validate_order(now: Object, before: Object) -> Errors:
    """Containers are neither added, removed, renamed nor moved."""
    errors: Errors = []
    for field in KINDS_OF_CONTAINERS:
        wanted = now.get(field) or []
        held = before.get(field) or []
        if len(wanted) != len(held):
            errors.append(forbidden(f"spec.{field}", f"{field} may not be added or removed on resize"))
            continue
        for (at, container), other in zip(each(f"spec.{field}", wanted), held, strict=True):
            if container.get("name") != other.get("name"):
                errors.append(forbidden(f"{at}.name", f"{field} may not be renamed or reordered on resize"))
    return errors


def _is_sidecar(container: Object) -> bool:
    return container.get("restartPolicy") == "Always"


def _resizes_init_containers() -> bool:
    return feature_gates.enabled("InPlacePodVerticalScalingInitContainers")


def _validate_removals(now: Object, before: Object) -> Errors:
    errors: Errors = []
    for field in ("initContainers", "containers"):
        for (at, container), other in zip(each(f"spec.{field}", now.get(field)), before.get(field) or (), strict=True):
            if field == "initContainers" and not _is_sidecar(other) and not _resizes_init_containers():
                continue
            errors += [
                forbidden(f"{at}.resources.{kind}", f"resource {kind} cannot be removed")
                for kind in ("requests", "limits")
                if _removed(container.get("resources"), other.get("resources"), kind)
            ]
    return errors


def _removed(wanted: Object | None, held: Object | None, field: str) -> bool:
    """Whether a resource that was named is not any more."""
    names = ((wanted or {}).get(field) or {}).keys()
    return not names >= ((held or {}).get(field) or {}).keys()


def _validate_containers(now: Object, before: Object) -> Errors:
    pairs = zip(now.get("containers") or (), before.get("containers") or (), strict=True)
    return [forbidden("spec", ONLY) for container, other in pairs if _munged(container, other) != other]


def _validate_init_containers(now: Object, before: Object) -> Errors:
    errors: Errors = []
    containers = each("spec.initContainers", now.get("initContainers"))
    for (at, container), other in zip(containers, before.get("initContainers") or (), strict=True):
        sidecar = _is_sidecar(container)
        changed = container != other
        if not sidecar and not _resizes_init_containers():
            if changed:
                errors.append(forbidden("spec", "resources for non-sidecar init containers are immutable"))
            continue
        if _munged(container, other) != other:
            text = "only cpu and memory resources for init or sidecar containers are mutable"
            errors.append(forbidden(at, text))
        if changed and not sidecar:
            text = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized"
            policies = container.get("resizePolicy") or ()
            errors += [forbidden(at, text) for policy in policies if policy.get("restartPolicy") == "RestartContainer"]
    return errors


def _munged(container: Object, other: Object) -> Object:
    """`container` with the cpu and memory of `other`, and without its claims, as upstream compares it."""
    resources = _with_amounts_of(container.get("resources") or {}, other.get("resources") or {}, keep=False)
    rest = {name: value for name, value in container.items() if name != "resources"}
    return {**rest, "resources": resources} if resources or "resources" in other else rest


def _with_amounts_of(wanted: Object, held: Object, *, keep: bool) -> Object:
    """Resource requirements with the cpu and memory amounts of others; `keep` the claims."""
    found = {name: value for name, value in wanted.items() if keep and name not in ("requests", "limits")}
    for kind in ("limits", "requests"):
        amounts = {name: value for name, value in (wanted.get(kind) or {}).items() if name not in RESIZABLE}
        amounts |= {name: value for name, value in (held.get(kind) or {}).items() if name in RESIZABLE}
        if amounts:
            found[kind] = amounts
    return found
