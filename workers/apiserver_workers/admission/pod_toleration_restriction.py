"""PodTolerationRestriction: namespaces say in annotations what their pods tolerate, and what they may tolerate at most."""

from __future__ import annotations

import json
from typing import Any

from apiserver_workers.admission.namespaces import annotation, find_namespace
from apiserver_workers.admission.plugin import PODS, Object, Pending, Plugin, own_spec
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.validation.pods import qos_class
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.server.config_file import decode_document

DEFAULTS = "scheduler.alpha.kubernetes.io/defaultTolerations"
WHITELIST = "scheduler.alpha.kubernetes.io/tolerationsWhitelist"
MEMORY_PRESSURE = {"key": "node.kubernetes.io/memory-pressure", "operator": "Exists", "effect": "NoSchedule"}
KINDS = {"podtolerationrestriction.admission.k8s.io/v1alpha1": "Configuration"}
TOLERATION = {"key": str, "operator": str, "value": str, "effect": str, "tolerationSeconds": int}
SHAPE = {"default": [TOLERATION], "whitelist": [TOLERATION]}
FIELDS = {"key": str, "operator": str, "value": str, "effect": str, "tolerationSeconds": int}


class PodTolerationRestriction(Plugin):
    """Sees pods."""

    name = "PodTolerationRestriction"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((PODS,))

    @classmethod
    def configured(cls, given: Any) -> Object:
        """The cluster's `default` and `whitelist`."""
        return {} if given is None else decode_document(given, KINDS, SHAPE)

    def admit(self, attributes: Attributes) -> Pending:
        return self._admit(attributes)

    def validate(self, attributes: Attributes) -> Pending:
        return self._validate(attributes)

    async def _admit(self, attributes: Attributes) -> None:
        pod = attributes.obj
        assert pod is not None
        extra: list[Object] = []
        if attributes.operation == CREATE:
            namespace = await find_namespace(self.lister("namespaces"), attributes.namespace)
            own = tolerations_of(namespace, DEFAULTS)
            extra = list(self.config.get("default") or ()) if own is None else own
        if qos_class(pod) != "BestEffort":
            extra.append(MEMORY_PRESSURE)
        if extra:
            spec = own_spec(pod)
            spec["tolerations"] = merged(spec.get("tolerations") or [], extra)
        await self._validate(attributes)

    async def _validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        tolerations = attributes.obj["spec"].get("tolerations")
        if not tolerations:
            return
        namespace = await find_namespace(self.lister("namespaces"), attributes.namespace)
        allowed, scope = tolerations_of(namespace, WHITELIST), "namespace"
        if allowed is None:
            allowed, scope = list(self.config.get("whitelist") or ()), "cluster"
        if allowed and not all(any(covers(wider, one) for wider in allowed) for one in tolerations):
            why = f"pod tolerations (possibly merged with namespace default tolerations) conflict with its {scope} whitelist"
            raise ApiError(500, "", why)


def tolerations_of(namespace: Object, key: str) -> list[Object] | None:
    """The tolerations of an annotation, None if the namespace has none. Raises ApiError for what is none."""
    text = annotation(namespace, key)
    if text is None:
        return None
    if not text:
        return []
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ApiError(500, "", str(error)) from None
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) and _fits(one) for one in found):
        raise ApiError(500, "", "json: cannot unmarshal annotation into Go value of type []v1.Toleration")
    return [{field: one[field] for field in FIELDS if one.get(field)} for one in found]


def _fits(toleration: Object) -> bool:
    return all(
        toleration.get(field) is None or toleration[field].__class__ is wanted for field, wanted in FIELDS.items()
    )


def merged(first: list[Object], second: list[Object]) -> list[Object]:
    """Both lists without what another one covers (tolerations.MergeTolerations)."""
    everything = [*first, *second]
    kept: list[Object] = []
    for index, one in enumerate(everything):
        if any(covers(other, one) for other in kept):
            continue
        if any(other != one and covers(other, one) for other in everything[index + 1 :]):
            continue
        kept.append(one)
    return kept


def covers(wide: Object, narrow: Object) -> bool:
    """Whether whoever has the first tolerates all that the second tolerates (tolerations.isSuperset)."""
    if wide == narrow:
        return True
    operator = wide.get("operator", "")
    if wide.get("key", "") != narrow.get("key", "") and (wide.get("key") or operator != "Exists"):
        return False
    effect = wide.get("effect", "")
    if effect and effect != narrow.get("effect", ""):
        return False
    seconds = wide.get("tolerationSeconds")
    if effect == "NoExecute" and seconds is not None:
        other = narrow.get("tolerationSeconds")
        if other is None or other > seconds:
            return False
    if operator in ("Equal", ""):
        return narrow.get("operator", "") == "Equal" and narrow.get("value", "") == wide.get("value", "")
    return bool(operator == "Exists")
