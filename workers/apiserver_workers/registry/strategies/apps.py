"""apps: what deployments and daemon sets count (pkg/registry/apps, pkg/apis/apps/v1/conversion.go)."""

from __future__ import annotations

import re

from apiserver_workers.apimachinery.defaults.conversions import TEMPLATE_GENERATION
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy

MAX_DIGITS = 18  # of a generation that a client wrote


class DeploymentStrategy(Strategy):
    """A change of annotations is one that the deployment controller must see."""

    def changed(self, new: Object, old: Object) -> bool:
        annotations = new["metadata"].get("annotations") or {}, old["metadata"].get("annotations") or {}
        return annotations[0] != annotations[1] or super().changed(new, old)


class DaemonSetStrategy(Strategy):
    """The template's generation, kept in an annotation since it has no field in v1."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        annotate(obj, max(1, template_generation(obj)))

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        super().prepare_for_update(new, old, context)
        if context.subresource:
            return
        generation = template_generation(old)
        changed = new["spec"].get("template") != old["spec"].get("template")
        annotate(new, generation + 1 if changed else generation)


def template_generation(obj: Object) -> int:
    """The template's generation, 0 where none is known."""
    held = (obj["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION, "")
    return int(held) if len(held) <= MAX_DIGITS and re.fullmatch("-?[0-9]+", held) else 0


def annotate(obj: Object, generation: int) -> None:
    metadata = obj["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), TEMPLATE_GENERATION: str(generation)}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    ("apps", "deployments"): DeploymentStrategy,
    ("apps", "daemonsets"): DaemonSetStrategy,
}
