"""Labels of nodes that have other names now (pkg/api/node/util.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_workers.apimachinery.validation.field import each, key
from apiserver_workers.apimachinery.validation.names import is_label_value
from apiserver_workers.apimachinery.warnings.addresses import warn_of_cidr

Object = dict[str, Any]

DEPRECATED_LABELS = {
    "beta.kubernetes.io/arch": 'deprecated since v1.14; use "kubernetes.io/arch" instead',
    "beta.kubernetes.io/os": 'deprecated since v1.14; use "kubernetes.io/os" instead',
    "failure-domain.beta.kubernetes.io/region": 'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
    "failure-domain.beta.kubernetes.io/zone": 'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
    "beta.kubernetes.io/instance-type": 'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}
UNUSED = "this field is deprecated, and is unused by Kubernetes"


def warn_of_node_selector_term(term: Object, path: str, *, check_values: bool = False) -> Iterator[str]:
    """GetWarningsForNodeSelectorTerm."""
    for at, expression in each(f"{path}.matchExpressions", term.get("matchExpressions")):
        name = expression.get("key", "")
        if name in DEPRECATED_LABELS:
            yield f"{at}.key: {name} is {DEPRECATED_LABELS[name]}"
        for place, value in each(f"{at}.values", expression.get("values") if check_values else ()):
            for fault in is_label_value(value):
                yield f"{place}: {value} is invalid, {fault}"


def warn_of_labels(labels: dict[str, str] | None, path: str) -> list[str]:
    return [
        f"{key(path, name)}: {DEPRECATED_LABELS[name]}" for name in sorted(labels or ()) if name in DEPRECATED_LABELS
    ]


def warn_of_node(node: Object) -> list[str]:
    spec = node.get("spec") or {}
    found = [f"spec.{field}: {UNUSED}" for field in ("configSource", "externalID") if spec.get(field)]
    for at, cidr in each("spec.podCIDRs", spec.get("podCIDRs")):
        found += warn_of_cidr(cidr, at)
    return found
