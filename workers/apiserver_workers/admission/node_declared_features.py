"""NodeDeclaredFeatureValidator: a pod's update needs nothing that its node does not declare.

Upstream: plugin/pkg/admission/nodedeclaredfeatures, component-helpers/nodedeclaredfeatures.
"""

from __future__ import annotations

from collections.abc import Callable

from apiserver_workers.admission.plugin import PODS, Object, Plugin, forbidden
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.registry.attributes import UPDATE, Attributes


def _resizes_pod(new: Object, old: Object) -> bool:
    return bool(new.get("resources") != old.get("resources"))


def _resizes_init_container(new: Object, old: Object) -> bool:
    """Whether the resources of an init container change that is no sidecar."""
    pairs = zip(old.get("initContainers") or (), new.get("initContainers") or (), strict=False)
    return any(
        before.get("restartPolicy") != "Always" and (before.get("resources") or {}) != (now.get("resources") or {})
        for before, now in pairs
    )


# What an update needs by the name of the feature, in the order of these.
NEEDS: dict[str, Callable[[Object, Object], bool]] = {
    "InPlacePodLevelResourcesVerticalScaling": _resizes_pod,
    "InPlacePodVerticalScalingInitContainers": _resizes_init_container,
}


class NodeDeclaredFeatureValidator(Plugin):
    """Sees updates of pods, and resizes."""

    name = "NodeDeclaredFeatureValidator"
    operations = frozenset((UPDATE,))
    resources = frozenset((PODS,))
    subresources = frozenset(("", "resize"))

    def validate(self, attributes: Attributes) -> None:
        pod, old = attributes.obj, attributes.old_obj
        assert pod is not None and old is not None
        node_name = pod["spec"].get("nodeName")
        same = pod["metadata"].get("generation") == old["metadata"].get("generation")
        if not node_name or same or not feature_gates.enabled("NodeDeclaredFeatures"):
            return
        needed = [name for name, needs in NEEDS.items() if needs(pod["spec"], old["spec"])]
        if not needed:
            return
        node = self.lister("minions").get(node_name)
        if node is None:
            raise forbidden(attributes, f'node "{node_name}" not found')
        declared = (node.get("status") or {}).get("declaredFeatures") or ()
        if lacking := [name for name in needed if name not in declared]:
            why = f'pod update requires features {", ".join(lacking)} which are not available on node "{node_name}"'
            raise forbidden(attributes, why)
