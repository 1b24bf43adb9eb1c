"""Rules of schemas, run on values and on their changes.

Upstream: apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go. Maps are walked by name, where upstream has no
order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from apiserver_workers.apimachinery.cel.env import stored_expressions
from apiserver_workers.apimachinery.cel.failures import CostExceeded, Failure, TooLong
from apiserver_workers.apimachinery.cel.schema import Declared, declare, escape
from apiserver_workers.apimachinery.cel.values import NONE, Optional
from apiserver_workers.apimachinery.cel.views import Shape
from apiserver_workers.apimachinery.errors import FieldError
from apiserver_workers.apimachinery.goformat import quoted
from apiserver_workers.apimachinery.structural.model import Structural, structural_of
from apiserver_workers.apimachinery.structural.ratcheting import Correlated, by_keys, item_key
from apiserver_workers.apimachinery.structural.result import NO_PATH
from apiserver_workers.apimachinery.structural.rule_programs import CompiledRule, compile_rules
from apiserver_workers.apimachinery.validation.field import (
    duplicate,
    forbidden,
    invalid,
    invalid_unshown,
    join,
    key,
    required,
)

BUDGET = 10_000_000  # units for all rules on one write
PER_CALL_LIMIT = 1_000_000
MAX_MESSAGE = 5 * 1024  # bytes that a message expression may give
NOT_DECLARED = "failed to convert to declType for CEL validation rules"
OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"


def has_rules(schema: Structural | None) -> bool:
    """Whether the schema has rules at a place where they are looked for."""
    if schema is None:
        return False
    return bool(schema.rules) or any(map(has_rules, (schema.items, schema.additional, *schema.properties.values())))


@dataclass(slots=True, eq=False)
class RuleNode:
    """The compiled rules of a schema and of what is below it, as far as there are any."""

    schema: Structural
    rules: list[CompiledRule]
    shape: Shape | None
    error: str = ""
    items: RuleNode | None = None
    additional: RuleNode | None = None
    properties: dict[str, RuleNode] = field(default_factory=dict)
    all_of: list[RuleNode] = field(default_factory=list)


def rule_tree(schema: Structural, *, is_resource_root: bool = True) -> RuleNode | None:
    """The compiled rules of a whole schema, None if it has none. Takes about 0.3 ms a rule."""
    if not has_rules(schema):
        return None
    declared = declare(schema.raw, root=is_resource_root)
    structs = {} if declared is None else declared.structs
    return _Tree(structs).node(schema, schema, declared)


class _Tree:
    def __init__(self, structs: dict[str, Declared]) -> None:
        self._structs = structs

    def node(self, rules_of: Structural, schema: Structural, declared: Declared | None) -> RuleNode | None:
        """`rules_of` says what rules there are, `schema` what the values are: they differ inside of allOf."""
        rules, error = self._compile(rules_of, schema, declared)
        made = RuleNode(schema, rules, None if declared is None else Shape(declared), error)
        element = None if declared is None else declared.element
        if rules_of.items is not None and schema.items is not None:
            made.items = self.node(rules_of.items, schema.items, element)
        if rules_of.additional is not None and schema.additional is not None:
            made.additional = self.node(rules_of.additional, schema.additional, element)
        for name in sorted(rules_of.properties.keys() & schema.properties.keys()):
            if (
                inside := self._property(name, rules_of.properties[name], schema.properties[name], declared)
            ) is not None:
                made.properties[name] = inside
        for nested in rules_of.raw.get("allOf") or ():
            if (inside := self.node(structural_of(nested), schema, declared)) is not None:
                made.all_of.append(inside)
        some = rules or error or made.items or made.additional or made.properties or made.all_of
        return made if some else None

    def _property(
        self, name: str, rules_of: Structural, schema: Structural, declared: Declared | None
    ) -> RuleNode | None:
        escaped = escape(name)
        if escaped is None:
            own = declare(schema.raw, root=schema.embedded)
            return None if own is None else _Tree(own.structs).node(rules_of, schema, own)
        found = None if declared is None or declared.fields is None else declared.fields.get(escaped)
        return None if found is None else self.node(rules_of, schema, found.declared)

    def _compile(
        self, rules_of: Structural, schema: Structural, declared: Declared | None
    ) -> tuple[list[CompiledRule], str]:
        if not rules_of.rules:
            return [], ""
        if declared is None:
            return [], NOT_DECLARED
        return compile_rules(schema, rules_of.rules, declared, self._structs, stored_expressions()), ""


class Findings(NamedTuple):
    """What rules found, and what is only warned of, because it was so before."""

    faults: list[FieldError]
    warnings: list[str]


class _Stop(Exception):
    """No further rule runs."""


class Forgiveness(NamedTuple):
    """Where a value stands beside its old one: itself, or the nearest value around it that can be compared."""

    current: Correlated | None
    parent: Correlated | None

    def forgives(self) -> bool:
        """Whether a fault here is one of what did not change."""
        compared = self.parent if self.current is None else self.current
        return compared is not None and compared.is_unchanged()

    def property(self, name: str) -> Forgiveness:
        if self.current is None:
            return self
        if self.parent is None and name in ("apiVersion", "kind"):
            return NEVER
        return Forgiveness(self.current.property(name), self.current)

    def item(self, index: int) -> Forgiveness:
        return self if self.current is None else Forgiveness(self.current.item(index), self.current)


NEVER = Forgiveness(None, None)


def run_rules(
    tree: RuleNode, new: Any, old: Any = None, *, correlated: Correlated | None = None, soft: int | None = None
) -> Findings:
    """Run all rules on a value, and on its change where there is an old one.

    Raises TooLong when they cost more than `soft` units together: run them again without it, off the event loop.
    """
    run = _Run(soft)
    try:
        run.look(tree, "", new, old, Forgiveness(correlated, None))
    except _Stop:
        pass
    return Findings(run.faults, run.warnings)


class _Run:
    def __init__(self, soft: int | None) -> None:
        self.faults: list[FieldError] = []
        self.warnings: list[str] = []
        self._budget = BUDGET
        self._soft = soft

    def look(self, node: RuleNode, path: str, new: Any, old: Any, forgiveness: Forgiveness) -> None:
        if new is None:
            return
        if node.rules or node.error:
            self._run_all(node, path, new, old, forgiveness)
        for nested in node.all_of:
            self.look(nested, path, new, old, Forgiveness(None, forgiveness.parent))
        if new.__class__ is list:
            self._look_at_list(node, path, new, old, forgiveness)
        elif new.__class__ is dict:
            self._look_at_map(node, path, new, old if old.__class__ is dict else {}, forgiveness)

    def _look_at_list(self, node: RuleNode, path: str, new: list[Any], old: Any, forgiveness: Forgiveness) -> None:
        if node.items is None:
            return
        before = by_keys(node.schema, old) if old.__class__ is list else {}
        for index, item in enumerate(new):
            old_item = before.get(item_key(node.schema, item)) if before else None
            self.look(node.items, f"{path}[{index}]", item, old_item, forgiveness.item(index))

    def _look_at_map(
        self, node: RuleNode, path: str, new: dict[str, Any], old: dict[str, Any], forgiveness: Forgiveness
    ) -> None:
        if node.additional is not None:
            for name in sorted(new):
                self.look(node.additional, key(path, name), new[name], old.get(name), forgiveness.property(name))
        for name, inside in node.properties.items():
            if name in new:
                self.look(inside, join(path, name), new[name], old.get(name), forgiveness.property(name))

    def _run_all(self, node: RuleNode, path: str, new: Any, old: Any, forgiveness: Forgiveness) -> None:
        kind = node.schema.type
        at = path or NO_PATH
        if node.error:
            self.faults.append(invalid(at, kind, f"rule compiler initialization error: {node.error}"))
            return
        if self._budget <= 0:
            self._give_up(invalid(at, kind, OUT_OF_BUDGET))
        assert node.shape is not None
        for compiled in node.rules:
            if compiled.error:
                self.faults.append(invalid(at, kind, f"rule compile error: {compiled.error}"))
            elif compiled.program is not None and (not compiled.uses_old or old is not None or compiled.optional_old):
                self._run_one(compiled, node, path, new, old, forgiveness)

    def _run_one(
        self, compiled: CompiledRule, node: RuleNode, path: str, new: Any, old: Any, forgiveness: Forgiveness
    ) -> None:
        kind, at = node.schema.type, path or NO_PATH
        activation = _activation(compiled, node, new, old)
        assert compiled.program is not None
        outcome = compiled.program.run(activation, PER_CALL_LIMIT, self._soft)
        self._charge(outcome.cost, invalid(at, kind, OUT_OF_BUDGET))
        if outcome.failure is not None:
            self._note_failure(outcome.failure, compiled, at, kind)
            return
        if outcome.value is True:
            return
        path = join(path, compiled.field_path) if compiled.field_path else path
        try:
            detail = self._message(compiled, node, activation, path or NO_PATH)
        except _Fatal as fatal:
            self._add(fatal.fault, compiled, forgiveness)
            raise _Stop from None
        fault = _fault(path or NO_PATH, new, kind, detail, compiled.rule.get("reason") or "")
        self._add(fault, compiled, forgiveness)

    def _charge(self, cost: int, out_of_budget: FieldError) -> None:
        if cost > self._budget:
            self._give_up(out_of_budget)
        self._budget -= cost
        if self._soft is not None:
            self._soft -= cost
            if self._soft <= 0:
                raise TooLong

    def _give_up(self, fault: FieldError) -> None:
        self.faults.append(fault)
        raise _Stop

    def _add(self, fault: FieldError, compiled: CompiledRule, forgiveness: Forgiveness) -> None:
        if not compiled.uses_old and forgiveness.forgives():
            self.warnings.append(str(fault))
        else:
            self.faults.append(fault)

    def _note_failure(self, failure: Failure | CostExceeded, compiled: CompiledRule, at: str, kind: str) -> None:
        text, rule = str(failure), compiled.text
        if text.startswith("no such overload"):
            why = "call arguments did not match a supported operator, function or macro signature for rule"
            self.faults.append(invalid(at, kind, f"'{text}': {why}: {rule}"))
        elif isinstance(failure, CostExceeded):
            why = "no further validation rules will be run due to call cost exceeds limit for rule"
            self._give_up(invalid(at, kind, f"'{text}': {why}: {rule}"))
        else:
            self.faults.append(invalid(at, kind, f"{text} evaluating rule: {rule}"))

    def _message(self, compiled: CompiledRule, node: RuleNode, activation: dict[str, Any], at: str) -> str:
        """What to say of a rule that does not hold. Raises _Fatal."""
        if compiled.message is not None:
            said = self._evaluated_message(compiled, activation, at, node.schema.type)
            if said:
                return said
        if message := compiled.rule.get("message"):
            return str(message).strip()
        return f"failed rule: {compiled.text}"

    def _evaluated_message(self, compiled: CompiledRule, activation: dict[str, Any], at: str, kind: str) -> str:
        """The text of a message expression, "" if it has none that can be used. Raises _Fatal."""
        assert compiled.message is not None
        outcome = compiled.message.run(activation, PER_CALL_LIMIT, self._soft)
        if outcome.cost > self._budget:
            why = "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
            raise _Fatal(invalid(at, kind, why))
        if isinstance(outcome.failure, CostExceeded):
            source = quoted(compiled.rule["messageExpression"])
            why = "no further validation rules will be run due to call cost exceeds limit for messageExpression"
            raise _Fatal(invalid(at, kind, f"{why}: {source}"))
        self._budget -= outcome.cost
        if outcome.failure is not None or not isinstance(outcome.value, str):
            return ""
        said = outcome.value.strip()
        return "" if "\n" in said or len(said.encode()) > MAX_MESSAGE else said


class _Fatal(Exception):
    """A message expression cost too much: no further rule runs."""

    def __init__(self, fault: FieldError) -> None:
        super().__init__(str(fault))
        self.fault = fault


def _activation(compiled: CompiledRule, node: RuleNode, new: Any, old: Any) -> dict[str, Any]:
    if not compiled.uses_old:
        return {"self": new}
    if not compiled.optional_old:
        return {"self": new, "oldSelf": old}
    assert node.shape is not None
    return {"self": new, "oldSelf": NONE if old is None else Optional(node.shape.wrap(old))}


def _fault(path: str, value: Any, kind: str, detail: str, reason: str) -> FieldError:
    hidden = kind in ("object", "array")
    if reason == "FieldValueForbidden":
        return forbidden(path, detail)
    if reason == "FieldValueRequired":
        return required(path, detail)
    if reason == "FieldValueDuplicate":
        return FieldError(reason, path, "Duplicate value") if hidden else duplicate(path, value)
    return invalid_unshown(path, detail) if hidden else invalid(path, value, detail)
