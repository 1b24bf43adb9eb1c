"""Annotations that say something about a pod (pkg/apis/core/validation ValidatePodSpecificAnnotations)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from apiserver_workers.apimachinery.integers import whole
from apiserver_workers.apimachinery.validation.field import Errors, forbidden, invalid, join, key
from apiserver_workers.apimachinery.validation.scheduling import validate_tolerations
from apiserver_workers.apimachinery.validation.security import validate_local_descending_path
from apiserver_workers.apimachinery.validation.windows import visit_containers

Object = dict[str, Any]

PATH = "metadata.annotations"
MIRROR = "kubernetes.io/config.mirror"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
SECCOMP_POD, SECCOMP_CONTAINER = (
    "seccomp.security.alpha.kubernetes.io/pod",
    "container.seccomp.security.alpha.kubernetes.io/",
)
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
LOCALHOST = "localhost/"
# A profile's type in a field -> what the annotation says then.
SECCOMP_VALUES = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default", "docker/default")}
APP_ARMOR_VALUES = {"Unconfined": ("unconfined",), "RuntimeDefault": ("runtime/default",)}
_cost = re.compile("0|-?[1-9][0-9]*")


def validate_pod_annotations(annotations: dict[str, str], spec: Object, path: str = PATH) -> Errors:
    """The faults of a pod's or (at another path) a template's annotations."""
    errors: Errors = []
    if MIRROR in annotations and not spec.get("nodeName"):
        text = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid(key(path, MIRROR), annotations[MIRROR], text))
    if tolerations := annotations.get(TOLERATIONS):
        errors += _validate_tolerations(tolerations, path)
    if (cost := annotations.get(DELETION_COST)) is not None and not _is_cost(cost):
        errors.append(invalid(key(path, DELETION_COST), cost, "must be a 32bit integer"))
    for name, profile in sorted(annotations.items()):
        if name == SECCOMP_POD or name.startswith(SECCOMP_CONTAINER):
            errors += _validate_seccomp(profile, join(path, name))
    for name, profile in sorted(annotations.items()):
        if name.startswith(APP_ARMOR):
            errors += _validate_app_armor(name, profile, spec, path)
    return errors


def _is_cost(value: str) -> bool:
    return bool(_cost.fullmatch(value)) and -(2**31) <= whole(value) < 2**31


def _validate_tolerations(text: str, path: str) -> Errors:
    try:
        tolerations = json.loads(text)
    except ValueError as error:
        return [invalid(path, TOLERATIONS, str(error))]
    return validate_tolerations(tolerations, join(path, TOLERATIONS)) if isinstance(tolerations, list) else []


def _validate_seccomp(profile: str, path: str) -> Errors:
    if profile in ("runtime/default", "docker/default", "unconfined"):
        return []
    if profile.startswith(LOCALHOST):
        return validate_local_descending_path(profile.removeprefix(LOCALHOST), path)
    return [invalid(path, profile, "must be a valid seccomp profile")]


def _validate_app_armor(name: str, profile: str, spec: Object, path: str) -> Errors:
    container, path = name.removeprefix(APP_ARMOR), key(path, name)
    errors: Errors = []
    if all(one.get("name") != container for _, one in visit_containers(spec, "spec")):
        errors.append(invalid(path, container, "container not found"))
    if profile not in ("", "runtime/default", "unconfined") and not profile.startswith(LOCALHOST):
        errors.append(invalid(path, profile, f'invalid AppArmor profile name: "{profile}"'))
    return errors


def validate_annotation_updates(new: Object, old: Object) -> Errors:
    """ValidatePodSpecificAnnotationUpdates: which annotations stay as they are."""
    now, before = (pod["metadata"].get("annotations") or {} for pod in (new, old))
    if now == before and not now:
        return []
    errors: Errors = []
    for name, value in sorted(before.items()):
        if now.get(name) != value:
            errors += _fixed(name, "may not remove or update")
    for name in sorted(now.keys() - before.keys()):
        errors += _fixed(name, "may not add")
    return errors + validate_pod_annotations(now, new.get("spec") or {})


def _fixed(name: str, what: str) -> Errors:
    if name.startswith(APP_ARMOR):
        return [forbidden(key(PATH, name), f"{what} AppArmor annotations")]
    return [forbidden(key(PATH, name), f"{what} mirror pod annotation")] if name == MIRROR else []


def validate_profiles_match(pod: Object, at: str = "spec") -> Errors:
    """Where an annotation and a field say the same, they agree; `at` is the path of the pod's spec."""
    annotations, spec = (pod.get("metadata") or {}).get("annotations") or {}, pod.get("spec") or {}
    if not annotations:
        return []
    errors: Errors = []
    own = spec.get("securityContext") or {}
    if SECCOMP_POD in annotations and own.get("seccompProfile"):
        path = f"{at}.securityContext.seccompProfile"
        errors += _match(annotations[SECCOMP_POD], own["seccompProfile"], path, "seccomp", SECCOMP_VALUES)
    for path, container in visit_containers(spec, at):
        profile, text = (
            _of(container).get("seccompProfile"),
            annotations.get(SECCOMP_CONTAINER + container.get("name", "")),
        )
        if profile and text is not None:
            errors += _match(text, profile, f"{path}.securityContext.seccompProfile", "seccomp", SECCOMP_VALUES)
    if (spec.get("os") or {}).get("name") == "windows":
        return errors
    for path, container in visit_containers(spec, at):
        profile = _of(container).get("appArmorProfile") or own.get("appArmorProfile")
        text = annotations.get(APP_ARMOR + container.get("name", ""))
        if profile and text is not None:
            errors += _match(text, profile, f"{path}.securityContext.appArmorProfile", "apparmor", APP_ARMOR_VALUES)
    return errors


def _of(container: Object) -> Object:
    return container.get("securityContext") or {}


def _match(text: str, profile: Object, path: str, what: str, values: Mapping[str, tuple[str, ...]]) -> Errors:
    kind = profile.get("type", "")
    mismatch = [forbidden(f"{path}.type", f"{what} type in annotation and field must match")]
    if kind in values:
        return [] if text in values[kind] else mismatch
    if kind != "Localhost":
        return []
    if not text.startswith(LOCALHOST):
        return mismatch
    if profile.get("localhostProfile") == text.removeprefix(LOCALHOST):
        return []
    return [forbidden(f"{path}.localhostProfile", f"{what} profile in annotation and field must match")]
