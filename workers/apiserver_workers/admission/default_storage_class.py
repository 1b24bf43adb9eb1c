"""DefaultStorageClass: a claim that names no storage class gets the default one."""

from __future__ import annotations

from apiserver_workers.admission.classes import default_class
from apiserver_workers.admission.plugin import CLAIMS, Plugin, own_spec
from apiserver_workers.registry.attributes import CREATE, Attributes

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"
IS_DEFAULT_BETA = "storageclass.beta.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass(Plugin):
    """Sees new claims."""

    name = "DefaultStorageClass"
    operations = frozenset((CREATE,))
    resources = frozenset((CLAIMS,))

    def admit(self, attributes: Attributes) -> None:
        obj = attributes.obj
        assert obj is not None
        has_class = (obj.get("spec") or {}).get("storageClassName") is not None
        if has_class or CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            return
        default = default_class(self.lister("storageclasses").list(), IS_DEFAULT, IS_DEFAULT_BETA)
        if default is not None:
            own_spec(obj)["storageClassName"] = default
