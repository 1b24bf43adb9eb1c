"""Plugins of pod groups, which do nothing unless the gate GenericWorkload is on.

PodGroupProtection keeps a group while pods are in it, PodGroupWorkloadExists refuses one whose template is not there,
JobValidation keeps the parallelism of jobs whose pods are scheduled together.
"""

from __future__ import annotations

from collections.abc import Iterator

from apiserver_workers.admission.plugin import Object, Pending, Plugin, forbidden
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import internal_error
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.storage.interface import StorageError

GATE = "GenericWorkload"
POD_GROUPS = ("scheduling.k8s.io", "podgroups")
FINALIZER = "scheduling.k8s.io/podgroup-protection"


class PodGroupProtection(Plugin):
    """Sees new pod groups."""

    name = "PodGroupProtection"
    operations = frozenset((CREATE,))
    resources = frozenset((POD_GROUPS,))

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        metadata = attributes.obj["metadata"]
        held = metadata.get("finalizers") or []
        if feature_gates.enabled(GATE) and FINALIZER not in held:
            metadata["finalizers"] = [*held, FINALIZER]


class PodGroupWorkloadExists(Plugin):
    """Sees new pod groups."""

    name = "PodGroupWorkloadExists"
    operations = frozenset((CREATE,))
    resources = frozenset((POD_GROUPS,))

    def validate(self, attributes: Attributes) -> Pending:
        assert attributes.obj is not None
        reference = ((attributes.obj.get("spec") or {}).get("podGroupTemplateRef") or {}).get("workload")
        return self._look_up(attributes, reference) if reference and feature_gates.enabled(GATE) else None

    async def _look_up(self, attributes: Attributes, reference: Object) -> None:
        name, template = reference.get("workloadName", ""), reference.get("podGroupTemplateName", "")
        lister = self.lister("workloads")
        workload = lister.get(name, attributes.namespace)
        if workload is None:
            try:
                await lister.fresh()
            except StorageError as error:
                raise internal_error(str(error)) from error
            workload = lister.get(name, attributes.namespace)
        if workload is None:
            raise forbidden(attributes, f'PodGroup rejected: Workload "{name}" not found')
        if "deletionTimestamp" in workload["metadata"]:
            raise forbidden(attributes, f'PodGroup rejected: Workload "{name}" is being deleted')
        templates = (workload.get("spec") or {}).get("podGroupTemplates") or ()
        if not any(one.get("name") == template for one in templates):
            why = f'PodGroup rejected: PodGroupTemplate "{template}" not found in Workload "{name}"'
            raise forbidden(attributes, why)


class JobValidation(Plugin):
    """Sees updates of jobs."""

    name = "JobValidation"
    operations = frozenset((UPDATE,))
    resources = frozenset((("batch", "jobs"),))

    def validate(self, attributes: Attributes) -> None:
        job, old = attributes.obj, attributes.old_obj
        assert job is not None and old is not None
        if job["spec"].get("parallelism") == old["spec"].get("parallelism") or not feature_gates.enabled(GATE):
            return
        for group in self._groups(old):
            if "gang" in ((group.get("spec") or {}).get("schedulingPolicy") or {}):
                name = group["metadata"]["name"]
                why = f'cannot change parallelism for a Job referencing gang-scheduled PodGroup "{name}"'
                raise forbidden(attributes, why)

    def _groups(self, job: Object) -> Iterator[Object]:
        """The group that the job's template names, or all that the job controls."""
        lister, metadata = self.lister("podgroups"), job["metadata"]
        named = (job["spec"]["template"]["spec"].get("schedulingGroup") or {}).get("podGroupName")
        if named is not None:
            group = lister.get(named, metadata["namespace"])
            if group is not None:
                yield group
            return
        for entry in lister.list(metadata["namespace"]):
            owners = entry.obj["metadata"].get("ownerReferences") or ()
            if any(owner.get("controller") and owner.get("uid") == metadata["uid"] for owner in owners):
                yield entry.obj
