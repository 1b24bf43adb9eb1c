"""RBAC rules as pure functions: does a rule allow a request, and do a user's rules cover other rules.

A PolicyRule is a dict as the API has it: verbs, apiGroups, resources, resourceNames, nonResourceURLs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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


def missing(owner_rules: Iterable[Rule], wanted: Iterable[Rule]) -> Iterator[Rule | None]:
    """For each resource (with its group and, if given, name) and each URL of `wanted` a rule with those verbs that no
    owner rule covers, or None if all are covered. The caller may pause between any two.
    """
    owners = [compile_rule(rule) for rule in owner_rules]
    for rule in wanted:
        verbs = tuple(dict.fromkeys(rule.get("verbs") or ()))
        for target in _targets(rule):
            left = _left(owners, target, verbs)
            yield {**target, "verbs": left} if left else None


def targets(rules: Iterable[Rule]) -> int:
    """How many steps `missing` takes for these rules."""
    total = 0
    for rule in rules:
        groups, resources, names, urls = (
            len(rule.get(field) or ()) for field in ("apiGroups", "resources", "resourceNames", "nonResourceURLs")
        )
        total += groups * resources * max(names, 1) + urls
    return total


def uncovered(owner_rules: Iterable[Rule], wanted: Iterable[Rule]) -> list[Rule]:
    """The parts of `wanted` that no owner rule covers, one resource or URL a rule."""
    return [rule for rule in missing(owner_rules, wanted) if rule is not None]


def describe(rules: Sequence[Rule]) -> list[str]:
    """Rules as a refusal shows them: those that differ in verbs only are joined; sorted."""
    return sorted({_describe(rule) for rule in _compact(rules)})


def _targets(rule: Rule) -> Iterator[Rule]:
    """What the rule is about, one by one, without its verbs."""
    names = rule.get("resourceNames") or ()
    for group, resource in product(rule.get("apiGroups") or (), rule.get("resources") or ()):
        target = {"apiGroups": [group], "resources": [resource]}
        if names:
            yield from ({**target, "resourceNames": [name]} for name in names)
        else:
            yield target
    for url in rule.get("nonResourceURLs") or ():
        yield {"nonResourceURLs": [url]}


def _left(owners: Sequence[CompiledRule], target: Rule, verbs: Sequence[str]) -> list[str]:
    """The verbs that no owner rule about the target has."""
    covers = _covers_url if "nonResourceURLs" in target else _covers_resource
    left: Sequence[str] = verbs
    for owner in owners:
        if not left:
            break
        if covers(owner, target):
            left = () if ALL in owner.verbs else [verb for verb in left if verb not in owner.verbs]
    return list(left)


def _covers_resource(owner: CompiledRule, target: Rule) -> bool:
    """An owner rule without names covers all; one with names covers only those (never a target without)."""
    (group,), (resource,) = target["apiGroups"], target["resources"]
    if group not in owner.groups and ALL not in owner.groups:
        return False
    if resource not in owner.resources and ALL not in owner.resources:
        _, slash, subresource = resource.partition("/")
        if not slash or f"*/{subresource}" not in owner.resources:
            return False
    names = target.get("resourceNames")
    return not owner.names or (names is not None and names[0] in owner.names)


def _covers_url(owner: CompiledRule, target: Rule) -> bool:
    (wanted,) = target["nonResourceURLs"]
    return not owner.names and any(url_matches(url, wanted) for url in owner.urls)


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
