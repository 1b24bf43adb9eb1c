"""Jobs: selector and pod labels are generated from the job's uid (pkg/registry/batch/job/strategy.go)."""

from __future__ import annotations

from apiserver_workers.apimachinery.defaults import set_defaults
from apiserver_workers.apimachinery.validation.batch import NAME_LABEL, OLD_NAME_LABEL, OLD_UID_LABEL, UID_LABEL
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.options import DeleteOptions
from apiserver_workers.registry.strategies.base import Object, Strategy

PODS_STAY = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them "
    "or set propagationPolicy=Orphan to suppress this warning"
)


class JobStrategy(Strategy):
    """A job finds its pods by a label that no other job's pods have."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        spec = obj["spec"]
        if not spec.get("manualSelector"):
            generate_selector(obj)

    def warnings_on_delete(self, options: DeleteOptions) -> list[str]:
        chosen = options.propagation_policy is not None or options.orphan_dependents is not None
        return [] if chosen else [PODS_STAY]

    def canonicalize(self, obj: Object) -> None:
        # Upstream defaults again when it reads what it stored: labels follow the template, with what was generated.
        set_defaults(self.info.group, self.info.version, self.info.kind, obj)


def generate_selector(job: Object) -> None:
    """generateSelector: labels on the template, and a selector for them."""
    metadata, spec = job["metadata"], job["spec"]
    template = spec["template"] = dict(spec.get("template") or {})
    inner = template["metadata"] = dict(template.get("metadata") or {})
    uid, name = metadata["uid"], metadata.get("name", "")
    labels = inner["labels"] = dict(inner.get("labels") or {})
    for label, value in ((UID_LABEL, uid), (OLD_UID_LABEL, uid), (NAME_LABEL, name), (OLD_NAME_LABEL, name)):
        labels.setdefault(label, value)
    inner["labels"] = dict(sorted(labels.items()))
    selector = spec["selector"] = dict(spec.get("selector") or {})
    # What is there already stays, and is refused by validation.
    selector["matchLabels"] = dict(sorted({UID_LABEL: uid, **(selector.get("matchLabels") or {})}.items()))


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {("batch", "jobs"): JobStrategy}
