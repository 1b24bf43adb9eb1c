"""HorizontalPodAutoscaler: v1 knows CPU utilisation only, and keeps whatever else v2 has in annotations."""

from __future__ import annotations

from typing import Any

import orjson

from apiserver_workers.apimachinery import quantity
from apiserver_workers.apimachinery.codec.normal import Mismatch, normalise
from apiserver_workers.apimachinery.types import Type, TypeModel

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, STATUSES = _PREFIX + "metrics", _PREFIX + "current-metrics"
BEHAVIOR, CONDITIONS = _PREFIX + "behavior", _PREFIX + "conditions"
_ROUND_TRIP = frozenset((METRICS, STATUSES, BEHAVIOR, CONDITIONS, _PREFIX + "update-policy"))

_DEFAULT_CPU_UTILIZATION = 80

_V1 = "io.k8s.api.autoscaling.v1."

# By a metric's source: its key in the object, and for v1 the names of its target's values in a spec.
_SOURCES = ("resource", "containerResource", "pods", "object", "external")
_SPEC_NAMES = {
    "resource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "containerResource": {"averageUtilization": "targetAverageUtilization", "averageValue": "targetAverageValue"},
    "pods": {"averageValue": "targetAverageValue"},
    "object": {"value": "targetValue", "averageValue": "averageValue"},
    "external": {"value": "targetValue", "averageValue": "targetAverageValue"},
}
_STATUS_NAMES = {
    source: {mine: theirs.replace("target", "current") for mine, theirs in names.items()}
    for source, names in _SPEC_NAMES.items()
}

# The behavior annotation holds Go's internal type, whose fields have no JSON names: (ours, Go's), in Go's order.
_RULES = (
    ("stabilizationWindowSeconds", "StabilizationWindowSeconds"),
    ("selectPolicy", "SelectPolicy"),
    ("policies", "Policies"),
    ("tolerance", "Tolerance"),
)
_POLICY = (("type", "Type"), ("value", "Value"), ("periodSeconds", "PeriodSeconds"))


def v2_to_v1(obj: dict[str, Any], types: TypeModel) -> dict[str, Any]:
    """A v2 autoscaler as v1."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metrics, behavior = spec.pop("metrics", None) or [], spec.pop("behavior", None)
    current, conditions = status.pop("currentMetrics", None) or [], status.pop("conditions", None)
    cpu = next((metric for metric in metrics if _is_cpu(metric)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu["resource"]["target"].get("averageUtilization")
    for metric in filter(_is_cpu, current):
        utilization = metric["resource"]["current"].get("averageUtilization")
        if utilization is not None:
            status["currentCPUUtilizationPercentage"] = utilization
    others = [_to_v1(metric, "target", _SPEC_NAMES) for metric in metrics if not _is_utilization(metric)]
    notes: dict[str, Any] = {}
    if others:
        notes[METRICS] = _in_go_order(types.type(_V1 + "MetricSpec"), others)
    if current:
        statuses = [_to_v1(metric, "current", _STATUS_NAMES) for metric in current]
        notes[STATUSES] = _in_go_order(types.type(_V1 + "MetricStatus"), statuses)
    if behavior is not None:
        notes[BEHAVIOR] = {"ScaleUp": _to_go(behavior.get("scaleUp")), "ScaleDown": _to_go(behavior.get("scaleDown"))}
    if conditions:
        notes[CONDITIONS] = _in_go_order(types.type(_V1 + "HorizontalPodAutoscalerCondition"), conditions)
    texts = {key: orjson.dumps(value).decode() for key, value in notes.items()}
    return {**obj, "metadata": _annotated(obj, texts), "spec": spec, "status": status}


def v1_to_v2(obj: dict[str, Any], types: TypeModel) -> dict[str, Any]:
    """A v1 autoscaler as v2."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    metrics = []
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is not None:
        metrics.append(_cpu_metric("target", {"type": "Utilization", "averageUtilization": target}))
    others = _note(annotations, METRICS, types.type(_V1 + "MetricSpec"))
    metrics += [_to_v2(metric, "target", _SPEC_NAMES) for metric in others]
    if not metrics:
        default = {"type": "Utilization", "averageUtilization": _DEFAULT_CPU_UTILIZATION}
        metrics.append(_cpu_metric("target", default))
    spec["metrics"] = metrics
    behavior = _loads(annotations.get(BEHAVIOR))
    if isinstance(behavior, dict):
        spec["behavior"] = {
            "scaleUp": _from_go(behavior.get("ScaleUp")),
            "scaleDown": _from_go(behavior.get("ScaleDown")),
        }
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        status["currentMetrics"] = [_cpu_metric("current", {"averageUtilization": current})]
    statuses = _note(annotations, STATUSES, types.type(_V1 + "MetricStatus"))
    if statuses:
        status["currentMetrics"] = [_to_v2(metric, "current", _STATUS_NAMES) for metric in statuses]
    conditions = _note(annotations, CONDITIONS, types.type(_V1 + "HorizontalPodAutoscalerCondition"))
    if conditions:
        status["conditions"] = conditions
    return {**obj, "metadata": _annotated(obj, {}), "spec": spec, "status": status}


