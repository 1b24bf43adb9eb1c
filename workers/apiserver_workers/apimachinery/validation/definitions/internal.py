"""CustomResourceDefinitions in upstream's internal form, which all messages refer to.

What all versions have alike stands at the top of the spec there: a definition with one version has `spec.validation` and
not `spec.versions[0].schema` (apiextensions/v1/conversion.go).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Object = dict[str, Any]
Schema = Mapping[str, Any]

# The field of a version, and that of the spec.
SHARED = {
    "schema": "validation",
    "subresources": "subresources",
    "additionalPrinterColumns": "additionalPrinterColumns",
    "selectableFields": "selectableFields",
}


def internal_spec(spec: Object) -> Object:
    """The spec in its internal form; the one given is not changed."""
    versions = [dict(version) for version in spec.get("versions") or ()]
    made: Object = {**spec, "versions": versions, "versionsGiven": spec.get("versions") is not None}
    if versions:
        made["version"] = versions[0].get("name", "")
        for own, shared in SHARED.items():
            first = versions[0].get(own)
            if all(version.get(own) == first for version in versions):
                made[shared] = first
                for version in versions:
                    version.pop(own, None)
    conversion = spec.get("conversion")
    if conversion is not None:
        webhook = conversion.get("webhook") or {}
        made["conversion"] = {
            "strategy": conversion.get("strategy", ""),
            "webhookClientConfig": webhook.get("clientConfig"),
            "conversionReviewVersions": webhook.get("conversionReviewVersions") or [],
        }
    return made


def schemas(spec: Object) -> Iterator[Schema]:
    """The schemas of an internal spec."""
    for holder in (spec.get("validation"), *(version.get("schema") for version in spec["versions"])):
        if holder and holder.get("openAPIV3Schema") is not None:
            yield holder["openAPIV3Schema"]


def has_everywhere(spec: Object) -> bool:
    """Whether every version has a schema."""
    return _has(spec.get("validation")) or all(_has(version.get("schema")) for version in spec["versions"])


def _has(holder: Object | None) -> bool:
    return bool(holder) and holder is not None and holder.get("openAPIV3Schema") is not None


def nodes(schema: Schema) -> Iterator[Schema]:
    """The schema and all schemas inside."""
    waiting: list[Any] = [schema]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, Mapping):
            continue
        yield node
        items = node.get("items")
        waiting += items if isinstance(items, list) else [items]
        for name in ("allOf", "anyOf", "oneOf"):
            waiting += node.get(name) or ()
        waiting += [node.get("not"), node.get("additionalProperties"), node.get("additionalItems")]
        for name in ("properties", "patternProperties", "definitions"):
            waiting += (node.get(name) or {}).values()
        waiting += (one for one in (node.get("dependencies") or {}).values() if isinstance(one, Mapping))


def any_node(spec: Object, holds: Callable[[Schema], bool]) -> bool:
    """Whether that holds for any schema of an internal spec, or of what is inside."""
    return any(holds(node) for schema in schemas(spec) for node in nodes(schema))
