"""Checked expressions as programs: a closure for each node, run over a frame (attributes.py).

A program is re-entrant: all that an evaluation changes is in its frame. What costs the same whatever the values are is
charged as one number; loops and functions whose cost depends on values look at the limit.

Upstream: cel-go interpreter/planner.go, interpreter/decorators.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import ast, calls, constructors, folding, guards, loops
from .attributes import FIRST_SLOT, Attribute, Closure, Frame, Qualifier, check_key, resolve
from .failures import CostExceeded, Failure, TooLong
from .library.row import Row, Runtime
from .schema import Declared
from .types import UINT, Form, Type
from .values import MISSING, TypeValue, UInt
from .views import Shape

Rows = Mapping[str, tuple[Row, ...]]

_CONVERSIONS = frozenset({"bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "type", "uint"})
ProgramFault = folding.ProgramFault


class Outcome(NamedTuple):
    """What an evaluation came to: a value, or the failure, and what it cost."""

    value: Any
    failure: Failure | CostExceeded | None
    cost: int


class Program:
    """A compiled expression."""

    __slots__ = ("_names", "_run", "_slots")

    def __init__(self, run: Closure, names: tuple[str, ...], slots: int) -> None:
        self._run = run
        self._names = names
        self._slots = slots

    def run(self, activation: Mapping[str, Any], limit: int, soft: int | None = None) -> Outcome:
        """Evaluates with the variables' values.

        Raises TooLong when the cost comes above `soft` but not above `limit`: run again without `soft`, off the event
        loop. Raises NeedDecision when an authorizer must decide first. Costs above `limit` are an Outcome.
        """
        first = limit if soft is None or soft > limit else soft
        frame: Frame = [0, first, limit]
        for name in self._names:
            frame.append(activation.get(name, MISSING))
        frame += [None] * self._slots
        try:
            outcome = Outcome(self._run(frame), None, frame[0])
        except Failure as failure:
            outcome = Outcome(None, failure, frame[0])
        except CostExceeded as exceeded:
            return Outcome(None, exceeded, frame[0])
        if outcome.cost <= frame[1]:
            return outcome
        if outcome.cost <= limit:
            raise TooLong
        return Outcome(None, CostExceeded(), outcome.cost)


@dataclass(slots=True)
class Plan:
    """A node's part of the program: a constant, an attribute that may still grow, or a closure.

    `trusted` says that the value surely has the type that the checker found.
    """

    constant: Any = MISSING
    attribute: Attribute | None = None
    closure: Closure | None = None
    trusted: bool = True

    @property
    def is_constant(self) -> bool:
        """Whether the value is known."""
        return self.constant is not MISSING

    def run(self) -> Closure:
        """The closure that gives the value and charges for it."""
        if self.closure is not None:
            return self.closure
        if self.attribute is not None:
            return resolve(self.attribute, 0 if self.attribute.condition else 1)
        constant = self.constant
        return lambda _frame: constant


def build(checked: ast.Checked, rows: Rows, declared: Mapping[str, Declared] | None = None) -> Program:
    """The program of a checked expression. Raises ProgramFault.

    `rows` has the overloads of each function that the environment has; `declared` the schemas of variables whose values
    are plain JSON.
    """
    builder = _Builder(checked, rows, declared or {})
    run = builder.plan(checked.expression).run()
    return builder.program(run)


class _Builder:
    """Plans the nodes of one expression."""

    def __init__(self, checked: ast.Checked, rows: Rows, declared: Mapping[str, Declared]) -> None:
        self._types = checked.types
        self._references = checked.references
        self._rows = rows
        self._shapes = {name: Shape(schema) for name, schema in declared.items()}
        self._names: dict[str, int] = {}
        self._locals: dict[str, list[Attribute]] = {}
        self._slots = 0
        for name in _variables(checked):
            self._names.setdefault(name, FIRST_SLOT + len(self._names))

    def program(self, run: Closure) -> Program:
        """The whole, when every node is planned."""
        return Program(run, tuple(self._names), self._slots)

    def plan(self, node: ast.Expr) -> Plan:
        """A node's plan. Raises ProgramFault."""
        return _PLANNERS[type(node)](self, node)

    def closure(self, node: ast.Expr) -> Closure:
        """A node's closure."""
        return self.plan(node).run()

    def _slot(self) -> int:
        self._slots += 1
        return FIRST_SLOT + len(self._names) + self._slots - 1

    # leaves

    def literal(self, node: ast.Literal) -> Plan:
        value = UInt(node.value) if node.type == UINT else node.value  # type: ignore[arg-type]
        return Plan(constant=value)

    def ident(self, node: ast.Ident) -> Plan:
        name = node.name
        known = self._locals.get(name)
        if known:
            return Plan(attribute=_copy(known[-1]), trusted=False)
        return self._reference(node.id, name)

    def _reference(self, identifier: int, name: str) -> Plan:
        reference = self._references.get(identifier)
        if reference is not None and reference.name:
            name = reference.name
        kind = self._types.get(identifier)
        if kind is not None and kind.form is Form.TYPE:
            return Plan(constant=TypeValue(name.removeprefix(".")))
        return self._variable(name.removeprefix("."))

    def _variable(self, name: str) -> Plan:
        shape = self._shapes.get(name)
        slot = self._names[name]
        return Plan(attribute=Attribute(slot=slot, name=name, shape=shape), trusted=shape is not None)

    def select(self, node: ast.Select) -> Plan:
        reference = self._references.get(node.id)
        if reference is not None and reference.name:
            return self._reference(node.id, reference.name)
        return self._qualified(node.operand, Qualifier(node.field, test=node.test_only), node.test_only)

    def _qualified(self, operand: ast.Expr, qualifier: Qualifier, test: bool = False) -> Plan:
        plan = self.plan(operand)
        attribute = plan.attribute
        if attribute is None:
            attribute = Attribute(operand=plan.run())
        attribute.add(qualifier)
        if test:
            return Plan(closure=resolve(attribute, 0))
        return Plan(attribute=attribute, trusted=attribute.shape is not None)

    # literals of lists, maps and structs

    def make_list(self, node: ast.List) -> Plan:
        plans = [self.plan(element) for element in node.elements]
        if all(plan.is_constant for plan in plans) and not node.optional_indices:
            return Plan(constant=[plan.constant for plan in plans])
        closures = tuple(plan.run() for plan in plans)
        optional = frozenset(node.optional_indices)
        return Plan(closure=constructors.make_list(closures, optional))

    def make_map(self, node: ast.Map) -> Plan:
        keys = [self.plan(entry.key) for entry in node.entries]
        values = [self.plan(entry.value) for entry in node.entries]
        optional = tuple(entry.optional for entry in node.entries)
        if not any(optional) and all(plan.is_constant for plan in (*keys, *values)):
            constants = zip(keys, values, strict=True)
            return Plan(constant=constructors.map_of([(key.constant, value.constant) for key, value in constants]))
        entries = tuple(
            (key.run(), value.run(), is_optional)
            for key, value, is_optional in zip(keys, values, optional, strict=True)
        )
        return Plan(closure=constructors.make_map(entries))

    def make_struct(self, node: ast.Struct) -> Plan:
        fields = tuple((part.name, self.closure(part.value), part.optional) for part in node.fields)
        return Plan(closure=constructors.make_struct(self._type_name(node), fields))

    def _type_name(self, node: ast.Struct) -> str:
        kind = self._types.get(node.id)
        return node.type_name if kind is None or kind.form is not Form.STRUCT else kind.name

    # calls

    def call(self, node: ast.Call) -> Plan:
        special = _SPECIAL.get(node.function)
        if special is not None:
            return special(self, node)
        targets = [] if node.target is None else [node.target]
        plans = [self.plan(argument) for argument in (*targets, *node.args)]
        if node.function in ("or", "orValue") and len(plans) == 2:
            return Plan(closure=calls.optional_or(plans[0].run(), plans[1].run(), node.function == "orValue"))
        return self._function(node, plans)

    def _function(self, node: ast.Call, plans: list[Plan]) -> Plan:
        reference = self._references.get(node.id)
        candidates = () if reference is None else reference.overloads
        known = self._rows.get(node.function, ())
        rows = [row for row in known if row.id in candidates] if len(candidates) == 1 else []
        if len(rows) == 1:
            function = self._resolved(node, rows[0], plans)
            price: int | Runtime = rows[0].runtime
            stops = False
        else:
            function, price, stops = _unresolved(node.function, known)
        compiled = folding.with_pattern(node.function, plans[1].constant) if len(plans) > 1 else None
        if compiled is not None:
            function, stops = compiled, True
        if node.function in _CONVERSIONS and len(plans) == 1 and plans[0].is_constant:
            return Plan(constant=folding.fold(function, plans[0].constant))
        if len(rows) == 1 and rows[0].id == "in_list" and plans[1].is_constant:
            folded = _membership(plans[0], plans[1].constant)
            if folded is not None:
                return folded
        if len(plans) == 2 and plans[1].is_constant and isinstance(price, int) and not stops and price == 1:
            return Plan(closure=calls.with_constant(node.function, function, plans[0].run(), plans[1].constant))
        called = calls.call(function, [plan.run() for plan in plans], price, stops)
        if isinstance(price, int) and rows and rows[0].instant:
            called = calls.instant(called, price)
        return Plan(closure=called)

    def _resolved(self, node: ast.Call, row: Row, plans: list[Plan]) -> Callable[..., Any]:
        arguments = ([] if node.target is None else [node.target]) + list(node.args)
        trusted = [plan.trusted and not self._is_dyn(argument) for plan, argument in zip(plans, arguments, strict=True)]
        return guards.guarded(row, trusted)

    def _is_dyn(self, node: ast.Expr) -> bool:
        kind = self._types.get(node.id)
        return kind is None or _has_dyn(kind)

    def logical(self, node: ast.Call) -> Plan:
        make = calls.logical_and if node.function == "_&&_" else calls.logical_or
        left, right = (self.closure(argument) for argument in node.args)
        return Plan(closure=make(left, right))

    def equality(self, node: ast.Call) -> Plan:
        negated = node.function == "_!=_"
        left, right = (self.plan(argument) for argument in node.args)
        if type(right.constant) in (str, int) and not left.is_constant:
            return Plan(closure=calls.equals_constant(left.run(), right.constant, negated))
        return Plan(closure=calls.equals(left.run(), right.run(), negated))

    def conditional(self, node: ast.Call) -> Plan:
        condition, truthy, falsy = (self.plan(argument) for argument in node.args)
        branches = tuple(_branch(plan) for plan in (truthy, falsy))
        return Plan(attribute=Attribute(condition=condition.run(), branches=branches), trusted=False)

    def index(self, node: ast.Call) -> Plan:
        optional = node.function != "_[_]"
        operand, key = node.args
        operand_plan = self.plan(operand)
        key_plan = self.plan(key)
        attribute = operand_plan.attribute
        if attribute is None:
            attribute = Attribute(operand=operand_plan.run())
        attribute.add(_qualifier(key_plan, optional))
        return Plan(attribute=attribute, trusted=attribute.shape is not None)

    # macros

    def comprehension(self, node: ast.Comprehension) -> Plan:
        if node.macro == "bind":
            return self._bind(node)
        items, element = self._range(node.range)
        slot, slot2 = self._slot(), -1
        variables = [(node.iter_var, slot)]
        if node.iter_var2:
            slot2 = self._slot()
            variables.append((node.iter_var2, slot2))
        for position, (name, used) in enumerate(variables):
            shape = element if position == len(variables) - 1 else None
            self._locals.setdefault(name, []).append(Attribute(slot=used, name=name, shape=shape))
        predicate, transform = _MACROS[node.macro](node.arguments)
        loop = loops.Loop(
            items,
            slot,
            slot2,
            None if predicate is None else self.closure(predicate),
            None if transform is None else self.closure(transform),
        )
        made = _LOOPS[node.macro](loop)
        for name, _ in variables:
            self._locals[name].pop()
        if node.macro == "filter" and element is not None and element.convert is not None:
            made = _wrapping(made, element)
        return Plan(closure=made)

    def _range(self, node: ast.Expr) -> tuple[Closure, Shape | None]:
        """The range's closure, and the shape of its elements if they are JSON that is not converted yet."""
        plan = self.plan(node)
        attribute = plan.attribute
        shape = None if attribute is None or _is_optional(attribute) else attribute.final_shape()
        if attribute is None or shape is None or not shape.is_list:
            return plan.run(), None
        return resolve(attribute, 1, raw=True), shape.element

    def _bind(self, node: ast.Comprehension) -> Plan:
        value, result = node.arguments
        initial = self.closure(value)
        slot = self._slot()
        variable = Attribute(accumulator=loops.bound_variable(slot, initial))
        self._locals.setdefault(node.accu_var, []).append(variable)
        made = loops.bind(slot, initial, self.closure(result))
        self._locals[node.accu_var].pop()
        return Plan(closure=made)


