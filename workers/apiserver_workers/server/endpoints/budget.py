"""Pod disruption budgets as an eviction charges them: each disruption is counted by compare-and-swap, or refused."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.errors import ApiError, forbidden
from apiserver_workers.authentication.union import LOOPBACK_USER
from apiserver_workers.registry.context import Context
from apiserver_workers.registry.store import Store
from apiserver_workers.registry.strategies.base import now
from apiserver_workers.server.endpoints.managers import track
from apiserver_workers.server.endpoints.served import View

Object = dict[str, Any]

MANAGER = "kube-apiserver"
RETRY_AFTER = 10
# Pods that were evicted and of which the disruption controller has not heard yet.
MAX_DISRUPTED_PODS = 2000
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def charge(budgets: Store, namespace: str, name: str, pod: str, dry_run: bool) -> None:
    """Count the pod's eviction against the budget. Raises ApiError: 403, 404, 429."""
    if dry_run:
        check((await budgets.get(namespace, name)).obj)
        return
    context = Context(LOOPBACK_USER, namespace=namespace, name=name, subresource="status")
    await budgets.update(Disruption(View(budgets.kind), pod), context)


class Disruption:
    """The Transform that counts one disrupted pod."""

    def __init__(self, view: View, pod: str) -> None:
        self._view = view
        self._pod = pod

    async def __call__(self, budget: Object | None) -> Object:
        assert budget is not None, "an update that may not create was given nothing"
        check(budget)
        status = dict(budget["status"])
        status["disruptionsAllowed"] -= 1
        status["disruptedPods"] = {**(status.get("disruptedPods") or {}), self._pod: now()}
        if not status["disruptionsAllowed"]:
            status["conditions"] = exhausted(status)
        new = {**budget, "metadata": dict(budget["metadata"]), "status": status}
        return await track(self._view, budget, new, MANAGER, "status")


def check(budget: Object) -> None:
    """Raises ApiError when the budget allows no disruption."""
    metadata, status = budget["metadata"], budget.get("status") or {}
    name, allowed = metadata["name"], status.get("disruptionsAllowed", 0)
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise too_many(name)
    if allowed < 0:
        raise forbidden("poddisruptionbudget", "policy", name, "pdb disruptions allowed is negative")
    if len(status.get("disruptedPods") or ()) > MAX_DISRUPTED_PODS:
        why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
        raise forbidden("poddisruptionbudget", "policy", name, why)
    if allowed == 0:
        raise _refusal(f"The disruption budget {name} {_exhaustion(status)}")


def _exhaustion(status: Object) -> str:
    """Why the budget allows nothing now. Its numbers count for nothing while the controller fails to make them."""
    needed = status.get("desiredHealthy", 0)
    healthy = status.get("currentHealthy", 0)
    reason, message = _disallowed(status)
    if message and reason == "SyncFailed":
        return f"does not allow evicting pods currently because it failed sync: {message}"
    if healthy <= needed:
        return f"needs {needed} healthy pods and has {healthy} currently"
    if message:
        return f"does not allow evicting pods currently ({reason}): {message}"
    return "does not allow evicting pods currently"


def _disallowed(status: Object) -> tuple[str, str]:
    """Reason and message of the condition that disruptions are not allowed."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "DisruptionAllowed" and condition.get("status") == "False":
            return condition.get("reason", ""), condition.get("message", "")
    return "", ""


def too_many(name: str) -> ApiError:
    """429 for a budget whose state is not settled: try again soon."""
    error = _refusal(f"The disruption budget {name} is still being processed by the server.")
    error.details = {**(error.details or {}), "retryAfterSeconds": RETRY_AFTER}
    error.headers = [("Retry-After", str(RETRY_AFTER))]
    return error


def _refusal(cause: str) -> ApiError:
    causes = [{"reason": "DisruptionBudget", "message": cause}]
    return ApiError(429, "TooManyRequests", REFUSED, {"causes": causes})


def exhausted(status: Object) -> list[Object]:
    """The budget's conditions when it allows nothing more (UpdateDisruptionAllowedCondition)."""
    conditions: list[Object] = list(status.get("conditions") or ())
    held = next((index for index, one in enumerate(conditions) if one.get("type") == "DisruptionAllowed"), None)
    condition = {
        "type": "DisruptionAllowed",
        "status": "False",
        "observedGeneration": status.get("observedGeneration", 0),
        "lastTransitionTime": now(),
        "reason": "InsufficientPods",
        "message": "",
    }
    if held is None:
        return [*conditions, condition]
    if conditions[held].get("status") == "False":
        condition["lastTransitionTime"] = conditions[held].get("lastTransitionTime")
    conditions[held] = condition
    return conditions
