"""Feature gates: which there are, what they are by default, and which of them are on (component-base/featuregate).

data/feature_gates.json has the life of each gate, a word for each change: `a1.31 B1.32 G1.34!` is alpha and off from
1.31, beta and on from 1.32, stable, on and locked from 1.34 (`d` is deprecated; a capital is on). `needs` are the gates
without which a gate cannot be on.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from apiserver_workers.apimachinery.types import DEFAULT_MINOR

DATA = Path(__file__).parent / "data" / "feature_gates.json"

ALPHA, BETA, GA, DEPRECATED, PRE_ALPHA = "ALPHA", "BETA", "", "DEPRECATED", "PREALPHA"
STAGES = {"a": ALPHA, "b": BETA, "g": GA, "d": DEPRECATED}
# Gates that stand for all gates of a stage.
SPECIAL = {"AllAlpha": ALPHA, "AllBeta": BETA}

Settings = Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate in one minor version."""

    name: str
    stage: str
    default: bool
    locked: bool = False


def gates_of(minor: str = DEFAULT_MINOR) -> list[Gate]:
    """The gates that the minor version has."""
    return [gate for gate in known_gates(minor).values() if gate.stage != PRE_ALPHA]


def known_gates(minor: str = DEFAULT_MINOR) -> dict[str, Gate]:
    """Every gate as it is in that minor version; one that comes later is PREALPHA and off."""
    return {name: _at(name, life, _number(minor)) for name, life in _data()["gates"].items()}


def enabled_gates(settings: Settings, minor: str = DEFAULT_MINOR) -> dict[str, bool]:
    """What each gate is with these settings."""
    return _enabled(settings, known_gates(minor))


def faults(settings: Settings, minor: str = DEFAULT_MINOR) -> list[str]:
    """What is wrong with settings of --feature-gates, in upstream's words."""
    gates = known_gates(minor)
    unknown = next((name for name in settings if name not in gates), None)
    if unknown is not None:
        return [f"unrecognized feature gate: {unknown}"]
    found = [fault for name, value in settings.items() for fault in _setting_faults(gates[name], value, minor)]
    return found or list(_unmet(_enabled(settings, gates)))


def warnings(settings: Settings, minor: str = DEFAULT_MINOR) -> Iterator[str]:
    """What upstream warns of when such gates are set."""
    gates = known_gates(minor)
    for name, value in settings.items():
        word = {DEPRECATED: "deprecated", GA: "GA"}.get(gates[name].stage)
        if word:
            yield f"Setting {word} feature gate {name}={str(value).lower()}. It will be removed in a future release."


def _setting_faults(gate: Gate, value: bool, minor: str) -> Iterator[str]:
    shown = f"cannot set feature gate {gate.name} to {str(value).lower()}, feature is"
    if gate.locked and gate.default != value:
        yield f"{shown} locked to {str(gate.default).lower()}"
    elif gate.stage == PRE_ALPHA:
        yield f"{shown} PreAlpha at emulated version {minor}"


def _enabled(settings: Settings, gates: Mapping[str, Gate]) -> dict[str, bool]:
    stages = {stage: settings[name] for name, stage in SPECIAL.items() if name in settings}
    return {
        name: settings[name] if name in settings else gate.default if name in SPECIAL else _of_stage(gate, stages)
        for name, gate in gates.items()
    }


def _of_stage(gate: Gate, stages: Mapping[str, bool]) -> bool:
    return stages.get(gate.stage, gate.default)


def _unmet(enabled: Settings) -> Iterator[str]:
    for name, needs in _data()["needs"].items():
        off = [need for need in needs if not enabled[need]]
        if enabled[name] and off:
            yield f"{name} is enabled, but depends on features that are disabled: [{' '.join(off)}]"


def _at(name: str, life: str, minor: int) -> Gate:
    found = Gate(name, PRE_ALPHA, False)
    for change in life.split():
        since = change[1:].rstrip("!")
        if _number(since) <= minor:
            letter = change[0]
            found = Gate(name, STAGES[letter.lower()], letter.isupper(), change.endswith("!"))
    return found


def _number(minor: str) -> int:
    return int(minor.partition(".")[2])


@functools.cache
def _data() -> dict[str, Any]:
    data: dict[str, Any] = orjson.loads(DATA.read_bytes())
    return data


def use(settings: Settings, minor: str = DEFAULT_MINOR) -> None:
    """The gates of this process are these from now on."""
    global _used
    _used = enabled_gates(settings, minor)


def enabled(name: str) -> bool:
    """Whether a gate is on in this process. Raises KeyError for a gate that does not exist."""
    global _used
    if _used is None:
        _used = enabled_gates({})
    return _used[name]


_used: dict[str, bool] | None = None
