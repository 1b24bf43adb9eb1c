"""Which writes a policy or a binding is about: its matchConstraints or matchResources, compiled.

What depends on the kind of a write alone (operation, resource in its version, subresource) is worked out once for each
such kind: `Criteria.narrow` leaves the rules that can match. `Narrowed.match` looks at the rest: names, scope, selectors.

Upstream: apiserver/pkg/admission/plugin/policy/matching/matching.go, plugin/webhook/predicates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from apiserver_workers.admission.versions import Equivalents, Gvk, body_gvk
from apiserver_workers.apimachinery.label_selectors import label_selector_matches
from apiserver_workers.apimachinery.resources import ResourceInfo
from apiserver_workers.apimachinery.served_kind import ServedKind
from apiserver_workers.registry.attributes import Attributes

Object = Mapping[str, Any]
Labels = Mapping[str, str]

ANY = "*"
NO_LABELS: Labels = {}


class Rule(NamedTuple):
    """A NamedRuleWithOperations. `resources` are pairs of resource and subresource; no `names` are all names."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    scope: str
    names: frozenset[str]

    def covers(self, operation: str, info: ResourceInfo, subresource: str) -> bool:
        """Whether the rule names such a write."""
        return (
            _has(self.operations, operation)
            and _has(self.groups, info.group)
            and _has(self.versions, info.version)
            and any(name in (ANY, info.resource) and below in (ANY, subresource) for name, below in self.resources)
        )

    def admits(self, info: ResourceInfo, namespace: str, name: str) -> bool:
        """Whether scope and names fit an object of a resource that the rule covers."""
        if self.names and name not in self.names:
            return False
        if self.scope == ANY:
            return True
        # A namespace has its own name as its namespace, and is in none.
        inside = bool(namespace) and not (info.resource == "namespaces" and not info.group and info.version == "v1")
        return inside == (self.scope == "Namespaced")


def _has(names: frozenset[str], name: str) -> bool:
    return name in names or ANY in names


def parse_rule(rule: Object) -> Rule:
    """The compiled form of a rule as it is stored."""
    pairs = (resource.partition("/") for resource in rule.get("resources") or ())
    return Rule(
        operations=frozenset(rule.get("operations") or ()),
        groups=frozenset(rule.get("apiGroups") or ()),
        versions=frozenset(rule.get("apiVersions") or ()),
        resources=tuple((name, below) for name, _, below in pairs),
        scope=rule.get("scope") or ANY,
        names=frozenset(rule.get("resourceNames") or ()),
    )


class Match(NamedTuple):
    """The version of the resource that a rule matched, and the kind that expressions see the object in."""

    served: ServedKind
    gvk: Gvk


class Choice(NamedTuple):
    """A rule that can match, and what it then matched."""

    rule: Rule
    match: Match


class KindOfWrite(NamedTuple):
    """What of a write does not depend on its object. `others` are the equivalent versions of the resource."""

    operation: str
    served: ServedKind
    subresource: str
    others: Sequence[ServedKind]

    def match(self, served: ServedKind) -> Match:
        """The match in a version of the resource."""
        return Match(served, body_gvk(served.info, self.subresource))


def kind_of_write(attributes: Attributes, equivalents: Equivalents) -> KindOfWrite:
    """The kind of a write."""
    served, subresource = attributes.requested, attributes.subresource
    return KindOfWrite(attributes.operation, served, subresource, equivalents.of(served, subresource))


class Criteria:
    """Compiled MatchResources."""

    def __init__(self, resources: Object) -> None:
        self.included = tuple(map(parse_rule, resources.get("resourceRules") or ()))
        self.excluded = tuple(map(parse_rule, resources.get("excludeResourceRules") or ()))
        self.equivalent = resources.get("matchPolicy") == "Equivalent"
        self.namespace_selector: Object = resources.get("namespaceSelector") or {}
        self.object_selector: Object = resources.get("objectSelector") or {}

    def narrow(self, write: KindOfWrite) -> Narrowed | None:
        """What remains to be looked at for a kind of write; None if it can never match."""
        if not self.included:
            included: tuple[Choice, ...] | None = None
        else:
            included = self._choices(self.included, write)
            if not included:
                return None
        return Narrowed(self, write.match(write.served), included, self._choices(self.excluded, write))

    def _choices(self, rules: Sequence[Rule], write: KindOfWrite) -> tuple[Choice, ...]:
        """The rules that cover the write, in the order in which they are looked at: exact ones, then equivalents."""
        operation, served, subresource, others = write
        own = write.match(served)
        found = [Choice(rule, own) for rule in rules if rule.covers(operation, served.info, subresource)]
        if self.equivalent:
            found += [
                Choice(rule, write.match(other))
                for rule in rules
                for other in others
                if rule.covers(operation, other.info, subresource)
            ]
        return tuple(found)


class Narrowed(NamedTuple):
    """Criteria for one kind of write. `included` is None where no rules are every write."""

    criteria: Criteria
    own: Match
    included: tuple[Choice, ...] | None
    excluded: tuple[Choice, ...]

    @property
    def needs_labels(self) -> bool:
        """Whether the labels of the namespace decide."""
        return bool(self.criteria.namespace_selector)

    def match(self, attributes: Attributes) -> Match | None:
        """What is matched as far as the namespace's labels do not decide."""
        if self.criteria.object_selector and not _either_selected(self.criteria.object_selector, attributes):
            return None
        if self.excluded and _first(self.excluded, attributes) is not None:
            return None
        return self.own if self.included is None else _first(self.included, attributes)

    def selects(self, labels: Labels) -> bool:
        """Whether the namespace selector selects a namespace with these labels."""
        return label_selector_matches(self.criteria.namespace_selector, labels)


def _first(choices: Sequence[Choice], attributes: Attributes) -> Match | None:
    for rule, match in choices:
        if rule.admits(match.served.info, attributes.namespace, attributes.name):
            return match
    return None


def _either_selected(selector: Object, attributes: Attributes) -> bool:
    return _selected(selector, attributes.obj) or _selected(selector, attributes.old_obj)


def _selected(selector: Object, obj: Object | None) -> bool:
    """Whether an object's labels are selected; what has no metadata, such as the options of CONNECT, never is."""
    if obj is None:
        return False
    metadata = obj.get("metadata")
    return metadata is not None and label_selector_matches(selector, metadata.get("labels") or NO_LABELS)


def is_empty(selector: Object) -> bool:
    """Whether a label selector selects everything."""
    return not selector.get("matchLabels") and not selector.get("matchExpressions")
