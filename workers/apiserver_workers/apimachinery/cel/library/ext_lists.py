"""The lists extension, version 3: slice, flatten, sort, sortBy, range, reverse, distinct. Upstream: cel-go ext/lists.go."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..equality import compare, equal, is_comparable
from ..estimates import LARGEST, TRAVERSAL, CallEstimate, Operand, Range, Static
from ..failures import CostExceeded, Failure, no_such_overload
from ..text import go_type
from ..values import is_list, size_for_cost, type_name
from . import costs
from .row import Row, Runtime, of_result

_SINCE = 34
# A list of more elements costs more than any evaluation may: it is not even made.
_LONGEST_RANGE = 10_000_000


def list_slice(items: Any, start: int, end: int) -> list[Any]:
    """The elements from `start` to before `end`. Raises Failure."""
    fault = f"cannot slice({start}, {end}), "
    if start < 0 or end < 0:
        raise Failure(fault + "negative indexes not supported")
    if start > end:
        raise Failure(fault + "start index must be less than or equal to end index")
    if len(items) < end:
        raise Failure(fault + f"list is length {len(items)}")
    return list(items)[start:end]


def flatten(items: Any, *depths: Any) -> list[Any]:
    """The elements with lists among them taken apart, `depth` (1 by default) levels deep. Raises Failure."""
    if not is_list(items) or any(type(depth) is not int for depth in depths):
        shown = ", ".join(map(type_name, depths))
        raise no_such_overload(f"{_declared_name(items)}.flatten({shown})")
    depth = depths[0] if depths else 1
    if depth < 0:
        raise Failure("level must be non-negative")
    flat: list[Any] = []
    _flatten_into(flat, items, depth)
    return flat


def _declared_name(value: Any) -> str:
    name = type_name(value)
    return {"map": "map(dyn, dyn)", "list": "list(dyn)"}.get(name, name)


def _flatten_into(flat: list[Any], items: Any, depth: int) -> None:
    if depth == 0:
        flat.extend(items)
        return
    for item in items:
        if is_list(item):
            _flatten_into(flat, item, depth - 1)
        else:
            flat.append(item)


def number_range(count: int) -> list[int]:
    """0 to before `count`. Raises CostExceeded for a list that no limit allows."""
    if count > _LONGEST_RANGE:
        raise CostExceeded
    return list(range(count))


def reverse(items: Any) -> list[Any]:
    """The elements from the last to the first."""
    return list(items)[::-1]


def sort(items: Any) -> Any:
    """The elements in order. Raises Failure."""
    return sort_by_keys(items, items)


def sort_by_keys(items: Any, keys: Any) -> Any:
    """The elements in the order of their keys. Raises Failure."""
    if not is_list(items):
        raise no_such_overload("sort" if items is keys else "@sortByAssociatedKeys")
    if len(items) != len(keys):
        raise Failure(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, "
            f"but got {len(items)} and {len(keys)} elements respectively"
        )
    if not len(items):
        return items
    ordered = list(keys)
    _check_keys(ordered)
    positions = sorted(range(len(ordered)), key=lambda position: _order(ordered[position]))
    elements = list(items)
    return [elements[position] for position in positions]


_order = functools.cmp_to_key(compare)


def _check_keys(keys: list[Any]) -> None:
    if not is_comparable(keys[0]):
        raise Failure("list elements must be comparable")
    if any(type(key) is not type(keys[0]) for key in keys):
        raise Failure("list elements must have the same type")


def distinct(items: Any) -> list[Any]:
    """The elements without repetitions, the first of equal ones."""
    kept: list[Any] = []
    seen: set[str] = set()
    for item in items:
        if type(item) is str:
            if item not in seen:
                seen.add(item)
                kept.append(item)
        elif not any(_same(item, other) for other in kept):
            kept.append(item)
    return kept


def _same(item: Any, other: Any) -> bool:
    try:
        return equal(item, other)
    except Failure:
        return False


# costs


@of_result
def _of_result(_args: Sequence[Any], result: Any) -> int:
    return costs.allocating(1, size_for_cost(result))


def _of_flatten(args: Sequence[Any], _result: Any) -> int:
    depth = args[1] if len(args) > 1 else 1
    if type(depth) is not int:
        raise Failure(f"internal error: interface conversion: ref.Val is {go_type(depth)}, not types.Int")
    return costs.allocating(max(depth, 0), size_for_cost(args[0]))


def _of_self(index: int) -> Runtime:
    """Each element of a list compared with each; strings cost a tenth more."""

    def cost(args: Sequence[Any], _result: Any) -> int:
        items = args[index]
        size = size_for_cost(items)
        if not size or not is_list(items):
            return costs.allocating(2, 0)
        head = next(iter(items))
        factor = 2 + TRAVERSAL if isinstance(head, str | bytes) else 2.0
        return costs.allocating(factor, size * size)

    return cost


def _static_slice(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    size = costs.first(target, args).size
    start = costs.literal_int(args[0], 0)
    end = costs.literal_int(args[1], size.max)
    length = (end - start) % 2**64
    return costs.static_allocating(1, Range(length, length))


def _static_range(_target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    length = costs.literal_int(args[0], LARGEST)
    return costs.static_allocating(1, Range(length, length))


def _static_reverse(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    return costs.static_allocating(1, costs.first(target, args).size)


def _static_flatten(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    depth = costs.literal_int(args[0], LARGEST) if args else 1
    return costs.static_allocating(float(depth), costs.first(target, args).size)


def _static_distinct(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
    size = costs.first(target, args).size
    return costs.static_allocating(2, size.times(size))


def _static_sort(kind: str, by_keys: bool) -> Static:
    factor = 2 + TRAVERSAL if kind in ("string", "bytes") else 2.0

    def estimate(target: Operand | None, args: Sequence[Operand]) -> CallEstimate:
        sorted_list = args[0] if by_keys else costs.first(target, args)
        return costs.static_allocating(factor, sorted_list.size.times(sorted_list.size))

    return estimate


def _row(
    identifier: str,
    name: str,
    args: tuple[str, ...],
    result: str,
    function: Callable[..., Any],
    static: Static,
    runtime: Runtime,
    guarded: bool = True,
    member: bool = True,
) -> Row:
    return Row(
        identifier,
        name,
        args,
        result,
        function,
        member=member,
        static=static,
        runtime=runtime,
        guarded=guarded,
        since=_SINCE,
        library="ext.lists",
        hidden=name.startswith("@"),
    )


_COMPARABLE = {
    "int": "int",
    "uint": "uint",
    "double": "double",
    "bool": "bool",
    "duration": "google.protobuf.Duration",
    "timestamp": "google.protobuf.Timestamp",
    "string": "string",
    "bytes": "bytes",
}
_T = "list(T)"

ROWS: tuple[Row, ...] = (
    _row("list_slice", "slice", (_T, "int", "int"), _T, list_slice, _static_slice, _of_result),
    _row("list_flatten", "flatten", ("list(list(T))",), _T, flatten, _static_flatten, _of_flatten, guarded=False),
    _row(
        "list_flatten_int",
        "flatten",
        ("list(dyn)", "int"),
        "list(dyn)",
        flatten,
        _static_flatten,
        _of_flatten,
        guarded=False,
    ),
    *(
        _row(
            f"list_{name}_sort",
            "sort",
            (f"list({kind})",),
            f"list({kind})",
            sort,
            _static_sort(kind, False),
            _of_self(0),
            guarded=False,
        )
        for kind, name in _COMPARABLE.items()
    ),
    *(
        _row(
            f"list_{name}_sortByAssociatedKeys",
            "@sortByAssociatedKeys",
            (_T, f"list({kind})"),
            _T,
            sort_by_keys,
            _static_sort(kind, True),
            _of_self(1),
            guarded=False,
        )
        for kind, name in _COMPARABLE.items()
    ),
    _row("lists_range", "lists.range", ("int",), "list(int)", number_range, _static_range, _of_result, member=False),
    _row("list_reverse", "reverse", (_T,), _T, reverse, _static_reverse, _of_result),
    _row("list_distinct", "distinct", (_T,), _T, distinct, _static_distinct, _of_self(0)),
)
