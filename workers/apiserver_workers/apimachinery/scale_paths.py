"""Where an object holds what its Scale shows: three paths, and the two ways between the object and its Scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """The places of the replicas wanted and there, and of the selector: a LabelSelector, a plain map, or its text.

    `selector` is empty where the object has none.
    """

    replicas: tuple[str, ...] = ("spec", "replicas")
    status_replicas: tuple[str, ...] = ("status", "replicas")
    selector: tuple[str, ...] = ("spec", "selector")

    checked: bool = True  # whether the Scale's replicas are validated apart from the object

    @property
    def mappings(self) -> Mapping[str, tuple[str, ...] | None] | None:
        """The replicas as FieldsV1 has them in each version of the resource, by apiVersion; None where all are alike."""
        return None

    def of(self, obj: Object) -> Object:
        """The Scale that a write starts from."""
        return self.read(obj)

    @property
    def owned(self) -> tuple[str, ...]:
        """The replicas as FieldsV1 has them."""
        return tuple("f:" + name for name in self.replicas)

    def read(self, obj: Object) -> Object:
        """The metadata, spec and status of the object's Scale, not normalised."""
        metadata = obj["metadata"]
        selector = _value(obj, self.selector) if self.selector else None
        return {
            "metadata": {name: metadata[name] for name in METADATA if name in metadata},
            "spec": {"replicas": _value(obj, self.replicas) or 0},
            "status": {"replicas": _value(obj, self.status_replicas) or 0, "selector": selector_text(selector)},
        }

    def write(self, obj: Object, replicas: int) -> Object:
        """The object with other replicas; what lies on the way there is copied."""
        return _with(obj, self.replicas, replicas)


def _value(obj: Object, path: tuple[str, ...]) -> Any:
    value: Any = obj
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _with(obj: Object, path: tuple[str, ...], value: Any) -> Object:
    name, *rest = path
    if not rest:
        return {**obj, name: value}
    return {**obj, name: _with(obj.get(name) or {}, tuple(rest), value)}


def selector_text(selector: Object | str | None) -> str:
    """A LabelSelector, or the plain map of a replication controller, as text."""
    if not selector:
        return ""
    if isinstance(selector, str):
        return selector
    structured = "matchLabels" in selector or "matchExpressions" in selector
    labels = selector.get("matchLabels") or {} if structured else selector
    terms = [(key, f"{key}={value}") for key, value in labels.items()]
    expressions = (selector.get("matchExpressions") or ()) if structured else ()
    terms += [(expression["key"], _expression(expression)) for expression in expressions]
    return ",".join(term for _, term in sorted(terms, key=lambda term: term[0]))


def _expression(expression: Object) -> str:
    key, operator = expression["key"], expression["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return key if operator == "Exists" else f"!{key}"
    values = ",".join(sorted(expression.get("values") or ()))
    return f"{key} {operator.lower()} ({values})"
