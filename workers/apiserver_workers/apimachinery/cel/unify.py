"""Whether a value of one type may stand where another type is expected, and what that decides about type parameters.

Type parameters get their types while calls are checked, as in upstream's checker: a parameter is bound by the first type
that it meets, and bound again to a more general type that it meets later. A failed attempt leaves no binding behind.

Upstream: cel-go checker/types.go, checker/mapping.go.
"""

from __future__ import annotations

from collections.abc import Sequence

from .types import DYN, Form, Type

# Forms whose values may be null in upstream's older checkers.
_NULLABLE = frozenset({Form.OPAQUE, Form.STRUCT, Form.ANY, Form.TIME, Form.WRAPPER, Form.NULL, Form.DYN})
_COMPOSED = frozenset({Form.OPAQUE, Form.LIST, Form.MAP})
_UNKNOWN = frozenset({Form.DYN, Form.ANY, Form.ERROR})


class Bindings:
    """The types that parameters are bound to, by the parameters' names."""

    __slots__ = ("_bound", "_undo")

    def __init__(self) -> None:
        self._bound: dict[str, Type] = {}
        self._undo: list[tuple[str, Type | None]] = []

    def assignable(self, given: Type, expected: Type) -> bool:
        """Whether `given` may stand for `expected`; if so, the bindings that this needs are kept."""
        self._undo.clear()
        if self._assignable(given, expected):
            return True
        self._roll_back()
        return False

    def all_assignable(self, given: Sequence[Type], expected: Sequence[Type]) -> bool:
        """The same for several types; bindings are kept if all fit."""
        if len(given) != len(expected):
            return False
        self._undo.clear()
        for one, other in zip(given, expected, strict=True):
            if not self._assignable(one, other):
                self._roll_back()
                return False
        return True

    def substitute(self, t: Type, *, free_is_dyn: bool = False) -> Type:
        """The type with its parameters replaced by what they are bound to; free ones stay, or become dyn."""
        if t.form is Form.PARAMETER:
            bound = self._bound.get(t.name)
            if bound is not None:
                return self.substitute(bound, free_is_dyn=free_is_dyn)
            return DYN if free_is_dyn else t
        if not t.is_open:
            return t
        return Type(t.form, t.name, tuple([self.substitute(p, free_is_dyn=free_is_dyn) for p in t.parameters]))

    def _bind(self, name: str, t: Type) -> None:
        self._undo.append((name, self._bound.get(name)))
        self._bound[name] = t

    def _roll_back(self) -> None:
        for name, old in reversed(self._undo):
            if old is None:
                del self._bound[name]
            else:
                self._bound[name] = old
        self._undo.clear()

    def _assignable(self, given: Type, expected: Type) -> bool:
        if given is expected and not given.is_open:
            return given.form is not Form.NONE
        if expected.form is Form.PARAMETER:
            fits, bound = self._fits_parameter(given, expected)
            if fits or bound:
                return fits
        if given.form is Form.PARAMETER:
            return self._fits_parameter(expected, given)[0]
        if given.form in _UNKNOWN or expected.form in _UNKNOWN:
            return True
        if given.form is Form.NULL:
            return expected.form in _NULLABLE
        if expected.form is Form.NULL:
            return given.form in _NULLABLE
        if given.form in _COMPOSED:
            return self._same_composition(given, expected)
        return _same_simple(given, expected)

    def _same_composition(self, given: Type, expected: Type) -> bool:
        if given.form is not expected.form or given.name != expected.name:
            return False
        if len(given.parameters) != len(expected.parameters):
            return False
        pairs = zip(given.parameters, expected.parameters, strict=True)
        return all(self._assignable(one, other) for one, other in pairs)

    def _fits_parameter(self, given: Type, wanted: Type) -> tuple[bool, bool]:
        """Whether the parameter `wanted` may be `given`, and whether it was bound before."""
        if given == wanted:
            return True, True
        bound = self._bound.get(wanted.name)
        if bound is None:
            if not self._is_free_of(wanted, given):
                return False, False
            self._bind(wanted.name, given)
            return True, False
        if given == bound:
            return True, True
        if not self._assignable(given, bound):
            return False, True
        general = most_general(given, bound)
        if self._is_free_of(wanted, general):
            self._bind(wanted.name, general)
        return True, True

    def _is_free_of(self, wanted: Type, within: Type) -> bool:
        """Whether the parameter does not occur in the type."""
        if wanted == within:
            return False
        if within.form is Form.PARAMETER:
            bound = self._bound.get(within.name)
            return bound is None or self._is_free_of(wanted, bound)
        return all(self._is_free_of(wanted, p) for p in within.parameters)


def _same_simple(given: Type, expected: Type) -> bool:
    if given.form is Form.TYPE:
        return expected.form is Form.TYPE
    if given.form is Form.NONE:
        return False
    if expected.form is Form.WRAPPER:
        return given.name == expected.name
    if given.form is Form.WRAPPER:
        return False
    return given.form is expected.form and given.name == expected.name


def most_general(one: Type, other: Type) -> Type:
    """The less specific of two types of which one fits the other."""
    return one if _at_most_as_specific(one, other) else other


def _at_most_as_specific(one: Type, other: Type) -> bool:
    if one.is_dyn or one.form is Form.PARAMETER:
        return True
    if other.is_dyn or other.form is Form.PARAMETER:
        return False
    if one.form is not other.form:
        return False
    if one.form is Form.TYPE:
        return True
    if one.form not in _COMPOSED:
        return one == other
    if one.name != other.name or len(one.parameters) != len(other.parameters):
        return False
    return all(_at_most_as_specific(a, b) for a, b in zip(one.parameters, other.parameters, strict=True))
