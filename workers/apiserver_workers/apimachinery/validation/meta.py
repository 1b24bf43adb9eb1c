"""ObjectMeta: names, labels, annotations, owners, finalizers (k8s.io/apimachinery/pkg/api/validation/objectmeta.go)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    each,
    forbidden,
    invalid,
    invalid_unshown,
    required,
    too_long,
    unchanged,
)

TOTAL_ANNOTATIONS_LIMIT = 256 * 1024
MAX_TOLD = 1000  # owners that the faults of one list show together
# As Go writes an owner reference.
OWNER_FIELDS = ("apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion")
ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
STANDARD_FINALIZERS = ("kubernetes", ORPHAN, FOREGROUND)
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"  # the server itself gives it to definitions

# Fields that no update may change, in the order in which they are reported.
IMMUTABLE_FIELDS = (
    "name",
    "namespace",
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)

# What the metadata of a template may not have, in the order in which it is reported, and how its path is written.
NOT_IN_TEMPLATES = {
    "name": "name",
    "generateName": "generateName",
    "namespace": "namespace",
    "selfLink": "selfLink",
    "uid": "uID",
    "resourceVersion": "resourceVersion",
    "generation": "generation",
    "creationTimestamp": "creationTimestamp",
    "deletionTimestamp": "deletionTimestamp",
    "deletionGracePeriodSeconds": "deletionGracePeriodSeconds",
    "ownerReferences": "ownerReferences",
    "finalizers": "finalizers",
    "managedFields": "managedFields",
}


def validate_labels(labels: dict[str, str] | None, path: str) -> Errors:
    errors: Errors = []
    for name, value in sorted((labels or {}).items()):
        errors += validate_label_name(name, path)
        errors += [invalid(path, value, fault) for fault in names.is_label_value(value)]
    return errors


def validate_label_name(name: str, path: str) -> Errors:
    return [invalid(path, name, fault) for fault in names.is_qualified_name(name)]


def validate_annotations(annotations: dict[str, str] | None, path: str) -> Errors:
    errors: Errors = []
    size = 0
    for name, value in sorted((annotations or {}).items()):
        errors += [invalid(path, name, fault) for fault in names.is_qualified_name(name.lower())]
        size += len(name.encode()) + len(value.encode())
    if size > TOTAL_ANNOTATIONS_LIMIT:
        errors.append(too_long(path, TOTAL_ANNOTATIONS_LIMIT))
    return errors


def validate_owner_references(owners: list[dict[str, Any]] | None, path: str) -> Errors:
    errors: Errors = []
    controller, told = "", 0
    for owner in owners or ():
        errors += _validate_owner(owner, path)
        if not owner.get("controller"):
            continue
        this = f"{owner.get('kind', '')}/{owner.get('name', '')}"
        if controller:
            text = 'Only one reference can have Controller set to true. Found "true" in references for'
            told += len(owners or ())
            errors.append(
                _second_controller(owners or [], path, f"{text} {controller} and {this}", shown=told <= MAX_TOLD)
            )
        else:
            controller = this
    return errors


def _second_controller(owners: list[dict[str, Any]], path: str, why: str, *, shown: bool) -> FieldError:
    """The fault shows all owners. With many of them it is repeated for many, and only the first few show them."""
    if not shown:
        return invalid_unshown(path, why)
    return invalid(path, [{field: one[field] for field in OWNER_FIELDS if field in one} for one in owners], why)


def _validate_owner(owner: dict[str, Any], path: str) -> Errors:
    errors: Errors = []
    version = owner.get("apiVersion", "")
    if not _version_of(version):
        errors.append(invalid(f"{path}.apiVersion", version, "version must not be empty"))
    for field in ("kind", "name", "uid"):
        if not owner.get(field):
            errors.append(invalid(f"{path}.{field}", "", "must not be empty"))
    if version in ("v1", "/v1") and owner.get("kind") == "Event":
        errors.append(invalid(path, owner, "/v1, Kind=Event is disallowed from being an owner"))
    return errors


def _version_of(api_version: str) -> str:
    """The version that ParseGroupVersion reads; none of a malformed value with two slashes."""
    return "" if api_version.count("/") > 1 else api_version.rpartition("/")[2]


def validate_finalizers(finalizers: list[str] | None, path: str) -> Errors:
    errors = [invalid(path, name, fault) for name in finalizers or () for fault in names.is_qualified_name(name)]
    if finalizers and ORPHAN in finalizers and FOREGROUND in finalizers:
        errors.append(invalid(path, finalizers, f"finalizer {ORPHAN} and {FOREGROUND} cannot be both set"))
    return errors


def validate_standard_finalizers(finalizers: list[str] | None, path: str) -> Errors:
    """validateKubeFinalizerName: built-in kinds take only well-known finalizers without a domain."""
    return [
        invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified")
        for at, name in each(path, finalizers)
        if "/" not in name and name not in (*STANDARD_FINALIZERS, CLEANUP)
    ]


def validate_object_meta(
    meta: dict[str, Any], *, namespaced: bool, check_name: names.Checker, path: str = "metadata"
) -> Errors:
    """The generic ValidateObjectMetaAccessor: metadata at creation, after a name has been generated."""
    errors: Errors = []
    if prefix := meta.get("generateName"):
        check_prefix = names.for_generate_name(check_name)
        errors += [invalid(f"{path}.generateName", prefix, fault) for fault in check_prefix(prefix)]
    if name := meta.get("name"):
        errors += [invalid(f"{path}.name", name, fault) for fault in check_name(name)]
    else:
        errors.append(required(f"{path}.name", "name or generateName is required"))
    namespace = meta.get("namespace", "")
    if not namespaced:
        if namespace:
            errors.append(forbidden(f"{path}.namespace", "not allowed on this type"))
    elif not namespace:
        errors.append(required(f"{path}.namespace"))
    else:
        errors += [invalid(f"{path}.namespace", namespace, fault) for fault in names.is_dns1123_label(namespace)]
    errors += at_least_zero(meta.get("generation"), f"{path}.generation")
    errors += validate_contents(meta, path)
    return errors + validate_finalizers(meta.get("finalizers"), f"{path}.finalizers")


def validate_object_meta_update(new: dict[str, Any], old: dict[str, Any], path: str = "metadata") -> Errors:
    """The head of ValidateObjectMetaAccessorUpdate: what an update may not change; the contents are checked apart."""
    errors: Errors = []
    if old.get("deletionTimestamp"):
        added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
        if added:
            listed = "[]string{" + ", ".join(f'"{name}"' for name in added) + "}"
            text = "no new finalizers can be added if the object is being deleted, found new finalizers"
            errors.append(forbidden(f"{path}.finalizers", f"{text} {listed}"))
    if not new.get("resourceVersion"):
        errors.append(invalid(f"{path}.resourceVersion", "", "must be specified for an update"))
    if (new.get("generation") or 0) < (old.get("generation") or 0):
        errors.append(invalid(f"{path}.generation", new.get("generation") or 0, "must not be decremented"))
    for name in IMMUTABLE_FIELDS:
        errors += unchanged(new.get(name), old.get(name), f"{path}.{name}")
    return errors


def validate_contents(meta: dict[str, Any], path: str = "metadata") -> Errors:
    """Labels, annotations and owners: what the checks of a new object and of an update both look at."""
    errors: Errors = []
    if labels := meta.get("labels"):
        errors += validate_labels(labels, f"{path}.labels")
    if annotations := meta.get("annotations"):
        errors += validate_annotations(annotations, f"{path}.annotations")
    if owners := meta.get("ownerReferences"):
        errors += validate_owner_references(owners, f"{path}.ownerReferences")
    return errors


def validate_template_meta(metadata: dict[str, Any], path: str) -> Errors:
    """ValidateTemplateObjectMeta: the metadata of a template has labels and annotations, nothing else."""
    errors = validate_annotations(metadata.get("annotations"), f"{path}.annotations")
    errors += validate_labels(metadata.get("labels"), f"{path}.labels")
    given = [shown for field, shown in NOT_IN_TEMPLATES.items() if metadata.get(field) is not None]
    return errors + [forbidden(f"{path}.{shown}", "cannot be set") for shown in given]
