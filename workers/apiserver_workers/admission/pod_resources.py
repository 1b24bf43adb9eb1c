"""What a pod asks for as a whole (component-helpers resource.PodRequests and PodLimits), in nano units."""

from __future__ import annotations

from apiserver_workers.admission.plugin import Object
from apiserver_workers.apimachinery.quantity import Quantity, parse, write

Amounts = dict[str, Quantity]


def amounts(resources: dict[str, str] | None) -> Amounts:
    """A resource list with its quantities parsed."""
    return {name: parse(text) for name, text in (resources or {}).items()}


def add(first: Quantity, second: Quantity) -> Quantity:
    """The sum, in the format of the first unless that is zero."""
    nano, form = first.nano + second.nano, first.format if first.nano else second.format
    return Quantity(nano, form, write(nano, form))


def pod_amounts(spec: Object, field: str, *, overhead: bool) -> Amounts:
    """The pod's `requests` or `limits`: containers side by side, or the init container that needs most.

    Pod-level resources replace what the containers add up to. Overhead counts towards limits only where there is one.
    """
    total: Amounts = {}
    for container in spec.get("containers") or ():
        _add_all(total, _of(container, field))
    sidecars: Amounts = {}
    most: Amounts = {}
    for container in spec.get("initContainers") or ():
        own = _of(container, field)
        if container.get("restartPolicy") == "Always":
            _add_all(total, own)
            _add_all(sidecars, own)
            _raise_to(most, sidecars)
        else:
            together = dict(sidecars)
            _add_all(together, own)
            _raise_to(most, together)
    _raise_to(total, most)
    total.update(amounts((spec.get("resources") or {}).get(field)))
    if overhead:
        extra = amounts(spec.get("overhead"))
        _add_all(total, extra if field == "requests" else {name: extra[name] for name in extra if name in total})
    return total


def _of(container: Object, field: str) -> Amounts:
    return amounts((container.get("resources") or {}).get(field))


def _add_all(total: Amounts, more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = add(total[name], amount) if name in total else amount


def _raise_to(most: Amounts, other: Amounts) -> None:
    for name, amount in other.items():
        if name not in most or amount.nano > most[name].nano:
            most[name] = amount
