"""The static cost: between how much and how much one evaluation costs, before any value is known.

The costs of calls come from the library's rows. This module adds what only the tree knows: the sizes of literals and of
what was computed from them, the sizes that the schema sets for a path, the loops.

Upstream: cel-go checker/cost.go, apiserver/pkg/cel/library/cost.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .ast import ACCUMULATOR, Call, Checked, Comprehension, Expr, Ident, List, Literal, Map, Select, Struct
from .estimates import LARGEST, ONE, UNKNOWN, ZERO, CallEstimate, Range, Static
from .schema import Declared
from .types import Form, Type

Path = tuple[str, ...]

_LIST_COST = Range(10, 10)
_MAP_COST = Range(30, 30)
_STRUCT_COST = Range(40, 40)
_NONE_YET = Range(LARGEST, 0)
_COUNTED_SELECTS = frozenset({Form.MAP, Form.STRUCT, Form.PARAMETER})
_SCALARS = frozenset({"bool", "double", "int", "uint"})
_ADDITIONS = frozenset({"add_string", "add_bytes", "add_list"})
_INDEXES = {"index_list": "@items", "index_map": "@values"}


class _Entries(NamedTuple):
    """The sizes of a container's keys and values; `form` is LIST or MAP."""

    form: Form
    key: Range
    value: Range

    def union(self, other: _Entries | None) -> _Entries | None:
        if other is None:
            return None
        return _Entries(self.form, self.key.union(other.key), self.value.union(other.value))


class _Local(NamedTuple):
    """A loop's variable: where its values are from, and what is known of their sizes."""

    path: Path
    size: Range | None
    entries: _Entries | None


class _Operand:
    """What a row's static cost may ask of a target or an argument (estimates.Operand)."""

    __slots__ = ("_estimator", "computed", "literal", "path", "type")

    def __init__(self, estimator: _Estimator, path: Path, t: Type, computed: Range | None, literal: Any) -> None:
        self._estimator = estimator
        self.path = path
        self.type = t
        self.computed = computed
        self.literal = literal

    @property
    def size(self) -> Range:
        if self.computed is not None:
            return self.computed
        return self._estimator.declared_size(self.path) or UNKNOWN

    @property
    def element(self) -> _Operand | None:
        if not self.type.parameters:
            return None
        path = (*self.path, "@items") if self.path else ()
        return _Operand(self._estimator, path, self.type.parameters[0], None, None)


def estimate(checked: Checked, statics: Mapping[str, Static | None], root: Declared | None = None) -> Range:
    """The least and the greatest cost of a checked expression.

    `statics` has the static costs of overloads by id (None for a cost of 1); `root` is the schema of `self`.
    """
    return _Estimator(checked, statics, root).cost(checked.expression)


