"""Label and field selectors: parsed with upstream's errors, matched against objects.

Ports of k8s.io/apimachinery/pkg/labels/selector.go and pkg/fields/selector.go.

    a=1,b in (x,y),!c,d>5        labels
    metadata.name=x,type!=y      fields, with \\\\ \\, and \\= for those characters in a value
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from apiserver_workers.apimachinery.errors import bad_request
from apiserver_workers.apimachinery.memo import memoized
from apiserver_workers.apimachinery.validation.field import shown
from apiserver_workers.apimachinery.validation.names import is_label_value, is_qualified_name

OPERATORS = ("in", "notin", "=", "==", "!=", "gt", "lt")
SYMBOLS = {"=": "=", "==": "==", "!=": "!=", "<": "lt", ">": "gt"}
END = ""
INT64 = 1 << 63
# The longest run of symbols that is a token wins, so `==` is one and `=!` two.
_LITERAL = re.compile(r"==|!=|[=!(),><]|[^=!(),>< \t\r\n]+")
_KINDS = {literal: (literal, literal) for literal in ("==", "!=", *"=!(),><", "in", "notin")}
_NAME = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_SPACE = r"[ \t\r\n]*"
_PLAIN_TERM = re.compile(
    f"{_SPACE}(?:!{_SPACE}({_NAME})|({_NAME})|({_NAME}){_SPACE}(==|=|!=){_SPACE}((?:{_NAME})?)){_SPACE}", re.ASCII
)
WORDS = frozenset({"in", "notin"})  # no keys
NO_VALUES: frozenset[str] = frozenset()
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term of a label selector."""

    key: str
    operator: str  # in, notin, =, ==, !=, exists, !, gt, lt
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        match self.operator:
            case "=" | "==" | "in":
                return value is not None and value in self.values
            case "!=" | "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        if value is None or (number := _integer(value)) is None:
            return False
        (bound,) = self.values
        return number > int(bound) if self.operator == "gt" else number < int(bound)


@dataclass(frozen=True, slots=True)
class LabelSelector:
    """Requirements that all must hold; none matches everything."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        present = labels or {}
        return all(requirement.matches(present) for requirement in self.requirements)


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector; `equal` is false for `!=`."""

    field: str
    equal: bool
    value: str


@dataclass(frozen=True, slots=True)
class FieldSelector:
    """Terms that all must hold."""

    terms: tuple[FieldTerm, ...]

    def matches(self, fields: Callable[[str], str]) -> bool:
        """`fields` gives the value of a field by its name, "" where there is none."""
        return all((fields(term.field) == term.value) is term.equal for term in self.terms)

    def exact(self, field: str) -> str | None:
        """The value that `field` must have, or None if the selector does not ask for one."""
        return next((term.value for term in self.terms if term.field == field and term.equal), None)


def _integer(text: str) -> int | None:
    """What strconv.ParseInt makes of the text."""
    if not _INTEGER.fullmatch(text):
        return None
    number = int(text)
    return number if -INT64 <= number < INT64 else None


@memoized
def parse_labels(text: str) -> LabelSelector:
    """The selector that `text` says. Raises ApiError 400 with upstream's message."""
    found = _plain_terms(text)
    return LabelSelector(_LabelParser(text).parse() if found is None else found)


def _plain_terms(text: str) -> tuple[Requirement, ...] | None:
    """The requirements where each is like `a`, `!a`, `a=b` or `a!=b` with sound names, in a fifth of the parser's time;
    None where it takes the parser to tell, or what is wrong."""
    found: list[Requirement] = []
    for term in text.split(","):
        match = _PLAIN_TERM.fullmatch(term)
        if match is None:
            return None
        absent, alone, key, operator, value = match.groups()
        if key in WORDS or alone in WORDS:
            return None
        if key is not None:
            found.append(Requirement(key, operator, frozenset((value,))))
        elif alone is not None:
            found.append(Requirement(alone, "exists", NO_VALUES))
        else:
            found.append(Requirement(absent, "!", NO_VALUES))
    found.sort(key=_key)
    return tuple(found)


def _key(requirement: Requirement) -> str:
    return requirement.key


