"""PodTopologyLabels: a pod that is assigned to a node takes over where that node is."""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Plugin
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.registry.attributes import CREATE, Attributes

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Plugin):
    """Sees new pods and bindings of pods: a binding's labels become the pod's."""

    name = "PodTopologyLabels"
    operations = frozenset((CREATE,))
    resources = frozenset((PODS,))
    subresources = frozenset(("", "binding"))

    def admit(self, attributes: Attributes) -> None:
        if not feature_gates.enabled("PodTopologyLabelsAdmission"):
            return
        obj = attributes.obj
        assert obj is not None
        if attributes.subresource:
            target = obj.get("target") or {}
            name = target.get("name") if target.get("kind") == "Node" else ""
        else:
            name = (obj.get("spec") or {}).get("nodeName")
        node = self.lister("minions").get(name) if name else None
        if node is None:
            return
        held = node["metadata"].get("labels") or {}
        labels = {label: held[label] for label in LABELS if label in held}
        if labels:
            metadata = obj["metadata"]
            metadata["labels"] = {**labels, **(metadata.get("labels") or {})}
