"""Tokens to a syntax tree, by recursive descent with one function for each rule of the grammar.

The parser counts how deep each rule and each kind of node is nested, as upstream does, and refuses what is deeper than
250. So the recursion of everything that walks a tree is bounded.

A source that is not in the grammar raises SyntaxFailure without words: the words come from syntax.py. Faults that the
grammar does not know (a reserved name, a number that is too large, a macro's arguments) are collected in `faults`.

Upstream: cel-go parser/parser.go, parser/helper.go.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from .ast import Call, Entry, Expr, Field, Ident, List, Literal, Map, Select, Struct
from .faults import NOWHERE, Fault
from .lexer import EOF, ESCAPED_IDENT, IDENT, Token
from .literals import READERS, SIGNED, read_literal
from .types import NULL, STRING

DEEPEST = 250
# A level of nesting takes at most ten frames in the parser, fewer in what walks the tree.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 16_000))

RESERVED = frozenset(
    [
        "as",
        "break",
        "const",
        "continue",
        "else",
        "false",
        "for",
        "function",
        "if",
        "import",
        "in",
        "let",
        "loop",
        "package",
        "namespace",
        "null",
        "return",
        "true",
        "var",
        "void",
        "while",
    ]
)
_RELATIONS = {"<": "_<_", "<=": "_<=_", ">=": "_>=_", ">": "_>_", "==": "_==_", "!=": "_!=_", "in": "@in"}
_CALCULATIONS = {"*": ("_*_", 2), "/": ("_/_", 2), "%": ("_%_", 2), "+": ("_+_", 1), "-": ("_-_", 1)}
Item = TypeVar("Item")

# (parser, position of the call, target (None of a global function), arguments) -> the expansion, or None if the call is
# an ordinary call.
Macro = Callable[["Parser", int, Any, list[Expr]], Expr | None]
# A macro's key is its name, its number of arguments and whether it is a member function.
Macros = Mapping[tuple[str, int, bool], Macro]


class SyntaxFailure(Exception):
    """The source is not in the grammar."""


class MacroFault(Exception):
    """A macro's arguments are not what it needs."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(position, message)


@dataclass(frozen=True, slots=True)
class Syntax:
    """What an environment's version adds to the grammar."""

    macros: Macros = field(default_factory=dict)
    optional: bool = True
    escaped_names: bool = False


class TooDeep(Exception):
    """A rule or a node is nested deeper than DEEPEST."""


