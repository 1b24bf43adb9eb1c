"""Which rules each kind has: the tables of all groups' modules, put together."""

from __future__ import annotations

from apiserver_workers.apimachinery.validation import (
    admission_policies,
    apiregistration,
    apps,
    autoscaling,
    batch,
    certificates,
    core,
    csi,
    definitions,
    endpoints,
    events,
    flow_control,
    limits,
    networking,
    nodes,
    pods,
    previews,
    rbac,
    resource_claims,
    resource_slices,
    services,
    small_groups,
    storage,
    trust,
    volumes_claims,
    webhooks,
)
from apiserver_workers.apimachinery.validation.rules import KindValidation

DEFAULT = KindValidation()

_KINDS: dict[tuple[str, str], KindValidation] = {
    **admission_policies.KINDS,
    **apiregistration.KINDS,
    **apps.KINDS,
    **autoscaling.KINDS,
    **batch.KINDS,
    **certificates.KINDS,
    **core.KINDS,
    **limits.KINDS,
    **csi.KINDS,
    **definitions.KINDS,
    **endpoints.KINDS,
    **events.KINDS,
    **flow_control.KINDS,
    **networking.KINDS,
    **nodes.KINDS,
    **pods.KINDS,
    **previews.KINDS,
    **rbac.KINDS,
    **resource_claims.KINDS,
    **resource_slices.KINDS,
    **services.KINDS,
    **small_groups.KINDS,
    **storage.KINDS,
    **trust.KINDS,
    **volumes_claims.KINDS,
    **webhooks.KINDS,
}


def kind_validation(group: str, kind: str) -> KindValidation:
    """The rules of a kind; metadata alone is checked where a kind has none of its own."""
    return _KINDS.get((group, kind), DEFAULT)
