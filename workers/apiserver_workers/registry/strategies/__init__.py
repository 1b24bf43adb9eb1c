"""One strategy per stored kind: the tables of all modules, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.strategies import (
    admission,
    aggregation,
    apps,
    certificates,
    core,
    definitions,
    expressions,
    jobs,
    namespaces,
    pods,
    resource_claims,
    services,
    small_groups,
)
from apiserver_workers.registry.strategies.base import Strategy

if TYPE_CHECKING:
    from apiserver_workers.registry.registry import Registry

# (group, resource) -> its strategy, where the usual behaviour is not enough. One table per module, joined here.
STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    **admission.STRATEGIES,
    **aggregation.STRATEGIES,
    **apps.STRATEGIES,
    **certificates.STRATEGIES,
    **core.STRATEGIES,
    **definitions.STRATEGIES,
    **expressions.STRATEGIES,
    **jobs.STRATEGIES,
    **namespaces.STRATEGIES,
    **pods.STRATEGIES,
    **resource_claims.STRATEGIES,
    **services.STRATEGIES,
    **small_groups.STRATEGIES,
}


def strategy_for(kind: ServedKind, registry: Registry) -> Strategy:
    """The strategy of a built-in resource, in the stored version."""
    info = kind.info
    strategy = Strategy if info.plain else STRATEGIES.get((info.group, info.resource), Strategy)
    return strategy(kind, registry)
