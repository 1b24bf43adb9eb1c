"""PersistentVolumeClaimResize: a claim grows only where its class lets it."""

from __future__ import annotations

from workers.admission.plugin import Object, Plugin, forbidden, on
from workers.apimachinery.quantity import parse
from workers.registry.attributes import UPDATE, Attributes

GROUP = "storage.k8s.io"


class PersistentVolumeClaimResize(Plugin):
    """plugin/pkg/admission/storage/persistentvolume/resize."""

    operations = frozenset((UPDATE,))
    resources = on("persistentvolumeclaims")

    async def validate(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old_obj
        assert new is not None and old is not None
        if parse(_size(new)).nano <= parse(_size(old)).nano:
            return
        if (old.get("status") or {}).get("phase") != "Bound":
            raise forbidden(attributes, "Only bound persistent volume claims can be expanded")
        name = old["spec"].get("storageClassName")
        entry = self.entry(GROUP, "storageclasses", "", name) if name else None
        if entry is None or not entry.obj.get("allowVolumeExpansion"):
            text = (
                "only dynamically provisioned pvc can be resized and "
                "the storageclass that provisions the pvc must support resize"
            )
            raise forbidden(attributes, text)


def _size(claim: Object) -> str:
    size: str = ((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0")
    return size
