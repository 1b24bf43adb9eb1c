"""Match conditions of policies: a write that one of them excludes is not looked at.

Upstream: apiserver/pkg/admission/plugin/webhook/matchconditions/matcher.go.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

from apiserver_workers.admission.metrics import CONDITION_ERRORS, CONDITION_SECONDS
from apiserver_workers.admission.plugin import aggregate
from apiserver_workers.admission.policies.compiled import Compiled
from apiserver_workers.admission.policies.evaluation import MATCH_CONDITIONS_BUDGET, Activation, OutOfBudget
from apiserver_workers.admission.policies.matching import Match
from apiserver_workers.admission.policies.source import Policy
from apiserver_workers.admission.policies.write import Write

Object = dict[str, Any]

# How metrics name the conditions of a policy, of mutating ones too.
KIND, PHASE = "policy", "validate"


async def conditions_hold(write: Write, policy: Policy, compiled: Compiled, match: Match, values: Object) -> bool | str:
    """Whether the conditions of a policy hold for a write, or what kept them from being evaluated.

    Expressions see no namespaceObject, and the request's own resource in its version.
    """
    labels = (policy.name, KIND, PHASE, write.attributes.operation)
    began = perf_counter()
    own = Match(write.attributes.requested, match.gvk)
    values = {**values, **write.authorizer, "request": write.request(own), "namespaceObject": None}
    activation = Activation(values, compiled.variables, MATCH_CONDITIONS_BUDGET, write.pace, write.checks)
    errors: list[str] = []
    try:
        for condition in compiled.conditions:
            result = await activation.run(condition.expression)
            if result.error:
                errors.append(result.error)
                CONDITION_ERRORS.inc(labels)
            elif result.value is False:
                return False
    except OutOfBudget as error:
        errors = [str(error)]
    finally:
        CONDITION_SECONDS.observe(perf_counter() - began, labels)
    if not errors:
        return True
    return aggregate(errors) if policy.fails else False
