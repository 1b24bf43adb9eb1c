"""Copies of expressions, for macros that use an argument twice.

A macro of a macro of a macro copies copies: without a limit an expression of a hundred characters has millions of nodes.

Upstream: cel-go parser/helper.go (exprHelper.Copy), which has no limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .ast import Call, Comprehension, Entry, Expr, Field, Ident, List, Literal, Map, Select, Struct
from .parser import Parser, TooDeep

_MOST_COPIED = 20_000


def copy(node: Expr, parser: Parser) -> Expr:
    """The same expression with new ids and the old positions. Raises TooDeep if too much is copied."""
    return _Copier(parser).copy(node)


class _Copier:
    """One copy. `_copied` has the copies by the ids of the originals: a loop's arguments are also in its step."""

    __slots__ = ("_copied", "_parser")

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._copied: dict[int, Expr] = {}

    def copy(self, node: Expr) -> Expr:
        self._parser.copied += 1
        if self._parser.copied > _MOST_COPIED:
            raise TooDeep
        made = _COPIES[type(node)](self, node, self._parser.id())
        self._copied[node.id] = made
        return made

    def _ident(self, node: Ident, new_id: int) -> Expr:
        return Ident(new_id, node.position, node.name)

    def _literal(self, node: Literal, new_id: int) -> Expr:
        return Literal(new_id, node.position, node.value, node.type)

    def _select(self, node: Select, new_id: int) -> Expr:
        return Select(new_id, node.position, self.copy(node.operand), node.field, node.test_only)

    def _call(self, node: Call, new_id: int) -> Expr:
        target = None if node.target is None else self.copy(node.target)
        return Call(new_id, node.position, target, node.function, [self.copy(arg) for arg in node.args])

    def _list(self, node: List, new_id: int) -> Expr:
        elements = [self.copy(element) for element in node.elements]
        return List(new_id, node.position, elements, node.optional_indices)

    def _map(self, node: Map, new_id: int) -> Expr:
        return Map(new_id, node.position, [self._entry(entry) for entry in node.entries])

    def _entry(self, entry: Entry) -> Entry:
        key = self.copy(entry.key)
        return Entry(self._parser.id(), entry.position, key, self.copy(entry.value), entry.optional)

    def _struct(self, node: Struct, new_id: int) -> Expr:
        return Struct(new_id, node.position, node.type_name, [self._field(field) for field in node.fields])

    def _field(self, field: Field) -> Field:
        return Field(self._parser.id(), field.position, field.name, self.copy(field.value), field.optional)

    def _loop(self, node: Comprehension, new_id: int) -> Expr:
        return Comprehension(
            id=new_id,
            position=node.position,
            iter_var=node.iter_var,
            iter_var2=node.iter_var2,
            range=self.copy(node.range),
            accu_var=node.accu_var,
            init=self.copy(node.init),
            condition=self.copy(node.condition),
            step=self.copy(node.step),
            result=self.copy(node.result),
            macro=node.macro,
            arguments=[self._copied[argument.id] for argument in node.arguments],
        )


_COPIES: dict[type, Callable[[_Copier, Any, int], Expr]] = {
    Ident: _Copier._ident,
    Literal: _Copier._literal,
    Select: _Copier._select,
    Call: _Copier._call,
    List: _Copier._list,
    Map: _Copier._map,
    Struct: _Copier._struct,
    Comprehension: _Copier._loop,
}