class _LabelParser:
    """A recursive-descent parser with one token of look-ahead."""

    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.position = 0

    def parse(self) -> tuple[Requirement, ...]:
        found: list[Requirement] = []
        while True:
            kind, literal = self.look()
            if kind == END:
                return tuple(sorted(found, key=lambda requirement: requirement.key))
            if kind not in ("identifier", "!"):
                raise bad_request(f"found '{literal}', expected: !, identifier, or 'end of string'")
            found.append(self.requirement())
            kind, literal = self.take()
            if kind == END:
                return tuple(sorted(found, key=lambda requirement: requirement.key))
            if kind != ",":
                raise bad_request(f"found '{literal}', expected: ',' or 'end of string'")
            kind, literal = self.look()
            if kind not in ("identifier", "!"):
                raise bad_request(f"found '{literal}', expected: identifier after ','")

    def look(self, *, value: bool = False) -> tuple[str, str]:
        """The next token; where a value is due, `in` and `notin` are plain words."""
        kind, literal = self.tokens[self.position] if self.position < len(self.tokens) else (END, "")
        return ("identifier", literal) if value and kind in ("in", "notin") else (kind, literal)

    def take(self, *, value: bool = False) -> tuple[str, str]:
        token = self.look(value=value)
        self.position += 1
        return token

    def requirement(self) -> Requirement:
        kind, literal = self.take(value=True)
        operator = "exists"
        if kind == "!":
            operator = "!"
            kind, literal = self.take(value=True)
        if kind != "identifier":
            raise bad_request(f"found '{literal}', expected: identifier")
        _check_key(literal)
        if operator == "!" or self.look()[0] in (END, ","):
            return _requirement(literal, operator, [])
        operator = self.operator()
        values = self.values() if operator in ("in", "notin") else [self.exact_value()]
        return _requirement(literal, operator, values)

    def operator(self) -> str:
        kind, literal = self.take()
        operator = SYMBOLS.get(kind, kind)
        if operator not in OPERATORS:
            raise bad_request(f"found '{literal}', expected: {', '.join(OPERATORS)}")
        return operator

    def values(self) -> list[str]:
        kind, literal = self.take(value=True)
        if kind != "(":
            raise bad_request(f"found '{literal}' expected: '('")
        kind, literal = self.look(value=True)
        if kind not in ("identifier", ",", ")"):
            raise bad_request(f"found '{literal}', expected: ',', ')' or identifier")
        values = [""] if kind == ")" else self.identifiers()
        kind, literal = self.take(value=True)
        if kind != ")":
            raise bad_request(f"found '{literal}', expected: ')'")
        return values

    def identifiers(self) -> list[str]:
        """Words between commas; nothing between two commas is the empty word."""
        values: list[str] = []
        while True:
            kind, literal = self.take(value=True)
            if kind == "identifier":
                values.append(literal)
                kind, literal = self.look(value=True)
                if kind == ")":
                    return values
                if kind != ",":
                    raise bad_request(f"found '{literal}', expected: ',' or ')'")
            elif kind == ",":
                if not values:
                    values.append("")
                kind, literal = self.look(value=True)
                if kind == ")":
                    return [*values, ""]
                if kind == ",":
                    self.position += 1
                    values.append("")
            else:
                raise bad_request(f"found '{literal}', expected: ',', or identifier")

    def exact_value(self) -> str:
        kind, literal = self.look(value=True)
        if kind in (END, ","):
            return ""
        self.position += 1
        if kind != "identifier":
            raise bad_request(f"found '{literal}', expected: identifier")
        return literal


def _requirement(key: str, operator: str, values: list[str]) -> Requirement:
    """labels.NewRequirement: the values checked too."""
    if operator in ("gt", "lt"):
        for index, value in enumerate(values):
            if _integer(value) is None:
                fault = "for 'Gt', 'Lt' operators, the value must be an integer"
                raise _unparsable(f"values[{index}]", value, fault)
    for index, value in enumerate(values):
        if faults := is_label_value(value):
            raise _unparsable(f"values[{index}][{key}]", value, "; ".join(faults))
    return Requirement(key, operator, frozenset(values))


def _check_key(key: str) -> None:
    if faults := is_qualified_name(key):
        raise _unparsable("<nil>", key, "; ".join(faults))


def _unparsable(path: str, value: str, fault: str) -> Exception:
    return bad_request(f"unable to parse requirement: {path}: Invalid value: {shown(value)}: {fault}")


def _tokens(text: str) -> list[tuple[str, str]]:
    """(kind, literal) of each token: a symbol, `in`, `notin` or `identifier`."""
    return [_KINDS.get(literal) or ("identifier", literal) for literal in _LITERAL.findall(text)]


@memoized
def parse_fields(text: str) -> FieldSelector:
    """The selector that `text` says. Raises ApiError 400 with upstream's message."""
    return FieldSelector(tuple(_field_term(term, text) for term in _split(text) if term))


def _split(text: str) -> list[str]:
    """The terms between unescaped commas."""
    terms: list[str] = []
    start, escaped = 0, False
    for index, char in enumerate(text):
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        elif char == ",":
            terms.append(text[start:index])
            start = index + 1
    return [*terms, text[start:]]


def _field_term(term: str, whole: str) -> FieldTerm:
    for index in range(len(term)):
        for operator in ("!=", "==", "="):
            if term.startswith(operator, index):
                value = _unescape(term[index + len(operator) :])
                return FieldTerm(term[:index], operator != "!=", value)
    raise bad_request(f"invalid selector: '{whole}'; can't understand '{term}'")


def _unescape(value: str) -> str:
    if not any(char in value for char in "\\,="):
        return value
    out: list[str] = []
    escaped = False
    for char in value:
        if escaped:
            if char not in "\\,=":
                raise bad_request(f"invalid field selector: invalid escape sequence: \\{char}")
            out.append(char)
            escaped = False
        elif char == "\\":
            escaped = True
        elif char in ",=":
            raise bad_request(f"invalid field selector: unescaped character in value: {char}")
        else:
            out.append(char)
    if escaped:
        raise bad_request("invalid field selector: invalid escape sequence: \\")
    return "".join(out)