def _variables(checked: ast.Checked) -> list[str]:
    """The names that may be variables: every reference that is no function."""
    names = {reference.name.removeprefix(".") for reference in checked.references.values() if reference.name}
    return sorted(names)


def _copy(attribute: Attribute) -> Attribute:
    return Attribute(slot=attribute.slot, name=attribute.name, accumulator=attribute.accumulator, shape=attribute.shape)


def _branch(plan: Plan) -> Attribute:
    return Attribute(operand=plan.run()) if plan.attribute is None else plan.attribute


def _is_optional(attribute: Attribute) -> bool:
    return any(qualifier.optional for qualifier in attribute.qualifiers)


def _qualifier(key: Plan, optional: bool) -> Qualifier:
    """An attribute as a key is not charged for its value."""
    if key.is_constant:
        try:
            check_key(key.constant)
        except Failure as failure:
            raise folding.ProgramFault(str(failure)) from None
        return Qualifier(key.constant, optional=optional)
    closure = key.run() if key.attribute is None else resolve(key.attribute, 0)
    return Qualifier(None, dynamic=closure, optional=optional)


def _has_dyn(kind: Type) -> bool:
    return kind.is_dyn or any(map(_has_dyn, kind.parameters))


def _unresolved(name: str, rows: tuple[Row, ...]) -> tuple[Callable[..., Any], int | Runtime, bool]:
    """What a call does whose overload is known only at run time: the function, its price, whether it stops at errors."""
    price = next((row.runtime for row in rows if row.by_name), 1)
    functions = {row.function for row in rows}
    if len(functions) == 1 and not rows[0].guarded:
        (function,) = functions
        assert function is not None
        return function, price, False
    return guards.dispatching(name, rows), price, len(rows) > 1


