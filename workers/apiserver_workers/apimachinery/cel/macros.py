"""Macros: calls that the parser replaces with other expressions.

A macro's expansion is upstream's, node by node, because types, costs and error positions are defined on it. Every node
that an expansion makes has the position of the call.

Upstream: cel-go parser/macro.go, ext/comprehensions.go, ext/lists.go (sortBy), ext/bindings.go, cel/library.go (optMap).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .ast import (
    ACCUMULATOR,
    Call,
    Comprehension,
    Expr,
    Ident,
    List,
    Literal,
    Map,
    Select,
)
from .copies import copy
from .parser import Macro, MacroFault, Parser
from .types import BOOL, INT, Type

_OLD_ACCUMULATOR = "__result__"
_UNUSED = "#unused"
_SORT_INPUT = "@__sortBy_input__"
_MAP_INSERT = "cel.@mapInsert"


class _Maker:
    """Makes the nodes of one expansion."""

    __slots__ = ("_parser", "_position")

    def __init__(self, parser: Parser, position: int) -> None:
        self._parser = parser
        self._position = position

    def literal(self, value: bool | int, literal_type: Type) -> Literal:
        return Literal(self._parser.id(), self._position, value, literal_type)

    def ident(self, name: str = ACCUMULATOR) -> Ident:
        return Ident(self._parser.id(), self._position, name)

    def call(self, function: str, *args: Expr, target: Expr | None = None) -> Call:
        return Call(self._parser.id(), self._position, target, function, list(args))

    def list(self, *elements: Expr) -> List:
        return List(self._parser.id(), self._position, list(elements))

    def map(self) -> Map:
        return Map(self._parser.id(), self._position, [])

    def loop(self, macro: str, variables: Sequence[str], source: Expr, arguments: Sequence[Expr], **parts: Any) -> Expr:
        """A comprehension over `source`; the parts are accu_var, init, condition, step, result."""
        second = variables[1] if len(variables) == 2 else None
        return Comprehension(
            id=self._parser.id(),
            position=self._position,
            iter_var=variables[0],
            iter_var2=second,
            range=source,
            macro=macro,
            arguments=list(arguments),
            **parts,
        )

    def bind(self, name: str, value: Expr, result: Expr) -> Expr:
        """The result, in which the name stands for the value."""
        return self.loop(
            "bind",
            [_UNUSED],
            self.list(),
            [value, result],
            accu_var=name,
            init=value,
            condition=self.literal(False, BOOL),
            step=self.ident(name),
            result=result,
        )

    def copy(self, node: Expr) -> Expr:
        """The same expression with new ids and the old positions."""
        return copy(node, self._parser)


# Variables


def _variable(node: Expr, message: str) -> str:
    """The name of a loop's only variable."""
    if type(node) is not Ident:
        raise MacroFault(node.position, message)
    _check_accumulator(node)
    return node.name


def _check_accumulator(node: Ident) -> None:
    if node.name == ACCUMULATOR or node.name == _OLD_ACCUMULATOR:
        raise MacroFault(node.position, "iteration variable overwrites accumulator variable")


def _variables(nodes: Sequence[Expr]) -> list[str]:
    """The names of a loop's two variables, checked in upstream's order."""
    names: list[Ident] = []
    for node in nodes:
        if type(node) is not Ident:
            raise MacroFault(node.position, "argument must be a simple name")
        names.append(node)
    if names[0].name == names[1].name:
        raise MacroFault(names[1].position, f"duplicate variable name: {names[0].name}")
    for name in names:
        _check_accumulator(name)
    return [name.name for name in names]


def _quantified(args: list[Expr]) -> tuple[list[str], Expr]:
    """The variables and the predicate of all, exists and exists_one."""
    if len(args) == 3:
        return _variables(args[:2]), args[2]
    return [_variable(args[0], "argument must be a simple name")], args[1]


# The macros


def _has(parser: Parser, position: int, target: Expr | None, args: list[Expr]) -> Expr:
    tested = args[0]
    if type(tested) is not Select:
        raise MacroFault(tested.position, "invalid argument to has() macro")
    return Select(parser.id(), position, tested.operand, tested.field, True)


