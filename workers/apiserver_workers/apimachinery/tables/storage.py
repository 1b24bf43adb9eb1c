"""Cells of volumes, claims and what provides them."""

from __future__ import annotations

from apiserver_workers.apimachinery.tables.cells import UNSET, Cell, Object, get, items, name

ACCESS_MODES = (
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
)
STORAGE_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
DEFAULT_STORAGE_CLASS = (
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
)
DEFAULT_ATTRIBUTES_CLASS = ("volumeattributesclass.alpha.kubernetes.io/is-default-class",)


def phase(obj: Object, now: float) -> str:
    """The phase of a volume or claim; one that is being deleted is terminating."""
    return "Terminating" if get(obj, "metadata.deletionTimestamp") else get(obj, "status.phase") or ""


def access_modes(modes: list[str]) -> str:
    return ",".join(short for mode, short in ACCESS_MODES if mode in modes)


def volume_capacity(volume: Object, now: float) -> str:
    return get(volume, "spec.capacity.storage") or "0"


def volume_modes(volume: Object, now: float) -> str:
    return access_modes(items(volume, "spec.accessModes"))


def volume_claim(volume: Object, now: float) -> str:
    claim = get(volume, "spec.claimRef")
    return "" if claim is None else f"{claim.get('namespace', '')}/{claim.get('name', '')}"


def claim_capacity(claim: Object, now: float) -> str:
    return (get(claim, "status.capacity.storage") or "0") if get(claim, "spec.volumeName") else ""


def claim_modes(claim: Object, now: float) -> str:
    return access_modes(items(claim, "status.accessModes")) if get(claim, "spec.volumeName") else ""


def storage_class(obj: Object, now: float) -> str:
    """The storage class of a volume or claim; the annotation is older and wins."""
    annotations = get(obj, "metadata.annotations") or {}
    return annotations.get(STORAGE_CLASS_ANNOTATION) or get(obj, "spec.storageClassName") or ""


def name_of_class(annotations: tuple[str, ...]) -> Cell:
    """The name of a class, marked when an annotation makes it the default."""

    def cell(obj: Object, now: float) -> str:
        found = get(obj, "metadata.annotations") or {}
        default = any(found.get(annotation) == "true" for annotation in annotations)
        return f"{name(obj, now)} (default)" if default else name(obj, now)

    return cell


def token_requests(driver: Object, now: float) -> str:
    requests = get(driver, "spec.tokenRequests")
    return UNSET if requests is None else ",".join(request.get("audience", "") for request in requests)
