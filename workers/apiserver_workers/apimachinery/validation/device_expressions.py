"""Expressions that select devices: compiled and costed when they are written.

The static cost knows how large a device can be; an expression that could cost more than a selector may is refused.

Upstream: k8s.io/dynamic-resource-allocation/cel/compile.go, pkg/apis/resource/validation (validateCELSelector).
"""

from __future__ import annotations

from functools import cache

from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.compiler import estimate_cost
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.schema import Declared
from apiserver_workers.apimachinery.cel.types import ANY, BOOL, DYN, STRING, Type, map_of, opaque
from apiserver_workers.apimachinery.cel.variables import object_type, structs_of
from apiserver_workers.apimachinery.validation.expressions import Refused, build_program, compile_checked
from apiserver_workers.apimachinery.validation.field import Errors, forbidden

MOST_COST = 1_000_000
LONGEST_NAME, LONGEST_ID, LONGEST_VALUE = 63, 32, 64
MOST_ATTRIBUTES = 32
LISTS_GATE, CONSUMABLE_GATE = "DRAListTypeAttributes", "DRAConsumableCapacity"
MOST_LIST_VALUES = 48

_ID = Declared(STRING, smallest=2, largest=LONGEST_ID)
_DOMAIN = Declared(STRING, smallest=2, largest=LONGEST_NAME)
_QUANTITY = Declared(opaque("kubernetes.Quantity"), smallest=8)


def validate_device_expression(source: str, path: str, *, stored: bool) -> Errors:
    """What is wrong with a selector's expression; one that is `stored` may use what new ones may not."""
    environment = env.stored_expressions(env.BIND) if stored else env.new_expressions(env.BIND)
    lists = feature_gates.enabled(LISTS_GATE)
    declarations = device_declarations(consumable=feature_gates.enabled(CONSUMABLE_GATE), lists=lists)
    try:
        checked = compile_checked(source, environment, declarations)
        if not _is_condition(checked.type, lists=lists):
            raise Refused(f"must evaluate to bool or the unknown type, not {checked.type.long_text}")
        build_program(checked, environment, declarations)
    except Refused as refused:
        return [refused.as_error(path, source)]
    if estimate_cost(checked, environment, declarations).max > MOST_COST:
        return [forbidden(path, "too complex, exceeds cost limit")]
    return []


def _is_condition(result: Type, *, lists: bool) -> bool:
    return result in (BOOL, ANY) or (lists and result == DYN)


def _by_domain(inner: Declared, *, entries: bool = False) -> Declared:
    """`inner` by domain and identifier, both of limited number."""
    by_id = Declared(
        map_of(STRING, inner.type), smallest=2, largest=MOST_ATTRIBUTES, key=_ID, element=inner, entries=entries
    )
    return Declared(map_of(STRING, by_id.type), smallest=2, largest=MOST_ATTRIBUTES, key=_DOMAIN, element=by_id)


@cache
def device_declarations(*, consumable: bool, lists: bool) -> Declarations:
    """`device`: its driver, its attributes and capacities; with `consumable`, whether several claims may share it."""
    size = max(LONGEST_VALUE, MOST_LIST_VALUES) if lists else LONGEST_VALUE
    attribute = Declared(DYN if lists else ANY, smallest=1, largest=size)
    fields = {
        "driver": _DOMAIN,
        "attributes": _by_domain(attribute, entries=True),
        "capacity": _by_domain(_QUANTITY),
    }
    shareable = fields | {"allowMultipleAllocations": Declared(BOOL, smallest=4, largest=1)}
    device = object_type("kubernetes.DRADevice", shareable if consumable else fields)
    newest = object_type("kubernetes.DRADevice", shareable)
    return Declarations({"device": device.type}, structs=structs_of(device), root=newest)