def _membership(element: Plan, items: list[Any]) -> Plan | None:
    if not items:
        return Plan(constant=False)
    found = folding.membership(element.run(), items)
    return None if found is None else Plan(closure=found)


def _wrapping(closure: Closure, element: Shape) -> Closure:
    return lambda frame: list(map(element.wrap, closure(frame)))


_PLANNERS: dict[type, Callable[[_Builder, Any], Plan]] = {
    ast.Literal: _Builder.literal,
    ast.Ident: _Builder.ident,
    ast.Select: _Builder.select,
    ast.Call: _Builder.call,
    ast.List: _Builder.make_list,
    ast.Map: _Builder.make_map,
    ast.Struct: _Builder.make_struct,
    ast.Comprehension: _Builder.comprehension,
}
_SPECIAL: dict[str, Callable[[_Builder, ast.Call], Plan]] = {
    "_&&_": _Builder.logical,
    "_||_": _Builder.logical,
    "_==_": _Builder.equality,
    "_!=_": _Builder.equality,
    "_?_:_": _Builder.conditional,
    "_[_]": _Builder.index,
    "_[?_]": _Builder.index,
    "_?._": _Builder.index,
}

_Arguments = tuple[ast.Expr | None, ast.Expr | None]


def _only_predicate(arguments: list[ast.Expr]) -> _Arguments:
    return arguments[0], None


def _perhaps_filtered(arguments: list[ast.Expr]) -> _Arguments:
    return (None, arguments[0]) if len(arguments) == 1 else (arguments[0], arguments[1])


_MACROS: dict[str, Callable[[list[ast.Expr]], _Arguments]] = {
    "all": _only_predicate,
    "exists": _only_predicate,
    "exists_one": _only_predicate,
    "filter": _only_predicate,
    "map": _perhaps_filtered,
    "transformList": _perhaps_filtered,
    "transformMap": _perhaps_filtered,
    "transformMapEntry": _perhaps_filtered,
}
_LOOPS: dict[str, Callable[[loops.Loop], Closure]] = {
    "all": loops.all_of,
    "exists": loops.exists,
    "exists_one": loops.exists_one,
    "filter": loops.collect,
    "map": loops.collect,
    "transformList": loops.collect,
    "transformMap": lambda loop: loops.collect_map(loop, entries=False),
    "transformMapEntry": lambda loop: loops.collect_map(loop, entries=True),
}
