"""CEL expressions of an AuthenticationConfiguration: over a token's claims, and over the user that they came to.

Claims are JSON as Go decodes it: every number is a double. Names that are no identifiers can be written with escapes
(`claims.a__dot__b`), at every depth.

Upstream: apiserver/pkg/authentication/cel, apiserver/plugin/pkg/authenticator/token/oidc.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.ast import Call, Checked, Expr, Ident, Literal, Select, walk
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.equality import equal
from apiserver_workers.apimachinery.cel.program import Program
from apiserver_workers.apimachinery.cel.schema import unescape
from apiserver_workers.apimachinery.cel.types import ANY, BOOL, STRING, map_of
from apiserver_workers.apimachinery.cel.values import MISSING, View
from apiserver_workers.apimachinery.cel.variables import USER_INFO, structs_of
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.apimachinery.validation.expressions import Refused, build_program, compile_checked, expected
from apiserver_workers.authentication.interface import AuthenticationError
from apiserver_workers.registry.cel_evaluation import evaluate

CLAIMS = Declarations({"claims": map_of(STRING, ANY)})
USER = Declarations({"user": USER_INFO.type}, structs=structs_of(USER_INFO))
NO_TEXTS = "expression must return a string or a list of strings"

Activation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression. `key` is what an extra mapping fills, `message` what a rule says if it is not met."""

    source: str
    program: Program
    key: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ClaimExpressions:
    """The expressions of one issuer's configuration; what is None or empty is not mapped by an expression."""

    username: Expression | None = None
    groups: Expression | None = None
    uid: Expression | None = None
    extra: Sequence[Expression] = ()
    claim_rules: Sequence[Expression] = ()
    user_rules: Sequence[Expression] = ()


def check_source(source: str, declarations: Declarations = CLAIMS, *, rule: bool = False) -> Checked:
    """The checked tree of an expression; a `rule` must be a condition. Raises Refused."""
    environment = env.stored_expressions()
    checked = compile_checked(source, environment, declarations)
    if rule and checked.type != BOOL:
        raise Refused(expected((BOOL,)))
    build_program(checked, environment, declarations)
    return checked


def expression(source: str, declarations: Declarations = CLAIMS, *, key: str = "", message: str = "") -> Expression:
    """A compiled expression. Raises Refused."""
    environment = env.stored_expressions()
    checked = compile_checked(source, environment, declarations)
    return Expression(source, build_program(checked, environment, declarations), key, message)


def uses_claim(checked: Checked, name: str) -> bool:
    """Whether `claims.name` or `claims.?name` stands anywhere in the expression."""
    return any(_selects(node, name) for node in walk(checked.expression))


def _selects(node: Expr, name: str) -> bool:
    if isinstance(node, Select):
        return node.field == name and _is_claims(node.operand)
    if not isinstance(node, Call) or node.function != "_?._" or node.target is not None or len(node.args) != 2:
        return False
    claims, field = node.args
    return _is_claims(claims) and isinstance(field, Literal) and field.value == name


def _is_claims(node: Expr) -> bool:
    return isinstance(node, Ident) and node.name == "claims"


# values


class _Named(View):
    """A JSON object whose names may be written escaped."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields

    def raw(self) -> Any:
        return self._fields

    def equals(self, other: Any) -> bool:
        return equal(self._fields, other.raw() if isinstance(other, View) else other)

    def find(self, key: Any) -> Any:
        if not isinstance(key, str):
            return MISSING
        name = unescape(key)
        return self._fields.get(key if name is None else name, MISSING)

    def __len__(self) -> int:
        return len(self._fields)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._fields)


def cel_value(value: Any) -> Any:
    """JSON as expressions see it."""
    kind = type(value)
    if kind is int:
        return float(value)
    if kind is list:
        return [cel_value(one) for one in value]
    if kind is dict:
        return _Named({name: cel_value(one) for name, one in value.items()})
    return value


def user_value(user: UserInfo) -> Activation:
    """The variable of rules about users: all fields are there, empty or not."""
    extra = _Named({name: list(values) for name, values in user.extra.items()})
    fields = {"username": user.name, "uid": user.uid, "groups": list(user.groups), "extra": extra}
    return {"user": fields}


# evaluation


async def evaluated(one: Expression, activation: Activation) -> Any:
    """What an expression comes to. Raises AuthenticationError with what follows the place in the text."""
    outcome = await evaluate(one.program, activation)
    if outcome.failure is not None:
        raise AuthenticationError(f"expression '{one.source}' resulted in error: {outcome.failure}")
    return outcome.value


async def text(one: Expression, activation: Activation, what: str) -> str:
    """A string. Raises AuthenticationError, also for any other value."""
    prefix = f"oidc: error evaluating {what} claim expression: "
    try:
        value = await evaluated(one, activation)
    except AuthenticationError as error:
        raise AuthenticationError(f"{prefix}{error}") from None
    if not isinstance(value, str):
        raise AuthenticationError(f"{prefix}{what} claim expression must return a string")
    return value


async def username(one: Expression, activation: Activation) -> str:
    """The user's name. Raises AuthenticationError, also for an empty one."""
    name = await text(one, activation, "username")
    if not name:
        raise AuthenticationError("oidc: empty username via CEL expression is not allowed")
    return name


async def groups(one: Expression, activation: Activation) -> tuple[str, ...]:
    """The user's groups. Raises AuthenticationError."""
    try:
        return texts(await evaluated(one, activation))
    except AuthenticationError as error:
        raise AuthenticationError(f"oidc: error evaluating group claim expression: {error}") from None


async def extra(expressions: Sequence[Expression], activation: Activation) -> dict[str, list[str]]:
    """What is said of the user beyond the name, without what is empty. Raises AuthenticationError."""
    values = [(one, await evaluated(one, activation)) for one in expressions]
    found: dict[str, list[str]] = {}
    for one, value in values:
        try:
            said = texts(value)
        except AuthenticationError as error:
            prefix = "oidc: error evaluating extra claim expression"
            raise AuthenticationError(f"{prefix}: {one.source}: {error}") from None
        if said:
            found[one.key] = list(said)
    return found


def texts(value: Any) -> tuple[str, ...]:
    """The strings of a string or a list; empty ones and null are none. Raises AuthenticationError."""
    if value is None or isinstance(value, str):
        return (value,) if value else ()
    items = list(value) if isinstance(value, list | tuple) or (isinstance(value, View) and value.is_list) else [None]
    if not all(isinstance(item, str) for item in items):
        raise AuthenticationError(NO_TEXTS)
    return tuple(item for item in items if item)


async def check_rules(rules: Sequence[Expression], activation: Activation, what: str) -> None:
    """Raises AuthenticationError for the first rule that is not met, or an error of any of them."""
    try:
        values = [(rule, await evaluated(rule, activation)) for rule in rules]
        for rule, met in values:
            if met is not True:
                raise AuthenticationError(f"validation expression '{rule.source}' failed: {rule.message}")
    except AuthenticationError as error:
        raise AuthenticationError(f"oidc: error evaluating {what}: {error}") from None
