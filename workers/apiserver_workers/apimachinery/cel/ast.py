"""The syntax tree of an expression, and what the checker finds out about it.

Nodes are small and mutable: the checker replaces a node's inside in place (`a.b` that names one variable becomes an
identifier), so a parent never has to be rebuilt. An id is unique in one tree; a position is an offset in code points.

A macro becomes what upstream makes of it (mostly a Comprehension), because checking, costs and error positions are
defined on that. A Comprehension also keeps the macro's name and arguments: the program runs a native loop instead.

Upstream: cel-go common/ast/expr.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from apiserver_workers.apimachinery.cel.types import Type

ACCUMULATOR = "@result"


@dataclass(slots=True)
class Literal:
    """A constant: `value` is a Python bool, int (for int and uint), float, str, bytes or None; `type` says which."""

    id: int
    position: int
    value: bool | int | float | str | bytes | None
    type: Type


@dataclass(slots=True)
class Ident:
    """A variable, or a name of a type. After checking: the whole qualified name (`kubernetes.Quantity`)."""

    id: int
    position: int
    name: str


@dataclass(slots=True)
class Select:
    """operand.field, or has(operand.field) if `test_only`.

    If the checker gave the node a reference with a name, then the whole chain (`authorizer.requestResource`) is one
    variable or one type's name, and the operand means nothing.
    """

    id: int
    position: int
    operand: Expr
    field: str
    test_only: bool = False


@dataclass(slots=True)
class Call:
    """A function, operator (`_+_`, `_?_:_`, `_[_]`, `_?._`, `_[?_]`, `!_`, `-_`, `@in`) or member function (target)."""

    id: int
    position: int
    target: Expr | None
    function: str
    args: list[Expr]


@dataclass(slots=True)
class List:
    """[a, ?b]: `optional_indices` has the indices of the elements with a question mark."""

    id: int
    position: int
    elements: list[Expr]
    optional_indices: tuple[int, ...] = ()


@dataclass(slots=True)
class Entry:
    """key: value in a map."""

    id: int
    position: int
    key: Expr
    value: Expr
    optional: bool = False


@dataclass(slots=True)
class Map:
    """{key: value, ?key: value}"""

    id: int
    position: int
    entries: list[Entry]


@dataclass(slots=True)
class Field:
    """name: value in a struct."""

    id: int
    position: int
    name: str
    value: Expr
    optional: bool = False


@dataclass(slots=True)
class Struct:
    """Type{name: value}"""

    id: int
    position: int
    type_name: str
    fields: list[Field]


@dataclass(slots=True)
class Comprehension:
    """A loop that folds `range` into `accu_var`, and the macro that it was.

    `macro` is one of all, exists, exists_one, map, filter, transformList, transformMap, transformMapEntry and bind;
    `existsOne` is normalised to exists_one. `arguments` are the macro's arguments after its variables, in the order of
    the source; they are the very nodes that also stand in `step`, so the checker's types hold for them:

    * all, exists, exists_one: [predicate]
    * map: [transform] or [filter, transform]; filter: [predicate]
    * transformList, transformMap, transformMapEntry: [transform] or [filter, transform]
    * bind: [value, result], with `iter_var` unused, the name in `accu_var`, an empty list in `range`
    """

    id: int
    position: int
    iter_var: str
    iter_var2: str | None
    range: Expr
    accu_var: str
    init: Expr
    condition: Expr
    step: Expr
    result: Expr
    macro: str
    arguments: list[Expr] = field(default_factory=list)


Expr = Literal | Ident | Select | Call | List | Map | Struct | Comprehension


def children(node: Expr) -> list[Expr]:
    """The expressions directly below a node."""
    if isinstance(node, Select):
        return [node.operand]
    if isinstance(node, Call):
        return node.args if node.target is None else [node.target, *node.args]
    if isinstance(node, List):
        return node.elements
    if isinstance(node, Map):
        return [part for entry in node.entries for part in (entry.key, entry.value)]
    if isinstance(node, Struct):
        return [entry.value for entry in node.fields]
    if isinstance(node, Comprehension):
        return [node.range, node.init, node.condition, node.step, node.result]
    return []


def walk(expression: Expr) -> Iterator[Expr]:
    """All nodes of a tree, each before those below it."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(reversed(children(node)))


@dataclass(slots=True)
class Reference:
    """What a node refers to: a variable (or a type's name), or a function's overloads that the checker found possible."""

    name: str = ""
    overloads: tuple[str, ...] = ()


@dataclass(slots=True)
class Checked:
    """A checked expression.

    `types` has the type of every expression by its id (parameters that nothing decided are dyn); `references` has the
    variables and overloads by the same ids; `type` is the type of the whole.
    """

    source: str
    expression: Expr
    types: dict[int, Type]
    references: dict[int, Reference]

    @property
    def type(self) -> Type:
        return self.types[self.expression.id]
