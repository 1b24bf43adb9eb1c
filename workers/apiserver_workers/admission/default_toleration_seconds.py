"""DefaultTolerationSeconds: pods stay on a node that is not ready or cannot be reached for a while, unless they say."""

from __future__ import annotations

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import PODS, Object, Plugin, own_spec
from apiserver_workers.registry.attributes import Attributes

# each taint with the option that says how long
TAINTS = {
    "node.kubernetes.io/not-ready": "default_not_ready_toleration_seconds",
    "node.kubernetes.io/unreachable": "default_unreachable_toleration_seconds",
}


class DefaultTolerationSeconds(Plugin):
    """Sees pods."""

    name = "DefaultTolerationSeconds"
    resources = frozenset((PODS,))

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        settings = initializer.registry.settings
        self._tolerations = {taint: _toleration(taint, getattr(settings, option)) for taint, option in TAINTS.items()}

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        tolerations = (attributes.obj.get("spec") or {}).get("tolerations") or []
        missing = [added for taint, added in self._tolerations.items() if not _tolerates(tolerations, taint)]
        if missing:
            own_spec(attributes.obj)["tolerations"] = [*tolerations, *missing]


def _toleration(taint: str, seconds: int) -> Object:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}


def _tolerates(tolerations: list[Object], taint: str) -> bool:
    return any(
        toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute")
        for toleration in tolerations
    )
