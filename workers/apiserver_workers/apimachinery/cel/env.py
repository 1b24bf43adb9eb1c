"""Environments: which functions, macros and types an expression may use, by Kubernetes' version.

New expressions compile in the environment of the oldest version that a cluster must stay compatible with; stored ones in
the environment of everything, so that what was once accepted is never refused.

Upstream: apiserver/pkg/cel/environment/base.go, environment.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from . import macros
from .checker import Overload, Scope
from .declarations import NAMED_TYPES, Declarations
from .estimates import Static
from .library.row import Row
from .library.table import ROWS
from .parser import Macro, Syntax
from .types import Form, Type, opaque, parse_type

# The version of stored expressions: everything that was introduced, nothing that was removed.
EVERYTHING = 98
_OPTIONALS = 28
_VALIDATORS = 29
_ADDRESSES = 30
_KEYWORDS = 31
_TWO_VARIABLES = 32
_SORT = 34
# Libraries that only some users of an environment have.
PATCH = "jsonpatch"
BIND = "bind"
SELECTORS = "authz_selectors"
_EXTRA_LIBRARIES = frozenset({PATCH})


@dataclass(frozen=True, slots=True, eq=False)
class Environment:
    """What expressions may use: `version` is a minor of Kubernetes (1.36 is 36)."""

    version: int
    syntax: Syntax
    rows: Mapping[str, Row]
    by_name: Mapping[str, tuple[Row, ...]]
    functions: Mapping[str, tuple[Overload, ...]]
    types: Mapping[str, Type]
    statics: Mapping[str, Static | None]

    @property
    def checks_literals(self) -> bool:
        """Whether literals of durations, timestamps, patterns and formats are checked."""
        return self.version >= _VALIDATORS

    def scope(self, declarations: Declarations) -> Scope:
        """The names of the environment and of a use's declarations."""
        types = self.types
        find_declared = declarations.find_type

        def find_type(name: str) -> Type | None:
            return types.get(name) or find_declared(name)

        return Scope(declarations.variables, self.functions, find_type, declarations.find_field)


@cache
def environment(version: int, *extra: str, without: str = "") -> Environment:
    """The environment of a minor version of Kubernetes.

    `extra` names libraries that only some users have (`PATCH`, `BIND`); `without` names one whose feature gate is off.
    """
    rows = [row for row in ROWS if _is_in(row, version, extra, without)]
    by_id = {row.id: row for row in reversed(rows)}
    return Environment(
        version=version,
        syntax=Syntax(_macros(version, extra), optional=version >= _OPTIONALS),
        # An overload that has a second name is the same under both.
        rows=by_id,
        by_name=_by_name(rows),
        functions={name: tuple(map(_overload, named)) for name, named in _by_name(rows).items()},
        types=_types(version),
        statics={row.id: row.static for row in by_id.values()},
    )


def _is_in(row: Row, version: int, extra: tuple[str, ...], without: str) -> bool:
    if row.library == without or (row.library in _EXTRA_LIBRARIES and row.library not in extra):
        return False
    return row.since <= version < row.until


def _macros(version: int, extra: tuple[str, ...]) -> dict[tuple[str, int, bool], Macro]:
    found = dict(macros.STANDARD)
    if version >= _OPTIONALS:
        found.update(macros.OPTIONAL)
    if version >= _TWO_VARIABLES:
        found.update(macros.TWO_VARIABLES)
    if version >= _SORT:
        found.update(macros.SORT)
    if BIND in extra:
        found.update(macros.BIND)
    return found


def _by_name(rows: Sequence[Row]) -> dict[str, tuple[Row, ...]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.name, []).append(row)
    return {name: tuple(named) for name, named in found.items()}


@cache
def _overload(row: Row) -> Overload:
    args = tuple(parse_type(arg) for arg in row.args)
    names: dict[str, None] = {}
    for arg in args:
        _collect_parameters(arg, names)
    result = parse_type(row.result)
    _collect_parameters(result, names)
    return Overload(row.id, args, result, row.member, tuple(names))


def _collect_parameters(t: Type, names: dict[str, None]) -> None:
    if t.form is Form.PARAMETER:
        names[t.name] = None
    for inside in t.parameters:
        _collect_parameters(inside, names)


def _types(version: int) -> dict[str, Type]:
    found = dict(NAMED_TYPES)
    if version >= _OPTIONALS:
        found["optional_type"] = opaque("optional_type")
    if version >= _ADDRESSES:
        found["net.IP"] = opaque("net.IP")
        found["net.CIDR"] = opaque("net.CIDR")
    return found


def recognizes_keywords(version: int) -> bool:
    """Whether a field whose name is a keyword may be selected without an escape."""
    return version >= _KEYWORDS


# That of 1.36, until a server says another (`use_compatibility`).
_compatible = 35


def use_compatibility(minor: str) -> None:
    """New expressions may use what this minor version has (`1.35`): the oldest that other servers of a cluster may have."""
    global _compatible
    _compatible = int(minor.rpartition(".")[2])


def new_expressions(*extra: str) -> Environment:
    """The environment in which an expression compiles that was not there before."""
    return environment(_compatible, *extra)


def stored_expressions(*extra: str) -> Environment:
    """The environment of expressions that were accepted before."""
    return environment(EVERYTHING, *extra)
