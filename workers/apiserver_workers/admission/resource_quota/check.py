"""Whether a write fits into the quotas of its namespace, and what they have used afterwards: no I/O."""

from __future__ import annotations

from collections.abc import Iterable

from apiserver_workers.admission.plugin import Object, forbidden
from apiserver_workers.admission.pod_resources import Amounts, add, amounts
from apiserver_workers.admission.resource_quota.evaluators import ZERO, Evaluator
from apiserver_workers.apimachinery.quantity import Quantity, write
from apiserver_workers.registry.attributes import UPDATE, Attributes


def new_usage(quota: Object, attributes: Attributes, evaluator: Evaluator) -> dict[str, str] | None:
    """The quota's status.used with the write in it, None if the write does not change it.

    Raises ApiError (403) if the object does not say what the quota needs to know, or if it is too much.
    """
    obj, old = attributes.obj, attributes.old_obj
    assert obj is not None
    if not matches(quota, obj, evaluator):
        return None
    status, name = quota.get("status") or {}, quota["metadata"]["name"]
    hard, used = amounts(status.get("hard")), amounts(status.get("used"))
    restricted = evaluator.matching(hard)
    if why := evaluator.unmet(restricted, obj):
        raise forbidden(attributes, f"failed quota: {name}: {why}")
    if any(resource not in used for resource in restricted):
        names = ",".join(sorted(restricted))
        raise forbidden(attributes, f"status unknown for quota: {name}, resources: {names}")
    delta = evaluator.usage(obj)
    if negative := sorted(resource for resource, amount in delta.items() if amount.nano < 0):
        raise forbidden(attributes, f"quota usage is negative for resource(s): {','.join(negative)}")
    if attributes.operation == UPDATE and old is not None and matches(quota, old, evaluator):
        delta = _increase(delta, evaluator.usage(old))
    requested = {resource: amount for resource, amount in delta.items() if amount.nano and resource in hard}
    if not requested:
        return None
    after = used | {resource: add(used.get(resource, ZERO), amount) for resource, amount in requested.items()}
    exceeded = [resource for resource in requested if after[resource].nano > hard[resource].nano]
    if exceeded and attributes.subresource != "status":
        limits = f"requested: {_shown(requested, exceeded)}, used: {_shown(used, exceeded)}, limited: {_shown(hard, exceeded)}"
        raise forbidden(attributes, f"exceeded quota: {name}, {limits}")
    return {resource: amount.text for resource, amount in after.items()}


def matches(quota: Object, obj: Object, evaluator: Evaluator) -> bool:
    """Whether the quota counts the object: it limits something of its kind, and the object is in all of its scopes."""
    if not evaluator.matching((quota.get("status") or {}).get("hard") or ()):
        return False
    return all(evaluator.in_scope(selector, obj) for selector in scope_selectors(quota))


def scope_selectors(quota: Object) -> list[Object]:
    """The scopes of a quota as requirements."""
    spec = quota.get("spec") or {}
    selectors: list[Object] = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    selectors += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return selectors


def _increase(now: Amounts, before: Amounts) -> Amounts:
    """What is used more than before; what is used less is given back by the quota controller."""
    found = {}
    for resource, amount in now.items():
        nano = max(amount.nano - before.get(resource, ZERO).nano, 0)
        found[resource] = Quantity(nano, amount.format, write(nano, amount.format))
    return found


def _shown(held: Amounts, names: Iterable[str]) -> str:
    return ",".join(f"{name}={held[name].text}" for name in sorted(names) if name in held)
