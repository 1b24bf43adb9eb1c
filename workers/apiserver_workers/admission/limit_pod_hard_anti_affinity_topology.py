"""LimitPodHardAntiAffinityTopology: a pod may only keep others off its node, not off its zone or region."""

from __future__ import annotations

from apiserver_workers.admission.plugin import PODS, Plugin
from apiserver_workers.apimachinery.errors import forbidden
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes

HOSTNAME = "kubernetes.io/hostname"


class LimitPodHardAntiAffinityTopology(Plugin):
    """Sees pods."""

    name = "LimitPodHardAntiAffinityTopology"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))

    def validate(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        anti_affinity = (pod["spec"].get("affinity") or {}).get("podAntiAffinity") or {}
        for term in anti_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            key = term.get("topologyKey", "")
            if key != HOSTNAME:
                why = f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {key} but only key {HOSTNAME} is allowed"
                raise forbidden("pods", "", pod["metadata"].get("name", ""), why)