def _is_cpu(metric: dict[str, Any]) -> bool:
    resource = metric.get("resource")
    return metric.get("type") == "Resource" and resource is not None and resource.get("name") == "cpu"


def _is_utilization(metric: dict[str, Any]) -> bool:
    """Whether v1 has a field for the metric."""
    return _is_cpu(metric) and metric["resource"]["target"].get("averageUtilization") is not None


def _cpu_metric(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Resource", "resource": {"name": "cpu", key: value}}


def _to_v1(metric: dict[str, Any], key: str, names: dict[str, dict[str, str]]) -> dict[str, Any]:
    """A metric with the fields of its target (a spec) or its current value (a status) beside the others."""
    out = {"type": metric["type"]}
    for source in _SOURCES:
        body = metric.get(source)
        if body is None:
            continue
        flat = {name: body[name] for name in ("name", "container") if name in body}
        if "describedObject" in body:
            flat["target"] = body["describedObject"]
        if "metric" in body:
            flat["metricName"] = body["metric"].get("name", "")
            flat["metricSelector" if source == "external" else "selector"] = body["metric"].get("selector")
        values = body.get(key) or {}
        flat.update({theirs: values.get(mine) for mine, theirs in names[source].items()})
        out[source] = flat
    return out


def _to_v2(metric: dict[str, Any], key: str, names: dict[str, dict[str, str]]) -> dict[str, Any]:
    out = {"type": metric["type"]}
    for source in _SOURCES:
        flat = metric.get(source)
        if flat is None:
            continue
        body: dict[str, Any] = {name: flat[name] for name in ("name", "container") if name in flat}
        if source == "object":
            body["describedObject"] = flat.get("target")
        if "metricName" in flat:
            body["metric"] = {
                "name": flat["metricName"],
                "selector": flat.get("metricSelector") or flat.get("selector"),
            }
        values = {mine: flat[theirs] for mine, theirs in names[source].items() if flat.get(theirs) is not None}
        if source == "object" and key == "target" and "averageValue" in values and _is_zero(values.get("value", "0")):
            values.pop("value", None)  # version 1 cannot leave it out
        if key == "target":
            values["type"] = _target_type(source, values)
        body[key] = values
        out[source] = body
    return out


def _is_zero(amount: str) -> bool:
    return quantity.parse(amount).nano == 0


def _target_type(source: str, values: dict[str, Any]) -> str:
    """The type of a target, which v1 only implies."""
    if "averageUtilization" in values:
        return "Utilization"
    if source == "object":
        return "AverageValue" if "averageValue" in values else "Value"
    return "Value" if "value" in values else "AverageValue"


def _annotated(obj: dict[str, Any], notes: dict[str, str]) -> dict[str, Any]:
    """The metadata with these round-trip annotations and no others."""
    metadata = dict(obj.get("metadata") or {})
    annotations = {key: text for key, text in (metadata.get("annotations") or {}).items() if key not in _ROUND_TRIP}
    metadata["annotations"] = {**annotations, **notes}
    return metadata


def _note(annotations: dict[str, str], key: str, type: Type) -> list[dict[str, Any]]:
    """The objects in an annotation; none when it cannot be read, as upstream."""
    value = _loads(annotations.get(key))
    if not isinstance(value, list):
        return []
    try:
        return [normalise(type, item) for item in value]
    except Mismatch:
        return []


def _loads(text: str | None) -> Any:
    try:
        return orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return None


def _in_go_order(type: Type, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_ordered(type, normalise(type, item)) for item in items]


def _ordered(type: Type, obj: dict[str, Any]) -> dict[str, Any]:
    """The object with its fields in the order of the Go struct."""
    out = {}
    for name, member in type.fields.items():
        if name in obj:
            nested = member.type is not None and isinstance(obj[name], dict)
            out[name] = _ordered(member.type, obj[name]) if nested and member.type is not None else obj[name]
    return out


def _to_go(rules: dict[str, Any] | None) -> dict[str, Any] | None:
    if rules is None:
        return None
    out = {theirs: rules.get(mine) for mine, theirs in _RULES}
    if out["Policies"] is not None:
        out["Policies"] = [{theirs: policy.get(mine) for mine, theirs in _POLICY} for policy in out["Policies"]]
    return out


def _from_go(rules: dict[str, Any] | None) -> dict[str, Any] | None:
    if rules is None:
        return None
    out = {mine: rules.get(theirs) for mine, theirs in _RULES}
    if out["policies"] is not None:
        out["policies"] = [{mine: policy.get(theirs) for mine, theirs in _POLICY} for policy in out["policies"]]
    return out
