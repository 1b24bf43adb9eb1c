"""RBAC rules as pure functions: does a rule allow a request, and do a user's rules cover other rules.

A PolicyRule is a dict as the API has it: verbs, apiGroups, resources, resourceNames, nonResourceURLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from apiserver_workers.authorization.attributes import Attributes, quote_list

Rule = dict[str, Any]

ALL = "*"
# what a rule says, in the order in which messages show it
FIELDS = (
    ("apiGroups", "APIGroups"),
    ("resources", "Resources"),
    ("nonResourceURLs", "NonResourceURLs"),
    ("resourceNames", "ResourceNames"),
    ("verbs", "Verbs"),
)
FULL_AUTHORITY: tuple[Rule, ...] = (
    {"verbs": [ALL], "apiGroups": [ALL], "resources": [ALL]},
    {"verbs": [ALL], "nonResourceURLs": [ALL]},
)


@dataclass(slots=True, frozen=True)
class CompiledRule:
    """A rule as sets, for deciding quickly."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    urls: tuple[str, ...]

    def allows(self, attributes: Attributes) -> bool:
        """RuleAllows: whether this rule alone allows the request."""
        if attributes.verb not in self.verbs and ALL not in self.verbs:
            return False
        if not attributes.resource_request:
            return any(url_matches(url, attributes.path) for url in self.urls)
        return (
            (attributes.api_group in self.groups or ALL in self.groups)
            and self._allows_resource(attributes)
            and (not self.names or attributes.name in self.names)
        )

    def _allows_resource(self, attributes: Attributes) -> bool:
        resources = self.resources
        if ALL in resources or attributes.combined_resource in resources:
            return True
        return bool(attributes.subresource) and f"*/{attributes.subresource}" in resources


@dataclass(slots=True, frozen=True)
class HeldRules:
    """What a user holds: `error` is what could not be resolved, `incomplete` that the user may do more than this."""

    rules: list[Rule] = field(default_factory=list)
    incomplete: bool = False
    error: str = ""


def compile_rule(rule: Rule) -> CompiledRule:
    return CompiledRule(
        verbs=frozenset(rule.get("verbs") or ()),
        groups=frozenset(rule.get("apiGroups") or ()),
        resources=frozenset(rule.get("resources") or ()),
        names=frozenset(rule.get("resourceNames") or ()),
        urls=tuple(rule.get("nonResourceURLs") or ()),
    )


def url_matches(pattern: str, path: str) -> bool:
    """`*`, the path itself, or a prefix that ends in `*`."""
    return pattern in (ALL, path) or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))


def uncovered(owner_rules: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted` that no owner rule covers, one verb and resource (or URL) a rule."""
    owners = list(owner_rules)
    return [part for rule in wanted for part in _break_down(rule) if not any(_covers(owner, part) for owner in owners)]


def describe(rules: Sequence[Rule]) -> list[str]:
    """Rules as a refusal shows them: those that differ in verbs only are joined; sorted."""
    return sorted({_describe(rule) for rule in _compact(rules)})


def _break_down(rule: Rule) -> list[Rule]:
    verbs = rule.get("verbs") or ()
    names = rule.get("resourceNames") or ()
    parts: list[Rule] = []
    for group, resource, verb in product(rule.get("apiGroups") or (), rule.get("resources") or (), verbs):
        part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
        parts.extend({**part, "resourceNames": [name]} for name in names) if names else parts.append(part)
    parts.extend(
        {"nonResourceURLs": [url], "verbs": [verb]} for url, verb in product(rule.get("nonResourceURLs") or (), verbs)
    )
    return parts


def _covers(owner: Rule, part: Rule) -> bool:
    return (
        _has(owner, part, "verbs")
        and _has(owner, part, "apiGroups")
        and _covers_resources(owner, part)
        and _covers_urls(owner, part)
        and _covers_names(owner, part)
    )


def _has(owner: Rule, part: Rule, field: str) -> bool:
    held = owner.get(field) or ()
    return ALL in held or all(value in held for value in part.get(field) or ())


def _covers_resources(owner: Rule, part: Rule) -> bool:
    held = owner.get("resources") or ()
    if ALL in held:
        return True
    for resource in part.get("resources") or ():
        _, slash, subresource = resource.partition("/")
        if resource not in held and not (slash and f"*/{subresource}" in held):
            return False
    return True


def _covers_names(owner: Rule, part: Rule) -> bool:
    """An owner rule without names covers all; one with names covers only those (never a part without)."""
    held, wanted = owner.get("resourceNames") or (), part.get("resourceNames") or ()
    return not held or (bool(wanted) and all(name in held for name in wanted))


def _covers_urls(owner: Rule, part: Rule) -> bool:
    held = owner.get("nonResourceURLs") or ()
    return all(any(url_matches(url, wanted) for url in held) for wanted in part.get("nonResourceURLs") or ())


def _compact(rules: Sequence[Rule]) -> list[Rule]:
    """CompactRules: rules about one resource of one group (with the same one name or none) join their verbs."""
    joined: dict[tuple[Any, ...], Rule] = {}
    others: list[Rule] = []
    for rule in rules:
        names = tuple(rule.get("resourceNames") or ())
        if rule.get("nonResourceURLs") or len(names) > 1:
            others.append(rule)
            continue
        key = (rule["apiGroups"][0], rule["resources"][0], names)
        if key in joined:
            joined[key]["verbs"].extend(rule["verbs"])
        else:
            joined[key] = {**rule, "verbs": list(rule["verbs"])}
    return [*joined.values(), *others]


def _describe(rule: Rule) -> str:
    return "{" + ", ".join(f"{label}:{quote_list(rule[field])}" for field, label in FIELDS if rule.get(field)) + "}"