class _Estimator:
    def __init__(self, checked: Checked, statics: Mapping[str, Static | None], root: Declared | None) -> None:
        self._types = checked.types
        self._references = checked.references
        self._statics = statics
        self._root = root
        self._locals: dict[str, list[_Local]] = {}
        self._paths: dict[int, Path] = {}
        self._sizes: dict[int, Range] = {}
        self._entries: dict[int, _Entries] = {}

    def cost(self, node: Expr) -> Range:
        """The cost of a node with all below it."""
        return _COSTS[type(node)](self, node)

    # Sizes

    def declared_size(self, path: Path) -> Range | None:
        """What the schema says about a path's values."""
        if self._root is None or not path:
            return None
        declared = self._root.at(path[1:])
        return None if declared is None else Range(0, declared.largest)

    def _local(self, node: Expr) -> _Local | None:
        if type(node) is not Ident:
            return None
        stack = self._locals.get(node.name)
        return stack[-1] if stack else None

    def _path(self, node: Expr) -> Path:
        local = self._local(node)
        if local is not None:
            return local.path
        return self._paths.get(node.id, ())

    def _size(self, node: Expr) -> Range | None:
        """The size of a node's value if anything is known of it."""
        known = self._sizes.get(node.id)
        if known is not None:
            return known
        literal = _literal_size(node)
        if literal is not None:
            return literal
        declared = self.declared_size(self._path(node))
        if declared is not None:
            self._sizes[node.id] = declared
            return declared
        if _is_scalar(self._types[node.id]):
            return ONE
        local = self._local(node)
        return None if local is None else local.size

    def _size_or_unknown(self, node: Expr) -> Range:
        return self._size(node) or UNKNOWN

    def _entry_sizes(self, node: Expr) -> _Entries | None:
        known = self._entries.get(node.id)
        if known is not None:
            return known
        local = self._local(node)
        return None if local is None else local.entries

    def _set_size(self, node: Expr, size: Range | None) -> None:
        if size is not None:
            self._sizes[node.id] = size

    def _set_entries(self, node: Expr, entries: _Entries | None) -> None:
        if entries is not None:
            self._entries[node.id] = entries

    def _copy_sizes(self, node: Expr, source: Expr) -> None:
        self._set_size(node, self._size(source))
        self._set_entries(node, self._entry_sizes(source))

    def _operand(self, node: Expr) -> _Operand:
        path = self._path(node)
        if path and path[0] == ACCUMULATOR:
            path = ()
        literal = node.value if type(node) is Literal else None
        return _Operand(self, path, self._types[node.id], self._size(node), literal)

    # Nodes

    def _literal(self, node: Literal) -> Range:
        return ZERO

    def _ident(self, node: Ident) -> Range:
        local = self._local(node)
        self._paths[node.id] = (node.name,) if local is None else local.path
        return ONE

    def _select(self, node: Select) -> Range:
        reference = self._references.get(node.id)
        if reference is not None and reference.name:
            self._paths[node.id] = (reference.name,)
            return ONE
        cost = self.cost(node.operand)
        if node.test_only:
            return cost
        if self._types[node.operand.id].form in _COUNTED_SELECTS:
            cost = cost.plus(ONE)
        self._paths[node.id] = (*self._path(node.operand), node.field)
        return cost

    def _list(self, node: List) -> Range:
        cost = _LIST_COST
        value = _NONE_YET if node.elements else ZERO
        for element in node.elements:
            cost = cost.plus(self.cost(element))
            value = value.union(self._size_or_unknown(element))
        self._entries[node.id] = _Entries(Form.LIST, ONE, value)
        return cost

    def _map(self, node: Map) -> Range:
        cost = _MAP_COST
        key = _NONE_YET if node.entries else ZERO
        value = key
        for entry in node.entries:
            cost = cost.plus(self.cost(entry.key)).plus(self.cost(entry.value))
            key = key.union(self._size_or_unknown(entry.key))
            value = value.union(self._size_or_unknown(entry.value))
        self._entries[node.id] = _Entries(Form.MAP, key, value)
        return cost

    def _struct(self, node: Struct) -> Range:
        cost = _STRUCT_COST
        for field in node.fields:
            cost = cost.plus(self.cost(field.value))
        return cost

    # Calls

    def _call(self, node: Call) -> Range:
        if node.function == "dyn":
            cost = self.cost(node.args[0])
            self._copy_sizes(node, node.args[0])
            return cost.plus(ONE)
        costs: list[Range] = []
        operands: list[_Operand] = []
        for arg in node.args:
            costs.append(self.cost(arg))
            operands.append(self._operand(arg))
        if node.target is None:
            return self._overloads(node, None, operands, costs)
        target_cost = self.cost(node.target)
        return target_cost.plus(self._overloads(node, self._operand(node.target), operands, costs))

    def _overloads(
        self, node: Call, target: _Operand | None, operands: Sequence[_Operand], costs: Sequence[Range]
    ) -> Range:
        """The range over all overloads that the checker found possible."""
        cost = _NONE_YET
        size: Range | None = None
        for overload in self._references[node.id].overloads:
            estimated = self._overload(node, overload, target, operands, costs)
            cost = cost.union(estimated.cost)
            if estimated.size is not None:
                size = estimated.size if size is None else size.union(estimated.size)
            if overload in _INDEXES:
                entries = self._entry_sizes(node.args[0])
                size = None if entries is None else entries.value
                self._paths[node.id] = (*self._path(node.args[0]), _INDEXES[overload])
            if size is None:
                size = self._size(node)
        self._set_size(node, size)
        return cost

    def _overload(
        self, node: Call, overload: str, target: _Operand | None, operands: Sequence[_Operand], costs: Sequence[Range]
    ) -> CallEstimate:
        special = _SPECIAL.get(overload)
        if special is not None:
            return special(self, node, costs)
        if overload in _ADDITIONS:
            self._add_entries(node)
        static = self._statics.get(overload)
        estimated = CallEstimate(ONE) if static is None else static(target, operands)
        cost = estimated.cost
        for argument in costs:
            cost = cost.plus(argument)
        return CallEstimate(cost, estimated.size)

    def _logical(self, node: Call, costs: Sequence[Range]) -> CallEstimate:
        left, right = costs
        return CallEstimate(Range(left.min, left.plus(right).max))

    def _conditional(self, node: Call, costs: Sequence[Range]) -> CallEstimate:
        condition, if_true, if_false = costs
        _, first, second = node.args
        entries = self._entry_sizes(first)
        if entries is not None:
            self._set_entries(node, entries.union(self._entry_sizes(second)))
        size = self._size_or_unknown(first).union(self._size_or_unknown(second))
        return CallEstimate(condition.plus(if_true.union(if_false)), size)

    def _add_entries(self, node: Call) -> None:
        left, right = node.args
        entries = self._entry_sizes(left)
        if entries is not None:
            self._set_entries(node, entries.union(self._entry_sizes(right)))

    # Loops

    def _comprehension(self, node: Comprehension) -> Range:
        if node.macro == "bind":
            return self._bind(node)
        cost = self.cost(node.range).plus(self.cost(node.init))
        self._push_value(node.accu_var, node.init)
        self._push_variables(node)
        loop = self.cost(node.condition)
        loop = self.cost(node.step).plus(loop)
        self._pop(node.iter_var)
        if node.iter_var2 is not None:
            self._pop(node.iter_var2)
        cost = cost.plus(self.cost(node.result))
        self._pop(node.accu_var)
        count = self._size_or_unknown(node.range)
        self._set_result_size(node, count)
        return cost.plus(count.times(loop))

    def _set_result_size(self, node: Comprehension, count: Range) -> None:
        if type(node.init) is Literal:
            self._set_size(node, self._size(node.init))
        if type(node.init) is List or type(node.init) is Map:
            self._set_size(node, count)
            self._set_entries(node, self._entry_sizes(node.step))

    def _bind(self, node: Comprehension) -> Range:
        cost = self.cost(node.range).plus(self.cost(node.init))
        self._push_value(node.accu_var, node.init)
        cost = cost.plus(self.cost(node.result))
        self._pop(node.accu_var)
        self._copy_sizes(node, node.result)
        return cost

    def _push_value(self, name: str, value: Expr) -> None:
        """A variable that stands for an expression's value."""
        local = _Local(self._path(value), self._size(value), self._entry_sizes(value))
        self._locals.setdefault(name, []).append(local)

    def _push_variables(self, node: Comprehension) -> None:
        """The variables of a loop: an item or a key; or an index and an item, a key and a value."""
        entries = self._entry_sizes(node.range)
        form = self._types[node.range.id].form if entries is None else entries.form
        key = None if entries is None else entries.key
        value = None if entries is None else entries.value
        if node.iter_var2 is not None:
            self._push_part(node, node.iter_var, "@indices" if form is Form.LIST else "@keys", key)
            self._push_part(node, node.iter_var2, "@items" if form is Form.LIST else "@values", value)
        elif form is Form.LIST:
            self._push_part(node, node.iter_var, "@items", value)
        else:
            self._push_part(node, node.iter_var, "@keys", key)

    def _push_part(self, node: Comprehension, name: str, part: str, size: Range | None) -> None:
        path = (*self._path(node.range), part)
        self._locals.setdefault(name, []).append(_Local(path, size, None))

    def _pop(self, name: str) -> None:
        self._locals[name].pop()


def _literal_size(node: Expr) -> Range | None:
    """The size of what is written out."""
    if type(node) is Literal:
        size = len(node.value) if isinstance(node.value, (str, bytes)) else 1
    elif type(node) is List:
        size = len(node.elements)
    elif type(node) is Map:
        size = len(node.entries)
    else:
        return None
    return Range(size, size)


def _is_scalar(t: Type) -> bool:
    if t.is_optional:
        return bool(t.parameters) and _is_scalar(t.parameters[0])
    return t.form is Form.TIME or (t.form in (Form.SCALAR, Form.WRAPPER) and t.name in _SCALARS)


_SPECIAL: dict[str, Callable[[_Estimator, Call, Sequence[Range]], CallEstimate]] = {
    "logical_and": _Estimator._logical,
    "logical_or": _Estimator._logical,
    "conditional": _Estimator._conditional,
}
_COSTS: dict[type, Callable[[_Estimator, Any], Range]] = {
    Literal: _Estimator._literal,
    Ident: _Estimator._ident,
    Select: _Estimator._select,
    Call: _Estimator._call,
    List: _Estimator._list,
    Map: _Estimator._map,
    Struct: _Estimator._struct,
    Comprehension: _Estimator._comprehension,
}