def _all(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variables, predicate = _quantified(args)
    make = _Maker(parser, position)
    return make.loop(
        "all",
        variables,
        target,
        [predicate],
        accu_var=ACCUMULATOR,
        init=make.literal(True, BOOL),
        condition=make.call("@not_strictly_false", make.ident()),
        step=make.call("_&&_", make.ident(), predicate),
        result=make.ident(),
    )


def _exists(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variables, predicate = _quantified(args)
    make = _Maker(parser, position)
    return make.loop(
        "exists",
        variables,
        target,
        [predicate],
        accu_var=ACCUMULATOR,
        init=make.literal(False, BOOL),
        condition=make.call("@not_strictly_false", make.call("!_", make.ident())),
        step=make.call("_||_", make.ident(), predicate),
        result=make.ident(),
    )


def _exists_one(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variables, predicate = _quantified(args)
    make = _Maker(parser, position)
    hit = make.call("_+_", make.ident(), make.literal(1, INT))
    return make.loop(
        "exists_one",
        variables,
        target,
        [predicate],
        accu_var=ACCUMULATOR,
        init=make.literal(0, INT),
        condition=make.literal(True, BOOL),
        step=make.call("_?_:_", predicate, hit, make.ident()),
        result=make.call("_==_", make.ident(), make.literal(1, INT)),
    )


def _collect(make: _Maker, macro: str, variables: list[str], target: Expr, arguments: list[Expr], item: Expr) -> Expr:
    """A list of the items whose filter holds; a filter stands first of several arguments, or is the only one."""
    step: Expr = make.call("_+_", make.ident(), make.list(item))
    if len(arguments) == 2 or macro == "filter":
        step = make.call("_?_:_", arguments[0], step, make.ident())
    return make.loop(
        macro,
        variables,
        target,
        arguments,
        accu_var=ACCUMULATOR,
        init=make.list(),
        condition=make.literal(True, BOOL),
        step=step,
        result=make.ident(),
    )


def _map(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variable = _variable(args[0], "argument is not an identifier")
    return _collect(_Maker(parser, position), "map", [variable], target, args[1:], args[-1])


def _filter(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variable = _variable(args[0], "argument is not an identifier")
    return _collect(_Maker(parser, position), "filter", [variable], target, args[1:], args[0])


def _transform_list(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variables = _variables(args[:2])
    return _collect(_Maker(parser, position), "transformList", variables, target, args[2:], args[-1])


def _transform_map(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variables = _variables(args[:2])
    make = _Maker(parser, position)
    step = make.call(_MAP_INSERT, make.ident(), make.ident(variables[0]), args[-1])
    return _insert(make, "transformMap", variables, target, args[2:], step)


def _transform_map_entry(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    variables = _variables(args[:2])
    make = _Maker(parser, position)
    step = make.call(_MAP_INSERT, make.ident(), args[-1])
    return _insert(make, "transformMapEntry", variables, target, args[2:], step)


def _insert(make: _Maker, macro: str, variables: list[str], target: Expr, arguments: list[Expr], step: Expr) -> Expr:
    """A map to which each step whose filter holds adds."""
    if len(arguments) == 2:
        step = make.call("_?_:_", arguments[0], step, make.ident())
    return make.loop(
        macro,
        variables,
        target,
        arguments,
        accu_var=ACCUMULATOR,
        init=make.map(),
        condition=make.literal(True, BOOL),
        step=step,
        result=make.ident(),
    )


def _sort_by(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    if not isinstance(target, (List, Select, Ident, Comprehension, Call)):
        message = "sortBy can only be applied to a list, identifier, comprehension, call or select expression"
        raise MacroFault(target.position, message)
    make = _Maker(parser, position)
    keys = _map(parser, position, make.ident(_SORT_INPUT), args)
    call = make.call("@sortByAssociatedKeys", keys, target=make.ident(_SORT_INPUT))
    return make.bind(_SORT_INPUT, target, call)


def _opt_variable(node: Expr, macro: str) -> str:
    if type(node) is not Ident:
        raise MacroFault(node.position, f"{macro}() variable name must be a simple identifier")
    return node.name


def _opt_map(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    name = _opt_variable(args[0], "optMap")
    make = _Maker(parser, position)
    value = make.call("value", target=make.copy(target))
    mapped = make.call("optional.of", make.bind(name, value, args[1]))
    return make.call("_?_:_", make.call("hasValue", target=target), mapped, make.call("optional.none"))


def _opt_flat_map(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr:
    name = _opt_variable(args[0], "optFlatMap")
    make = _Maker(parser, position)
    value = make.call("value", target=make.copy(target))
    mapped = make.bind(name, value, args[1])
    return make.call("_?_:_", make.call("hasValue", target=target), mapped, make.call("optional.none"))


def _bind(parser: Parser, position: int, target: Any, args: list[Expr]) -> Expr | None:
    """cel.bind(name, value, result); another target than `cel` is an ordinary call."""
    if type(target) is not Ident or target.name != "cel":
        return None
    if type(args[0]) is not Ident:
        raise MacroFault(args[0].position, "cel.bind() variable names must be simple identifiers")
    return _Maker(parser, position).bind(args[0].name, args[1], args[2])


STANDARD: dict[tuple[str, int, bool], Macro] = {
    ("has", 1, False): _has,
    ("all", 2, True): _all,
    ("exists", 2, True): _exists,
    ("exists_one", 2, True): _exists_one,
    ("map", 2, True): _map,
    ("map", 3, True): _map,
    ("filter", 2, True): _filter,
}
OPTIONAL: dict[tuple[str, int, bool], Macro] = {
    ("optMap", 2, True): _opt_map,
    ("optFlatMap", 2, True): _opt_flat_map,
}
TWO_VARIABLES: dict[tuple[str, int, bool], Macro] = {
    ("all", 3, True): _all,
    ("exists", 3, True): _exists,
    ("exists_one", 3, True): _exists_one,
    ("existsOne", 3, True): _exists_one,
    ("transformList", 3, True): _transform_list,
    ("transformList", 4, True): _transform_list,
    ("transformMap", 3, True): _transform_map,
    ("transformMap", 4, True): _transform_map,
    ("transformMapEntry", 3, True): _transform_map_entry,
    ("transformMapEntry", 4, True): _transform_map_entry,
}
SORT: dict[tuple[str, int, bool], Macro] = {("sortBy", 2, True): _sort_by}
BIND: dict[tuple[str, int, bool], Macro] = {("bind", 3, True): _bind}
