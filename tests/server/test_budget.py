"""What an eviction is told of the budget that refuses it."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.endpoints.budget import check


def condition(reason: str, message: str, status: str = "False", kind: str = "DisruptionAllowed") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


CURRENTLY = "does not allow evicting pods currently"


@pytest.mark.parametrize(
    ("needed", "healthy", "conditions", "cause"),
    [
        (2, 2, [], "needs 2 healthy pods and has 2 currently"),
        (3, 1, [], "needs 3 healthy pods and has 1 currently"),
        (1, 2, [], CURRENTLY),
        (1, 2, [condition("InsufficientPods", "")], CURRENTLY),
        (1, 2, [condition("InsufficientPods", "too few")], f"{CURRENTLY} (InsufficientPods): too few"),
        (1, 2, [condition("InsufficientPods", "too few", "True")], CURRENTLY),
        (1, 2, [condition("Other", "no", kind="Other")], CURRENTLY),
        (2, 1, [condition("InsufficientPods", "too few")], "needs 2 healthy pods and has 1 currently"),
        (1, 2, [condition("SyncFailed", "m")], f"{CURRENTLY} because it failed sync: m"),
        (2, 1, [condition("SyncFailed", "m")], f"{CURRENTLY} because it failed sync: m"),
        (2, 1, [condition("SyncFailed", "")], "needs 2 healthy pods and has 1 currently"),
    ],
)
def test_why_a_budget_allows_no_disruption(
    needed: int, healthy: int, conditions: list[dict[str, Any]], cause: str
) -> None:
    status = {"desiredHealthy": needed, "currentHealthy": healthy, "disruptionsAllowed": 0, "conditions": conditions}
    with pytest.raises(ApiError) as refused:
        check({"metadata": {"name": "b"}, "status": status})
    assert refused.value.details == {
        "causes": [{"reason": "DisruptionBudget", "message": f"The disruption budget b {cause}"}]
    }
