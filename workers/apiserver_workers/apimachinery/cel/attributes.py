"""Selections: `a.b.c`, `a[i]`, `a.?b`, `has(a.b)`, as closures over an evaluation's frame.

A frame is a list: the cost so far, the limit, the hard limit, then a slot for each variable (MISSING if it has no
value). An `Attribute` is a root
and its qualifiers; a program adds qualifiers while it is built and resolves the whole chain in one closure. Upstream
charges 1 for each qualifier, and 1 for the chain where its value is used.

The fast way through a chain is Python's own subscripts; whatever they cannot do (a missing key, a view, an error) is
done again by `_slowly`, which charges and fails exactly as upstream.

Upstream: cel-go interpreter/attributes.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .failures import Failure
from .text import go_type, show
from .values import INT_MAX, MISSING, NONE, Fields, Optional, UInt, View, find, is_list, is_map, type_name
from .views import ListView, Shape

Frame = list[Any]
Closure = Callable[[Frame], Any]

FIRST_SLOT = 3


@dataclass(slots=True)
class Qualifier:
    """One step: a constant key, or a closure that gives it. `optional` is `.?` and `[?]`, `test` the last of has()."""

    key: Any
    dynamic: Closure | None = None
    optional: bool = False
    test: bool = False


@dataclass(slots=True)
class Attribute:
    """A root and its qualifiers.

    The root is a slot (`slot` ≥ 0, with the variable's name), the value of another expression (`operand`), or one of
    two branches (`condition`, `truthy`, `falsy`). `shape` is that of the root's value, if it is JSON with a schema.
    """

    slot: int = -1
    name: str = ""
    operand: Closure | None = None
    condition: Closure | None = None
    branches: tuple[Attribute, ...] = ()
    accumulator: Closure | None = None
    shape: Shape | None = None
    qualifiers: list[Qualifier] = field(default_factory=list)

    def add(self, qualifier: Qualifier) -> None:
        """One more step; a conditional's goes to both branches."""
        if self.condition is not None:
            for branch in self.branches:
                branch.add(qualifier)
        else:
            self.qualifiers.append(qualifier)

    def final_shape(self) -> Shape | None:
        """The shape of the value that the chain ends at, if each step is declared."""
        if self.condition is not None:
            return None
        return _walk(self.shape, self.qualifiers)[1]


def _walk(shape: Shape | None, qualifiers: list[Qualifier]) -> tuple[list[Any], Shape | None]:
    """The keys of the JSON that the steps stand for, and the shape where they end (None: not by declared fields)."""
    keys: list[Any] = []
    for qualifier in qualifiers:
        key = qualifier.key
        if shape is not None:
            shape, key = _step(shape, key)
        keys.append(key)
    return keys, shape


def _step(shape: Shape, key: Any) -> tuple[Shape | None, Any]:
    if shape.is_struct:
        field_found = shape.field(key) if type(key) is str else None
        return (None, key) if field_found is None else (field_found[1], field_found[0])
    return shape.element, key


def resolve(attribute: Attribute, charge: int, raw: bool = False) -> Closure:
    """A closure that gives the chain's value and charges `charge` beside its qualifiers.

    `raw` leaves JSON as it is at the end: the caller goes on with the final shape.
    """
    if attribute.condition is not None:
        return _conditional(attribute, charge)
    if attribute.accumulator is not None or attribute.operand is not None:
        return _from_operand(attribute, charge)
    if not attribute.qualifiers:
        return _variable(attribute, charge, raw)
    if _is_fast(attribute):
        return _fast(attribute, charge, raw)
    return _slowly(attribute, charge, raw)


def _conditional(attribute: Attribute, charge: int) -> Closure:
    condition = attribute.condition
    truthy, falsy = (resolve(branch, charge) for branch in attribute.branches)
    assert condition is not None

    def run(frame: Frame) -> Any:
        chosen = condition(frame)
        if chosen is True:
            return truthy(frame)
        if chosen is False:
            return falsy(frame)
        raise Failure("no such overload")

    return run


def _from_operand(attribute: Attribute, charge: int) -> Closure:
    operand = attribute.accumulator or attribute.operand
    qualifiers = tuple(attribute.qualifiers)
    assert operand is not None

    def run(frame: Frame) -> Any:
        frame[0] += charge
        return qualify(frame, operand(frame), qualifiers)

    def run_bare(frame: Frame) -> Any:
        frame[0] += charge
        return operand(frame)

    if qualifiers:
        return run
    return run_bare if charge else operand


def _variable(attribute: Attribute, charge: int, raw: bool) -> Closure:
    slot, name = attribute.slot, attribute.name
    convert = None if raw or attribute.shape is None else attribute.shape.convert

    def run(frame: Frame) -> Any:
        frame[0] += charge
        value = frame[slot]
        if value is MISSING:
            raise Failure(f"no such attribute(s): {name}")
        return value

    def run_converted(frame: Frame) -> Any:
        value = run(frame)
        return value if value is None else convert(value)  # type: ignore[misc]

    return run if convert is None else run_converted


def _is_fast(attribute: Attribute) -> bool:
    """Whether every step is a constant string, none of them optional, and a test only the last."""
    qualifiers = attribute.qualifiers
    if any(type(qualifier.key) is not str or qualifier.dynamic or qualifier.optional for qualifier in qualifiers):
        return False
    return not any(qualifier.test for qualifier in qualifiers[:-1])


def _fast(attribute: Attribute, charge: int, raw: bool) -> Closure:
    slowly = _slowly(attribute, charge, raw)
    keys, shape = _walk(attribute.shape, attribute.qualifiers)
    if attribute.shape is not None and shape is None:
        return slowly
    cost = charge + len(keys)
    if attribute.qualifiers[-1].test:
        return _fast_test(attribute, keys, cost, slowly)
    return _fast_select(attribute, keys, cost, slowly, None if raw or shape is None else shape.convert)


def _fast_select(
    attribute: Attribute, keys: list[str], cost: int, slowly: Closure, convert: Callable[[Any], Any] | None
) -> Closure:
    """Null is looked at by `slowly`: it may be a field that is not there."""
    slot = attribute.slot
    walk = _WALKS.get(len(keys), _walk_any)(slot, tuple(keys))

    def run(frame: Frame) -> Any:
        try:
            value = walk(frame)
        except (KeyError, TypeError, IndexError):
            return slowly(frame)
        if value is None:
            return slowly(frame)
        frame[0] += cost
        return value

    def run_converted(frame: Frame) -> Any:
        try:
            value = walk(frame)
        except (KeyError, TypeError, IndexError):
            return slowly(frame)
        if value is None:
            return slowly(frame)
        frame[0] += cost
        return convert(value)  # type: ignore[misc]

    if convert is not None:
        return run_converted
    if len(keys) == 1:
        return _select_one(slot, keys[0], cost, slowly)
    if len(keys) == 2:
        return _select_two(slot, keys[0], keys[1], cost, slowly)
    if len(keys) == 3:
        return _select_three(slot, (keys[0], keys[1], keys[2]), cost, slowly)
    return run


def _select_one(slot: int, key: str, cost: int, slowly: Closure) -> Closure:
    def run(frame: Frame) -> Any:
        try:
            value = frame[slot][key]
        except (KeyError, TypeError, IndexError):
            return slowly(frame)
        if value is None:
            return slowly(frame)
        frame[0] += cost
        return value

    return run


def _select_two(slot: int, first: str, second: str, cost: int, slowly: Closure) -> Closure:
    def run(frame: Frame) -> Any:
        try:
            value = frame[slot][first][second]
        except (KeyError, TypeError, IndexError):
            return slowly(frame)
        if value is None:
            return slowly(frame)
        frame[0] += cost
        return value

    return run


def _select_three(slot: int, keys: tuple[str, str, str], cost: int, slowly: Closure) -> Closure:
    first, second, third = keys

    def run(frame: Frame) -> Any:
        try:
            value = frame[slot][first][second][third]
        except (KeyError, TypeError, IndexError):
            return slowly(frame)
        if value is None:
            return slowly(frame)
        frame[0] += cost
        return value

    return run


def _walk_one(slot: int, keys: tuple[str, ...]) -> Closure:
    (key,) = keys
    return lambda frame: frame[slot][key]


def _walk_two(slot: int, keys: tuple[str, ...]) -> Closure:
    first, second = keys
    return lambda frame: frame[slot][first][second]


def _walk_any(slot: int, keys: tuple[str, ...]) -> Closure:
    def walk(frame: Frame) -> Any:
        value = frame[slot]
        for key in keys:
            value = value[key]
        return value

    return walk


_WALKS: dict[int, Callable[[int, tuple[str, ...]], Closure]] = {1: _walk_one, 2: _walk_two}


def _fast_test(attribute: Attribute, keys: list[str], cost: int, slowly: Closure) -> Closure:
    """has(a.b.c): whether the last key is there. In an object with properties, null is not there."""
    slot = attribute.slot
    *before, last = keys
    by_schema = attribute.shape is not None

    def run(frame: Frame) -> bool:
        try:
            value = frame[slot]
            for key in before:
                value = value[key]
            found = value[last]
        except (KeyError, TypeError, IndexError):
            return bool(slowly(frame))
        if found is None and by_schema:
            return bool(slowly(frame))
        frame[0] += cost
        return True

    return run


def _slowly(attribute: Attribute, charge: int, raw: bool) -> Closure:
    """Step by step, with upstream's costs and errors."""
    variable = _variable(attribute, charge, raw=False)
    qualifiers = tuple(attribute.qualifiers)
    unwrapped = raw and attribute.shape is not None

    def run(frame: Frame) -> Any:
        value = qualify(frame, variable(frame), qualifiers)
        return value.raw() if unwrapped and isinstance(value, View) else value

    return run


def qualify(frame: Frame, value: Any, qualifiers: tuple[Qualifier, ...]) -> Any:
    """Applies the steps to a value, charging 1 for each. Raises Failure."""
    optional = type(value) is Optional
    if optional:
        if value.value is MISSING:
            return False if qualifiers and qualifiers[-1].test else value
        value = value.value
    for qualifier in qualifiers:
        optional = optional or qualifier.optional
        if qualifier.test:
            value = present(value, qualifier.key)
            frame[0] += 1 if value or not optional else 0
        elif optional:
            key = _key(frame, qualifier)
            value = look(value, key)
            if value is MISSING:
                return False if qualifiers[-1].test else NONE
            frame[0] += 1
        else:
            frame[0] += 1
            value = select(value, _key(frame, qualifier))
    if qualifiers and qualifiers[-1].test:
        return value
    return Optional(value) if optional else value


def _key(frame: Frame, qualifier: Qualifier) -> Any:
    return qualifier.key if qualifier.dynamic is None else qualifier.dynamic(frame)


_KEYS = frozenset({str, int, UInt, bool, float})


def check_key(key: Any) -> None:
    """Raises Failure for a value that is no key of any list or map."""
    if type(key) not in _KEYS:
        raise Failure(f"invalid qualifier type: {go_type(key)}")


def select(container: Any, key: Any) -> Any:
    """container[key] or container.key. Raises Failure if there is no such element."""
    if type(container) is dict and type(key) is str and key in container:
        return container[key]
    check_key(key)
    if is_list(container):
        position = _position(container, key)
        if position is None:
            raise Failure(f"index out of bounds: {show(key)}")
        return _element(container, position)
    value = _member(container, key)
    if value is MISSING:
        raise Failure(f"no such key: {show(key)}")
    return value


def look(container: Any, key: Any) -> Any:
    """container[?key]: the element, MISSING if there is none. Raises Failure."""
    check_key(key)
    if is_list(container):
        position = _position(container, key)
        return MISSING if position is None else _element(container, position)
    return _member(container, key)


def present(container: Any, key: str) -> bool:
    """has(container.key). Raises Failure."""
    if is_list(container):
        return _position(container, key) is not None
    return _member(container, key) is not MISSING


def _member(container: Any, key: Any) -> Any:
    if is_map(container) or type(container) is Fields:
        return find(container, key)
    return MISSING


def _element(container: Any, position: int) -> Any:
    return container.at(position) if isinstance(container, ListView) else container[position]


def _position(container: Any, key: Any) -> int | None:
    """The position that a key stands for, None if the list has none there. Raises Failure for other keys than numbers."""
    kind = type(key)
    if kind is int or (kind is UInt and key <= INT_MAX):
        return key if 0 <= key < len(container) else None
    if kind is UInt or kind is float:
        return _whole(container, key)
    raise Failure(f"unsupported index type '{type_name(key)}' in list")


def _whole(container: Any, key: Any) -> int | None:
    if type(key) is UInt or not float(key).is_integer() or not -(2.0**63) <= key < 2.0**63:
        raise Failure(f"unsupported index value {show(key)} in list")
    return int(key) if 0 <= key < len(container) else None
