"""DefaultTolerationSeconds: pods stay on a node that is not ready or cannot be reached for a while, unless they say."""

from __future__ import annotations

from workers.admission.plugin import PODS, Object, Plugin, own_spec
from workers.registry.attributes import Attributes

SECONDS = 300
TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


class DefaultTolerationSeconds(Plugin):
    """Sees pods."""

    name = "DefaultTolerationSeconds"
    resources = frozenset((PODS,))

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        tolerations = (attributes.obj.get("spec") or {}).get("tolerations") or []
        missing = [_toleration(taint) for taint in TAINTS if not _tolerates(tolerations, taint)]
        if missing:
            own_spec(attributes.obj)["tolerations"] = [*tolerations, *missing]


def _toleration(taint: str) -> Object:
    return {"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS}


def _tolerates(tolerations: list[Object], taint: str) -> bool:
    return any(
        toleration.get("key", "") in ("", taint) and toleration.get("effect", "") in ("", "NoExecute")
        for toleration in tolerations
    )
