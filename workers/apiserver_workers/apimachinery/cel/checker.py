"""The type check: which variable and which overloads every name of an expression means, and every node's type.

The check goes on after a fault, so that one run finds all faults. It changes the tree where a name with dots is one
function: `strings.quote(x)` becomes a call without a target. Where a name with dots is one variable, the selection has a
reference to that variable; what is below the selection is not checked and means nothing.

Upstream: cel-go checker/checker.go, checker/env.go, checker/errors.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .ast import Call, Checked, Comprehension, Expr, Ident, List, Literal, Map, Reference, Select, Struct
from .declarations import message_name
from .faults import CompileError, Fault
from .types import BOOL, DYN, ERROR, INT, STRING, Form, Type, list_of, map_of, optional_of, parameter, type_of
from .unify import Bindings, most_general

_OPTIONAL_SELECT = "_?._"
_LOGICAL = {"_&&_": "logical_and", "_||_": "logical_or"}


@dataclass(frozen=True, slots=True)
class Overload:
    """One signature of a function; the target of a member function is its first argument."""

    id: str
    args: tuple[Type, ...]
    result: Type
    member: bool
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """All names that an expression may use."""

    variables: Mapping[str, Type]
    functions: Mapping[str, Sequence[Overload]]
    find_type: Callable[[str], Type | None]
    find_field: Callable[[str, str], Type | None]


def check(source: str, expression: Expr, scope: Scope) -> Checked:
    """Checks a parsed expression; the tree is changed in place. Raises CompileError with all faults."""
    checker = _Checker(scope)
    checker.check(expression)
    if checker.faults:
        raise CompileError(source, checker.faults)
    bindings = checker.bindings
    types = {node: bindings.substitute(t, free_is_dyn=True) for node, t in checker.types.items()}
    return Checked(source, expression, types, checker.references)


class _Checker:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._functions = scope.functions
        self._locals: dict[str, list[Type]] = {}
        self._free = 0
        self.types: dict[int, Type] = {}
        self.references: dict[int, Reference] = {}
        self.bindings = Bindings()
        self.faults: list[Fault] = []

    def check(self, node: Expr) -> Type:
        """Checks a node and those below it; the node's type."""
        checked = _CHECKS[type(node)](self, node)
        self.types[node.id] = checked
        return checked

    # Helpers

    def _fault(self, node: Any, message: str) -> Type:
        self.faults.append(Fault(node.position, message))
        return ERROR

    def _undeclared(self, node: Expr, name: str) -> Type:
        return self._fault(node, f"undeclared reference to '{name}' (in container '')")

    def _mismatch(self, node: Expr, expected: Type, given: Type) -> Type:
        return self._fault(node, f"expected type '{expected}' but found '{given}'")

    def _new_parameter(self) -> Type:
        made = parameter(f"_var{self._free}")
        self._free += 1
        return made

    def _variable(self, name: str) -> Type | None:
        """The type of a variable or of a type's name; None if the name is not declared."""
        plain = name.removeprefix(".")
        stack = self._locals.get(plain)
        if stack:
            return stack[-1]
        found = self._scope.variables.get(plain)
        if found is not None:
            return found
        named = self._scope.find_type(plain)
        return None if named is None else type_of(named)

    def _refer(self, node: Any, name: str, found: Type) -> Type:
        """Notes which variable a node means."""
        plain = name.removeprefix(".")
        self.references[node.id] = Reference(name=plain)
        if type(node) is Ident:
            node.name = plain
        return found

    def _push(self, name: str, t: Type) -> None:
        self._locals.setdefault(name, []).append(t)

    def _pop(self, name: str) -> None:
        self._locals[name].pop()

    # Nodes

    def _literal(self, node: Literal) -> Type:
        return node.type

    def _ident(self, node: Ident) -> Type:
        found = self._variable(node.name)
        if found is None:
            return self._undeclared(node, node.name)
        return self._refer(node, node.name, found)

    def _select(self, node: Select) -> Type:
        name = _qualified_name(node)
        if name is not None and (found := self._qualified(name)) is not None:
            return self._refer(node, name, found)
        result = self._field(node, node.operand, node.field, optional=False)
        if node.test_only:
            return BOOL
        return self.bindings.substitute(result)

    def _qualified(self, name: str) -> Type | None:
        """What a name with dots is; None if its first part is a loop's variable, which is selected from."""
        first = name.split(".", 1)[0]
        if self._locals.get(first):
            return None
        return self._variable(name)

    def _field(self, node: Expr, operand: Expr, field: str, *, optional: bool) -> Type:
        """The type of a selection."""
        operand_type = self.bindings.substitute(self.check(operand))
        target = operand_type
        if operand_type.is_optional:
            target = operand_type.parameters[0]
            optional = True
        result = self._field_of(node, target, field)
        return optional_of(result) if optional else result

    def _field_of(self, node: Expr, target: Type, field: str) -> Type:
        if target.form is Form.MAP:
            return target.parameters[1]
        if target.form is Form.STRUCT:
            found = self._scope.find_field(target.name, field)
            return self._fault(node, f"undefined field '{field}'") if found is None else found
        if target.form is Form.PARAMETER:
            self.bindings.assignable(DYN, target)
            return DYN
        if not target.is_dyn and target.form is not Form.ERROR:
            self._fault(node, f"type '{target}' does not support field selection")
        return DYN

    def _optional_select(self, node: Call) -> Type:
        operand, field = node.args
        if type(field) is not Literal or field.type is not STRING:
            return self._fault(field, "unsupported optional field selection")
        result = self._field(node, operand, str(field.value), optional=True)
        self.types[field.id] = STRING
        self.references[node.id] = Reference(overloads=("select_optional_field",))
        return self.bindings.substitute(result)

    def _call(self, node: Call) -> Type:
        if node.function == _OPTIONAL_SELECT:
            return self._optional_select(node)
        arguments = [self.check(arg) for arg in node.args]
        target = node.target
        if target is None:
            return self._global_call(node, arguments)
        name = _qualified_name(target)
        if name is not None:
            namespaced = f"{name}.{node.function}".removeprefix(".")
            if namespaced in self._functions:
                node.target = None
                node.function = namespaced
                return self._resolve(node, namespaced, arguments, node.args)
        target_type = self.check(target)
        if node.function not in self._functions:
            return self._undeclared(node, node.function)
        return self._resolve(node, node.function, [target_type, *arguments], node.args)

    def _global_call(self, node: Call, arguments: list[Type]) -> Type:
        name = node.function.removeprefix(".")
        if name not in self._functions:
            return self._undeclared(node, node.function)
        node.function = name
        return self._resolve(node, name, arguments, node.args)

    def _resolve(self, node: Call, name: str, arguments: list[Type], nodes: Sequence[Expr]) -> Type:
        """The result of a call, of the overloads that fit."""
        if name in _LOGICAL and node.target is None:
            return self._logical(node, name, arguments, nodes)
        member = node.target is not None
        fitting: list[str] = []
        result: Type | None = None
        for overload in self._functions[name]:
            if overload.member is not member:
                continue
            args, declared_result = self._instantiate(overload)
            if not self.bindings.all_assignable(arguments, args):
                continue
            fitting.append(overload.id)
            this = self.bindings.substitute(declared_result)
            if result is None:
                result = this
            elif not result.is_dyn and this != result:
                result = DYN
        if result is None:
            return self._no_overload(node, name, arguments, member)
        self.references[node.id] = Reference(overloads=tuple(fitting))
        return result

    def _instantiate(self, overload: Overload) -> tuple[Sequence[Type], Type]:
        """The overload's argument types and result with parameters of this call's own."""
        if not overload.parameters:
            return overload.args, overload.result
        fresh = {name: self._new_parameter() for name in overload.parameters}
        return [_rename(arg, fresh) for arg in overload.args], _rename(overload.result, fresh)

    def _logical(self, node: Call, name: str, arguments: list[Type], nodes: Sequence[Expr]) -> Type:
        """&& and ||: each argument on its own must be a bool."""
        faults = len(self.faults)
        for argument, at in zip(arguments, nodes, strict=True):
            if not self.bindings.assignable(argument, BOOL):
                self._mismatch(at, BOOL, argument)
        if len(self.faults) > faults:
            return ERROR
        self.references[node.id] = Reference(overloads=(_LOGICAL[name],))
        return BOOL

    def _no_overload(self, node: Call, name: str, arguments: list[Type], member: bool) -> Type:
        texts = [self.bindings.substitute(argument, free_is_dyn=True).text for argument in arguments]
        prefix = f"{texts[0]}." if member else ""
        listed = ", ".join(texts[1:] if member else texts)
        return self._fault(node, f"found no matching overload for '{name}' applied to '{prefix}({listed})'")

    def _list(self, node: List) -> Type:
        element: Type | None = None
        for index, item in enumerate(node.elements):
            item_type = self.check(item)
            if index in node.optional_indices:
                item_type = self._unwrap(item, item_type)
            element = self._join(element, item_type)
        return list_of(element or self._new_parameter())

    def _map(self, node: Map) -> Type:
        key: Type | None = None
        value: Type | None = None
        for entry in node.entries:
            key = self._join(key, self.check(entry.key))
            value_type = self.check(entry.value)
            if entry.optional:
                value_type = self._unwrap(entry.value, value_type)
            value = self._join(value, value_type)
        if key is None or value is None:
            key = self._new_parameter()
            value = self._new_parameter()
        return map_of(key, value)

    def _unwrap(self, node: Expr, t: Type) -> Type:
        """The type inside of an optional element's type."""
        if t.is_optional:
            return t.parameters[0]
        if not t.is_dyn:
            self._mismatch(node, optional_of(t), t)
        return t

    def _join(self, previous: Type | None, current: Type) -> Type:
        """The type of a list's elements so far, and one more. Mixed types make dyn: validators.py refuses them."""
        if previous is None:
            return current
        if self.bindings.assignable(previous, current):
            return most_general(previous, current)
        return DYN

    def _struct(self, node: Struct) -> Type:
        name = node.type_name.removeprefix(".")
        made = self._scope.find_type(name)
        if made is None:
            return self._undeclared(node, node.type_name)
        node.type_name = name
        self.references[node.id] = Reference(name=name)
        message = message_name(made)
        if message is None:
            self._fault(node, f"'{made.name}' is not a message type")
            made = ERROR
        for field in node.fields:
            self._struct_field(message or name, field)
        return made

    def _struct_field(self, type_name: str, field: Any) -> None:
        value_type = self.check(field.value)
        expected = self._scope.find_field(type_name, field.name)
        if expected is None:
            expected = self._missing_field(type_name, field)
        if field.optional:
            value_type = self._unwrap(field.value, value_type)
        if not self.bindings.assignable(expected, value_type):
            message = f"expected type of field '{field.name}' is '{expected}' but provided type is '{value_type}'"
            self._fault(field, message)

    def _missing_field(self, type_name: str, field: Any) -> Type:
        if self._scope.find_type(type_name) is None:
            return self._fault(field, f"unexpected failed resolution of '{type_name}'")
        return self._fault(field, f"undefined field '{field.name}'")

    def _comprehension(self, node: Comprehension) -> Type:
        range_type = self.bindings.substitute(self.check(node.range))
        accumulated = self.check(node.init)
        first, second = self._iterated(node, range_type)
        self._push(node.accu_var, accumulated)
        self._push(node.iter_var, first)
        if node.iter_var2 is not None:
            self._push(node.iter_var2, second)
        self._assert(node.condition, BOOL)
        self._assert(node.step, accumulated)
        self._pop(node.iter_var)
        if node.iter_var2 is not None:
            self._pop(node.iter_var2)
        result = self.check(node.result)
        self._pop(node.accu_var)
        return self.bindings.substitute(result)

    def _iterated(self, node: Comprehension, range_type: Type) -> tuple[Type, Type]:
        """The types of the loop's variables; the second is for loops with two."""
        if range_type.form is Form.LIST:
            element = range_type.parameters[0]
            return (INT, element) if node.iter_var2 is not None else (element, element)
        if range_type.form is Form.MAP:
            return range_type.parameters[0], range_type.parameters[1]
        if range_type.form in (Form.DYN, Form.ERROR, Form.PARAMETER):
            self.bindings.assignable(DYN, range_type)
            return DYN, DYN
        message = (
            f"expression of type '{range_type}' cannot be range of a comprehension (must be list, map, or dynamic)"
        )
        self._fault(node.range, message)
        return ERROR, ERROR

    def _assert(self, node: Expr, expected: Type) -> None:
        found = self.check(node)
        if not self.bindings.assignable(expected, found):
            self._mismatch(node, expected, found)


def _qualified_name(node: Expr) -> str | None:
    """`a.b.c` of selections from an identifier; None of anything else."""
    names: list[str] = []
    while type(node) is Select:
        if node.test_only:
            return None
        names.append(node.field)
        node = node.operand
    if type(node) is not Ident:
        return None
    names.append(node.name)
    return ".".join(reversed(names))


def _rename(t: Type, names: Mapping[str, Type]) -> Type:
    if t.form is Form.PARAMETER:
        return names[t.name]
    if not t.is_open:
        return t
    return Type(t.form, t.name, tuple([_rename(p, names) for p in t.parameters]))


_CHECKS: dict[type, Callable[[Any, Any], Type]] = {
    Literal: _Checker._literal,
    Ident: _Checker._ident,
    Select: _Checker._select,
    Call: _Checker._call,
    List: _Checker._list,
    Map: _Checker._map,
    Struct: _Checker._struct,
    Comprehension: _Checker._comprehension,
}
