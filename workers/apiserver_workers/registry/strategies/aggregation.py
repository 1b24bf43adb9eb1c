"""APIServices (kube-aggregator/pkg/registry/apiservice): those that this server serves itself are available at once."""

from __future__ import annotations

from typing import Any

from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Strategy, now

Object = dict[str, Any]

LOCAL_AVAILABLE = {
    "type": "Available", "status": "True", "reason": "Local", "message": "Local APIServices are always available",
}  # fmt: skip


class APIServices(Strategy):
    """An APIService without a service is local."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        super().prepare_for_create(obj, context)
        if obj["spec"].get("service") is None:
            obj["status"] = {"conditions": [{**LOCAL_AVAILABLE, "lastTransitionTime": now()}]}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {("apiregistration.k8s.io", "apiservices"): APIServices}
