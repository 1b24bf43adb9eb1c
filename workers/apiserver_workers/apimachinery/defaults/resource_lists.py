"""Resource lists (cpu, memory, ...): upstream stores no amount finer than a thousandth, and rounds finer ones up."""

from __future__ import annotations

from apiserver_workers.apimachinery.defaults.rules import Defaulter, Object, split, structs
from apiserver_workers.apimachinery.quantity import NANO, parse, write

MILLI = NANO // 1000


def round_list(resources: Object | None) -> None:
    """Round a resource list's quantities up to thousandths (away from zero), in place."""
    for name, quantity in (resources or {}).items():
        # cheap first: almost every quantity is an integer or has a unit that is coarse enough
        if isinstance(quantity, str) and ("u" in quantity or "n" in quantity or "e-" in quantity or "." in quantity):
            parsed = parse(quantity)
            if parsed.nano % MILLI:
                resources[name] = write(parsed.milli * MILLI, parsed.format)  # type: ignore[index]


def resource_lists(path: str, *fields: str) -> Defaulter:
    """A rule: the named fields of the structs at path are resource lists."""
    steps = split(path)

    def default(obj: Object) -> None:
        for struct in structs(obj, steps):
            for name in fields:
                round_list(struct.get(name))

    return default
