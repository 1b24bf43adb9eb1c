"""The type of --feature-gates: `Gate=true,kube:Other=false`, as a map of names to booleans.

Whether such gates exist and may be set depends on the version that is served, so that is checked when the options are
complete (`gate_faults`); a bad boolean or component is refused at once.
"""

from __future__ import annotations

from apiserver_supervisor.options.flag import FlagError, FlagType, parse_bool

COMPONENT = "kube"


def parse_gates(text: str, before: dict[str, bool] | None = None) -> dict[str, bool]:
    """The gates of one use of the flag, over those of earlier ones."""
    found = dict(before or {})
    prefixed: set[bool] = set()
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = item.partition("=")
        component, colon, name = key.strip().rpartition(":")
        if colon and component != COMPONENT:
            raise FlagError(f"component not registered: {component}")
        prefixed.add(bool(colon))
        if not equals:
            raise FlagError(f"missing bool value for {name}")
        found[name] = _boolean(name, value.strip())
    if len(prefixed) > 1:
        raise FlagError("set kube feature gates with default empty prefix or kube: prefix consistently, do not mix use")
    return found


def format_gates(gates: dict[str, bool]) -> str:
    return ",".join(f"{name}={str(value).lower()}" for name, value in sorted(gates.items()))


def gate_faults(gates: dict[str, bool], minor: str) -> list[str]:
    """What is wrong with the gates in that minor version."""
    if not gates:
        return []
    from apiserver_workers.apimachinery.feature_gates import faults  # reads the table: only when a gate is set

    return [
        f'invalid argument "{format_gates(gates)}" for "--feature-gates" flag: {fault}'
        for fault in faults(gates, minor)
    ]


def gate_warnings(gates: dict[str, bool], minor: str) -> list[str]:
    """What to warn of at start."""
    if not gates:
        return []
    from apiserver_workers.apimachinery.feature_gates import warnings

    return list(warnings(gates, minor))


def _boolean(name: str, value: str) -> bool:
    try:
        return parse_bool(value)
    except FlagError:
        text = f'invalid value of {name}={value}, err: strconv.ParseBool: parsing "{value}": invalid syntax'
        raise FlagError(text) from None


FEATURE_GATES = FlagType("mapStringBool", parse_gates, format_gates, collection=dict)
