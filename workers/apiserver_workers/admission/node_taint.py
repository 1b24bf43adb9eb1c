"""TaintNodesByCondition: a new node takes no pods until its kubelet is ready."""

from __future__ import annotations

from apiserver_workers.admission.plugin import NODES, Plugin, own_spec
from apiserver_workers.registry.attributes import CREATE, Attributes

NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


class TaintNodesByCondition(Plugin):
    """Sees new nodes."""

    name = "TaintNodesByCondition"
    operations = frozenset((CREATE,))
    resources = frozenset((NODES,))

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        spec = own_spec(attributes.obj)
        taints = spec.get("taints") or []
        if not any(taint.get("key") == NOT_READY["key"] and taint.get("effect") == "NoSchedule" for taint in taints):
            spec["taints"] = [*taints, dict(NOT_READY)]
