"""PersistentVolumeClaimResize: a claim may grow once it is bound, if its storage class says so."""

from __future__ import annotations

from apiserver_workers.admission.default_storage_class import CLASS_ANNOTATION
from apiserver_workers.admission.plugin import CLAIMS, Object, Plugin, forbidden
from apiserver_workers.apimachinery import quantity
from apiserver_workers.registry.attributes import UPDATE, Attributes

NOT_BOUND = "Only bound persistent volume claims can be expanded"
NOT_RESIZABLE = (
    "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"
)


class PersistentVolumeClaimResize(Plugin):
    """Sees updates of claims."""

    name = "PersistentVolumeClaimResize"
    operations = frozenset((UPDATE,))
    resources = frozenset((CLAIMS,))

    def validate(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old_obj
        assert new is not None and old is not None
        if _size(new) <= _size(old):
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise forbidden(attributes, NOT_BOUND)
        if not self._resizable(new, old):
            raise forbidden(attributes, NOT_RESIZABLE)

    def _resizable(self, new: Object, old: Object) -> bool:
        name = storage_class_of(new)
        if not name or storage_class_of(old) != name:
            return False
        found = self.lister("storageclasses").get(name)
        return bool(found and found.get("allowVolumeExpansion"))


def _size(claim: Object) -> int:
    requests = ((claim.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return quantity.parse(requests.get("storage", "0")).nano


def storage_class_of(claim: Object) -> str:
    """The class of a claim or a volume: the annotation that once was the only way still counts."""
    annotated = (claim["metadata"].get("annotations") or {}).get(CLASS_ANNOTATION)
    return str(annotated if annotated is not None else (claim.get("spec") or {}).get("storageClassName") or "")
