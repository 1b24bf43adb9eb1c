"""DefaultIngressClass: an ingress that names no class gets the default one."""

from __future__ import annotations

from apiserver_workers.admission.classes import default_class
from apiserver_workers.admission.plugin import Plugin, own_spec
from apiserver_workers.registry.attributes import CREATE, Attributes

IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
CLASS_ANNOTATION = "kubernetes.io/ingress.class"


class DefaultIngressClass(Plugin):
    """Sees new ingresses."""

    name = "DefaultIngressClass"
    operations = frozenset((CREATE,))
    resources = frozenset((("networking.k8s.io", "ingresses"),))

    def admit(self, attributes: Attributes) -> None:
        obj = attributes.obj
        assert obj is not None
        has_class = (obj.get("spec") or {}).get("ingressClassName") is not None
        if has_class or CLASS_ANNOTATION in (obj["metadata"].get("annotations") or {}):
            return
        default = default_class(self.lister("ingressclasses").list(), IS_DEFAULT)
        if default is not None:
            own_spec(obj)["ingressClassName"] = default
