"""Rules in schemas: they must compile, and not cost too much (validation.go, cel_validation.go)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from apiserver_workers.apimachinery.cel.env import Environment, new_expressions, stored_expressions
from apiserver_workers.apimachinery.cel.schema import Declared, declare, escape
from apiserver_workers.apimachinery.structural.model import Structural
from apiserver_workers.apimachinery.structural.rule_programs import CompiledRule, compile_rules
from apiserver_workers.apimachinery.validation.definitions.internal import Schema
from apiserver_workers.apimachinery.validation.definitions.options import Strictness
from apiserver_workers.apimachinery.validation.definitions.shown import shown_rule
from apiserver_workers.apimachinery.validation.field import Errors, FieldError, forbidden, internal_error, invalid

PER_EXPRESSION = 10_000_000
PER_DEFINITION = 100_000_000
MOST_EXPENSIVE = 4  # so many are named if all together cost too much
LARGEST = 2**64 - 1
NO_TYPES = "internal error: failed to retrieve type information for x-kubernetes-validations"
CANNOT_DECLARE = (
    "internal error: failed to construct type information for x-kubernetes-validations rules: "
    "unable to convert structural schema to CEL declarations"
)


@dataclass(slots=True)
class TotalCost:
    """What all rules of a schema cost together."""

    total: int = 0
    largest: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: str, cost: int) -> None:
        """One more expression."""
        self.total = min(self.total + cost, LARGEST)
        if cost >= PER_DEFINITION // 100:
            self.largest = sorted([*self.largest, (cost, path)], key=lambda one: -one[0])[:MOST_EXPENSIVE]

    def faults(self, path: str) -> Errors:
        """What is said of a schema whose rules cost too much together."""
        if self.total <= PER_DEFINITION:
            return []
        why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
        name = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
        text = excess(name, self.total, PER_DEFINITION)
        return [*(forbidden(at, why) for _, at in self.largest), forbidden(path, text)]


@dataclass(frozen=True, slots=True)
class RuleScope:
    """Where a schema stands among those around it. `declared` is None where rules cannot see its values, `cardinality`
    where nothing bounds how many there are. `in_rules`: the schema or one around it has rules.
    """

    structural: Structural
    declared: Declared | None
    structs: dict[str, Declared]
    cardinality: int | None
    total: TotalCost
    in_rules: bool = False

    def property(self, name: str) -> RuleScope:
        """The scope of a property."""
        child = self.structural.properties[name]
        escaped = escape(name)
        if escaped is None:
            own = declare(child.raw, root=child.embedded)
            structs = {} if own is None else own.structs
            return replace(self._child(child, own), structs=structs)
        fields = None if self.declared is None else self.declared.fields
        found = None if fields is None else fields.get(escaped)
        return self._child(child, None if found is None else found.declared)

    def element(self, child: Structural) -> RuleScope:
        """The scope of a list's items or of a map's values."""
        return self._child(child, None if self.declared is None else self.declared.element)

    def _child(self, child: Structural, declared: Declared | None) -> RuleScope:
        most = _most_elements(self.structural.raw)
        cardinality = None
        if self.cardinality is not None and most is not None:
            cardinality = min(self.cardinality * most, LARGEST)
        return replace(self, structural=child, declared=declared, cardinality=cardinality)


def root_scope(structural: Structural) -> RuleScope:
    """The scope of a whole schema."""
    declared = declare(structural.raw, root=True)
    structs = {} if declared is None else declared.structs
    return RuleScope(structural, declared, structs, 1, TotalCost())


def _most_elements(schema: Schema) -> int | None:
    """How many children of each name a value has at most."""
    if schema.get("type") == "object" and schema.get("additionalProperties") is not None:
        limit = schema.get("maxProperties")
    elif schema.get("type") == "array":
        limit = schema.get("maxItems")
    else:
        return 1
    return None if limit is None else max(int(limit), 0)


def rule_faults(
    scope: RuleScope, path: str, strictness: Strictness, *, any_cost: bool, uncorrelated: str | None
) -> Errors:
    """What is wrong with the rules of one schema.

    `any_cost`: they were there before, so each may cost what it costs. `uncorrelated` is the path of the schema around
    them whose values have no old ones.
    """
    at = f"{path}.x-kubernetes-validations"
    if scope.declared is None:
        return [internal_error(at, CANNOT_DECLARE)]
    faults: Errors = []
    for index, rule in enumerate(scope.structural.rules):
        environment = _environment(rule, strictness)
        (compiled,) = compile_rules(scope.structural, [rule], scope.declared, scope.structs, environment)
        faults += _of_rule(compiled, f"{at}[{index}]", scope, any_cost=any_cost)
        faults += _old_self_faults(compiled, f"{at}[{index}]", uncorrelated)
    return faults


def _environment(rule: Schema, strictness: Strictness) -> Environment:
    known = rule.get("rule") in strictness.rules
    message = rule.get("messageExpression")
    if message and message not in strictness.messages:
        known = False
    return stored_expressions() if known else new_expressions()


def _of_rule(compiled: CompiledRule, path: str, scope: RuleScope, *, any_cost: bool) -> Errors:
    faults: Errors = []
    times = compiled.cardinality if scope.cardinality is None else scope.cardinality
    cost = min(compiled.max_cost * times, LARGEST)
    if not any_cost and cost > PER_EXPRESSION:
        faults.append(forbidden(f"{path}.rule", excess("estimated rule cost", cost, PER_EXPRESSION)))
    scope.total.add(f"{path}.rule", cost)
    if compiled.error:
        faults.append(_of_expression(f"{path}.rule", compiled.rule, compiled.error))
    if compiled.message_error:
        faults.append(_of_expression(f"{path}.messageExpression", compiled.rule, compiled.message_error))
    elif compiled.message is not None:
        cost = compiled.message_max_cost
        if not any_cost and cost > PER_EXPRESSION:
            text = excess("estimated messageExpression cost", cost, PER_EXPRESSION)
            faults.append(forbidden(f"{path}.messageExpression", text))
        scope.total.add(f"{path}.messageExpression", cost)
    return faults


def _old_self_faults(compiled: CompiledRule, path: str, uncorrelated: str | None) -> Errors:
    rule = compiled.rule
    if compiled.uses_old:
        if uncorrelated is None:
            return []
        why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {uncorrelated}"
        return [invalid(f"{path}.rule", rule.get("rule"), why)]
    if rule.get("optionalOldSelf") is None:
        return []
    why = "may not be set if oldSelf is not used in rule"
    return [invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], why)]


def _of_expression(path: str, rule: Schema, error: str) -> FieldError:
    """A fault that shows the whole rule, by its names in Go."""
    return invalid(path, shown_rule(rule), error)


def excess(name: str, cost: int, limit: int) -> str:
    """By how much a cost is above its limit, in words."""
    factor = cost / limit
    if factor > 100:
        text = "more than 100x"
    elif factor < 1.5:
        text = f"{factor:f}x"
    else:
        text = f"{factor:.1f}x"
    advice = "adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared"
    return f"{name} exceeds budget by factor of {text} (try simplifying the rule, or {advice})"