class Parser:
    """One parse: a position in the tokens, the next id, the faults so far, and how deep each counted rule is nested."""

    __slots__ = (
        "_calculations",
        "_exprs",
        "_height",
        "_members",
        "_relations",
        "_syntax",
        "_tokens",
        "copied",
        "faults",
        "next_id",
        "position",
    )

    def __init__(self, tokens: list[Token], syntax: Syntax) -> None:
        self._tokens = tokens
        self._syntax = syntax
        self.position = 0
        self._exprs = 0
        self._relations = 0
        self._calculations = 0
        self._members = 0
        # How deep the expression that was parsed last is nested, counted in nodes that have a recursive rule.
        self._height = 0
        self.next_id = 0
        # How many nodes macros have copied (copies.py).
        self.copied = 0
        self.faults: list[Fault] = []

    def parse(self) -> Expr:
        """The whole source as one expression. Raises SyntaxFailure."""
        try:
            tree = self._expr()
        except TooDeep:
            self.faults = [Fault(NOWHERE, f"expression recursion limit exceeded: {DEEPEST}")]
            return self.error(0)
        self._expect(EOF)
        if self._height > DEEPEST:
            self.faults = [Fault(NOWHERE, "max recursion depth exceeded")]
        return tree

    def id(self) -> int:
        """A new id."""
        self.next_id += 1
        return self.next_id

    def error(self, position: int, message: str | None = None) -> Literal:
        """A node in place of what is wrong."""
        if message is not None:
            self.faults.append(Fault(position, message))
        return Literal(self.id(), position, None, NULL)

    # Tokens

    def _fail(self) -> NoReturn:
        raise SyntaxFailure

    def _accept(self, token_type: str) -> Token | None:
        token = self._tokens[self.position]
        if token.type != token_type:
            return None
        self.position += 1
        return token

    def _expect(self, token_type: str) -> Token:
        token = self._tokens[self.position]
        if token.type != token_type:
            self._fail()
        self.position += 1
        return token

    # Rules

    def _expr(self) -> Expr:
        self._exprs += 1
        if self._exprs > DEEPEST:
            raise TooDeep
        condition = self._disjunction()
        operator = self._accept("?")
        if operator is None:
            self._exprs -= 1
            return condition
        height = self._height
        if_true = self._disjunction()
        height = max(height, self._height)
        self._expect(":")
        if_false = self._expr()
        self._exprs -= 1
        self._height = max(height, self._height) + 1
        return self._call(operator.position, "_?_:_", [condition, if_true, if_false])

    def _disjunction(self) -> Expr:
        first = self._conjunction()
        if self._tokens[self.position].type != "||":
            return first
        return self._chain(first, "||", self._conjunction)

    def _conjunction(self) -> Expr:
        first = self._relation()
        if self._tokens[self.position].type != "&&":
            return first
        return self._chain(first, "&&", self._relation)

    def _chain(self, first: Expr, operator: str, part: Callable[[], Expr]) -> Expr:
        """Terms with the same logical operator between them, as a balanced tree."""
        terms = [first]
        positions: list[int] = []
        height = self._height
        while (token := self._accept(operator)) is not None:
            positions.append(token.position)
            terms.append(part())
            height = max(height, self._height)
        self._height = height
        return self._balanced(f"_{operator}_", terms, positions, 0, len(positions) - 1)

    def _balanced(self, function: str, terms: list[Expr], positions: list[int], low: int, high: int) -> Expr:
        middle = (low + high + 1) // 2
        left = terms[middle] if middle == low else self._balanced(function, terms, positions, low, middle - 1)
        right = terms[middle + 1] if middle == high else self._balanced(function, terms, positions, middle + 1, high)
        return Call(self.id(), positions[middle], None, function, [left, right])

    def _relation(self, operand: bool = False) -> Expr:
        self._relations += 1
        if self._relations > DEEPEST:
            raise TooDeep
        steps = 1
        left = self._calculation(1)
        while not operand and (function := _RELATIONS.get(self._tokens[self.position].type)) is not None:
            self._relations += 1
            steps += 1
            if self._relations > DEEPEST:
                raise TooDeep
            position = self._advance().position
            height = self._height
            right = self._relation(True)
            self._height = max(height, self._height) + 1
            left = self._call(position, function, [left, right])
        self._relations -= steps
        return left

    def _calculation(self, least: int) -> Expr:
        """Operands with `*`, `/`, `%`, `+`, `-` between them, as far as the operators bind at least this strongly."""
        self._calculations += 1
        if self._calculations > DEEPEST:
            raise TooDeep
        steps = 1
        left = self._unary()
        while (operator := _CALCULATIONS.get(self._tokens[self.position].type)) is not None and operator[1] >= least:
            self._calculations += 1
            steps += 1
            if self._calculations > DEEPEST:
                raise TooDeep
            position = self._advance().position
            height = self._height
            right = self._calculation(operator[1] + 1)
            self._height = max(height, self._height) + 1
            left = self._call(position, operator[0], [left, right])
        self._calculations -= steps
        return left

    def _unary(self) -> Expr:
        operator = self._tokens[self.position]
        if operator.type != "!" and operator.type != "-":
            return self.member()
        if operator.type == "-" and self._tokens[self.position + 1].type in SIGNED:
            return self.member()
        count = 0
        while self._accept(operator.type) is not None:
            count += 1
        operand = self.member()
        if count % 2 == 0:
            return operand
        return self._call(operator.position, f"{operator.type}_", [operand])

    def member(self) -> Expr:
        self._members += 1
        if self._members > DEEPEST:
            raise TooDeep
        steps = 1
        node = self._primary()
        while True:
            operator = self._tokens[self.position]
            step = _STEPS.get(operator.type)
            if step is None:
                break
            self._members += 1
            steps += 1
            if self._members > DEEPEST:
                raise TooDeep
            self.position += 1
            node = step(self, node, operator.position)
        self._members -= steps
        return node

    def _select(self, operand: Expr, position: int) -> Expr:
        """What follows a dot: a field, an optional field or a member function."""
        optional = self._accept("?") is not None
        name = self._tokens[self.position]
        if not optional and name.type == IDENT and self._tokens[self.position + 1].type == "(":
            return self._member_call(operand)
        self._height += 1
        text = self._escaped_name()
        if not optional:
            return Select(self.id(), position, operand, text)
        if not self._syntax.optional:
            return self.error(position, "unsupported syntax '.?'")
        field = Literal(self.id(), name.position, text, STRING)
        return Call(self.id(), position, None, "_?._", [operand, field])

    def _escaped_name(self) -> str:
        name = self._accept(IDENT)
        if name is not None:
            return name.text
        name = self._expect(ESCAPED_IDENT)
        if not self._syntax.escaped_names:
            self.error(name.position, "unsupported syntax: '`'")
        return name.text[1:-1]

    def _member_call(self, target: Expr) -> Expr:
        name = self._advance().text
        position = self._advance().position
        height = self._height
        args = self._arguments()
        self._height = max(height, self._height) + 1
        return self._expand(position, name, target, args) or Call(self.id(), position, target, name, args)

    def _index_of(self, operand: Expr, position: int) -> Expr:
        """What follows `[` after an operand."""
        optional = self._accept("?") is not None
        height = self._height
        index = self._expr()
        self._height = max(height, self._height) + 1
        self._expect("]")
        if optional and not self._syntax.optional:
            return self.error(position, "unsupported syntax '[?'")
        return Call(self.id(), position, None, "_[?_]" if optional else "_[_]", [operand, index])

    def _primary(self) -> Expr:
        token = self._tokens[self.position]
        rule = _PRIMARIES.get(token.type)
        if rule is None:
            self._fail()
        self._height = 0
        return rule(self, token)

    def _nested(self, token: Token) -> Expr:
        self.position += 1
        inner = self._expr()
        self._expect(")")
        return inner

    def _name(self, token: Token) -> Expr:
        """An identifier, a call of a global function or a struct, perhaps with a leading dot."""
        dot = self._accept(".")
        name = self._expect(IDENT)
        following = self._tokens[self.position].type
        if following == "{" or (following == "." and self._is_struct()):
            return self._struct(dot, name)
        if name.text in RESERVED:
            return self._reserved(token, name)
        prefix = "." if dot is not None else ""
        if following != "(":
            return Ident(self.id(), name.position, prefix + name.text)
        position = self._advance().position
        return self._call(position, prefix + name.text, self._arguments())

    def _reserved(self, token: Token, name: Token) -> Expr:
        """A name that is no identifier. If it is called, then faults of the arguments do not count."""
        fault = self.error(token.position, f"reserved identifier: {name.text}")
        if self._accept("(") is not None:
            count = len(self.faults)
            self._arguments()
            del self.faults[count:]
        return fault

    def _is_struct(self) -> bool:
        """Whether a brace follows a chain of names."""
        index = self.position
        tokens = self._tokens
        while tokens[index].type == "." and tokens[index + 1].type == IDENT:
            index += 2
        return tokens[index].type == "{"

    def _struct(self, dot: Token | None, name: Token) -> Expr:
        names = [name.text]
        while self._accept(".") is not None:
            names.append(self._advance().text)
        position = self._expect("{").position
        prefix = "." if dot is not None else ""
        fields = self._items("}", self._field)
        return Struct(self.id(), position, prefix + ".".join(names), fields)

    def _field(self) -> Field:
        start = self._tokens[self.position].position
        optional = self._accept("?") is not None
        name = self._escaped_name()
        colon = self._expect(":").position
        value = self._expr()
        self._check_optional(optional, start)
        return Field(self.id(), colon, name, value, optional)

    def _list(self, token: Token) -> Expr:
        self.position += 1
        elements = self._items("]", self._element)
        optional_indices = tuple(index for index, element in enumerate(elements) if element[1])
        return List(self.id(), token.position, [element[0] for element in elements], optional_indices)

    def _element(self) -> tuple[Expr, bool]:
        start = self._tokens[self.position].position
        optional = self._accept("?") is not None
        element = self._expr()
        self._check_optional(optional, start)
        return element, optional

    def _map(self, token: Token) -> Expr:
        self.position += 1
        return Map(self.id(), token.position, self._items("}", self._entry))

    def _entry(self) -> Entry:
        start = self._tokens[self.position].position
        optional = self._accept("?") is not None
        key = self._expr()
        height = self._height
        colon = self._expect(":").position
        value = self._expr()
        self._height = max(height, self._height)
        self._check_optional(optional, start)
        return Entry(self.id(), colon, key, value, optional)

    def _check_optional(self, optional: bool, position: int) -> None:
        if optional and not self._syntax.optional:
            self.error(position, "unsupported syntax '?'")

    def _arguments(self) -> list[Expr]:
        """Expressions up to the closing parenthesis."""
        self._height = 0
        args: list[Expr] = []
        if self._accept(")") is not None:
            return args
        height = 0
        while True:
            args.append(self._expr())
            height = max(height, self._height)
            if self._accept(",") is None:
                break
        self._height = height
        self._expect(")")
        return args

    def _items(self, end: str, item: Callable[[], Item]) -> list[Item]:
        """Items with commas between them up to `end`; a comma may stand last."""
        items: list[Item] = []
        height = 0
        while self._tokens[self.position].type not in (end, ","):
            items.append(item())
            height = max(height, self._height)
            if self._tokens[self.position].type != ",":
                break
            if self._tokens[self.position + 1].type == end:
                break
            self.position += 1
            if self._tokens[self.position].type == ",":
                self._fail()
        self._accept(",")
        self._expect(end)
        self._height = height
        return items

    # Literals

    def _literal(self, token: Token, sign: str = "") -> Expr:
        self.position += 1
        try:
            value, literal_type = read_literal(token, sign)
        except ValueError as fault:
            return self.error(token.position, str(fault))
        return Literal(self.id(), token.position, value, literal_type)

    def _signed(self, token: Token) -> Expr:
        self.position += 1
        number = self._tokens[self.position]
        if number.type not in SIGNED:
            self._fail()
        return self._literal(Token(number.type, number.text, token.position), "-")

    # Calls and macros

    def _advance(self) -> Token:
        token = self._tokens[self.position]
        self.position += 1
        return token

    def _call(self, position: int, function: str, args: list[Expr]) -> Expr:
        return self._expand(position, function, None, args) or Call(self.id(), position, None, function, args)

    def _expand(self, position: int, function: str, target: Expr | None, args: list[Expr]) -> Expr | None:
        macro = self._syntax.macros.get((function, len(args), target is not None))
        if macro is None:
            return None
        try:
            return macro(self, position, target, args)
        except MacroFault as error:
            self.faults.append(error.fault)
            return self.error(position)


_STEPS: dict[str, Callable[[Parser, Expr, int], Expr]] = {".": Parser._select, "[": Parser._index_of}
_PRIMARIES: dict[str, Callable[[Parser, Token], Expr]] = {
    "(": Parser._nested,
    "[": Parser._list,
    "{": Parser._map,
    ".": Parser._name,
    IDENT: Parser._name,
    "-": Parser._signed,
    **dict.fromkeys(READERS, Parser._literal),
}
