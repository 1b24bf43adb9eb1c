"""Certificate signing requests (pkg/registry/certificates/certificates/strategy.go)."""

from __future__ import annotations

from apiserver_workers.registry.context import Context
from apiserver_workers.registry.strategies.base import Object, Strategy, now, take_over

IDENTITY = ("username", "uid", "groups", "extra")
DECISIONS = ("Approved", "Denied")


class RequestStrategy(Strategy):
    """Who asks is what the server knows, and a request never changes; conditions are dated."""

    def prepare_for_create(self, obj: Object, context: Context) -> None:
        spec, user = obj["spec"], context.user
        for field in IDENTITY:
            spec.pop(field, None)
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = {name: list(values) for name, values in user.extra.items()}
        obj["status"] = {}

    def prepare_for_update(self, new: Object, old: Object, context: Context) -> None:
        take_over(new, old, "spec")
        status, before = new.get("status") or {}, old.get("status") or {}
        if context.subresource == "approval":
            conditions = status.get("conditions")
            status = {**before}
            if conditions is None:
                status.pop("conditions", None)
            else:
                status["conditions"] = conditions
        elif context.subresource == "status":
            status = _keep_decisions(status, before)
        else:
            take_over(new, old, "status")
            return
        new["status"] = date_conditions(status, before)


def _keep_decisions(status: Object, before: Object) -> Object:
    """Decisions written with the status stay as they were; those added or removed are validation's to refuse."""
    conditions = list(status.get("conditions") or ())
    for kind in DECISIONS:
        was = [one for one in before.get("conditions") or () if one.get("type") == kind]
        places = [index for index, one in enumerate(conditions) if one.get("type") == kind]
        if len(was) == len(places):
            for index, one in zip(places, was, strict=True):
                conditions[index] = one
    return {**status, "conditions": conditions} if conditions else status


def date_conditions(status: Object, before: Object) -> Object:
    """populateConditionTimestamps: a condition without times gets those of its like, or the present."""
    if not status.get("conditions"):
        return status
    moment = now()
    dated = []
    for condition in status["conditions"]:
        condition = dict(condition)
        if not condition.get("lastUpdateTime"):
            condition["lastUpdateTime"] = moment
        if not condition.get("lastTransitionTime"):
            same = (condition.get("type"), condition.get("status"))
            known = [
                one.get("lastTransitionTime")
                for one in before.get("conditions") or ()
                if (one.get("type"), one.get("status")) == same and one.get("lastTransitionTime")
            ]
            condition["lastTransitionTime"] = known[0] if known else moment
        dated.append(condition)
    return {**status, "conditions": dated}


STRATEGIES: dict[tuple[str, str], type[Strategy]] = {
    ("certificates.k8s.io", "certificatesigningrequests"): RequestStrategy
}
