"""What CEL rules cost: compiling and evaluating, beside the budget. CPU time, the best of several rounds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from apiserver_workers.apimachinery.cel.compiler import check_expression
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.env import environment
from apiserver_workers.apimachinery.cel.program import Program, build
from apiserver_workers.apimachinery.cel.schema import declare

LIMIT = 1_000_000
ROUNDS = 7
TEXT = {"type": "string", "maxLength": 63}
PORT = {"type": "object", "properties": {"name": TEXT, "port": {"type": "integer"}, "protocol": TEXT}}
SCHEMA = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "replicas": {"type": "integer"},
        "most": {"type": "integer"},
        "timeout": {"type": "string", "format": "duration"},
        "tags": {"type": "array", "maxItems": 10, "items": TEXT},
        "labels": {"type": "object", "maxProperties": 100, "additionalProperties": TEXT},
        "spec": {
            "type": "object",
            "properties": {"type": TEXT, "ports": {"type": "array", "maxItems": 50, "items": PORT}},
        },
    },
}
# An object of 4 KB.
OBJECT = {
    "name": "web-frontend",
    "replicas": 3,
    "most": 10,
    "timeout": "30s",
    "tags": ["a", "b", "c"],
    "labels": {f"label-{number:02d}": f"value-{number:03d}" for number in range(90)},
    "spec": {
        "type": "ClusterIP",
        "ports": [{"name": f"port-{number}", "port": 8000 + number, "protocol": "TCP"} for number in range(20)],
    },
}
# Rules as custom resources have them: microseconds that one may take.
SMALL, LARGE = 5.0, 15.0
RULES: tuple[tuple[str, float], ...] = (
    ("self.replicas <= self.most", SMALL),
    ("self.name.startsWith('web')", SMALL),
    ("has(self.spec) && self.spec.type == 'ClusterIP'", SMALL),
    ("self.spec.type in ['ClusterIP', 'NodePort']", SMALL),
    ("!has(oldSelf.name) || self.name == oldSelf.name", SMALL),
    ("self.timeout < duration('1m')", SMALL),
    ("self.labels['label-07'] == 'value-007'", SMALL),
    ("self.name.matches('^[a-z-]+$')", SMALL),
    ("self.tags.all(t, size(t) < 10)", SMALL),
    ("self.spec.ports.exists(p, p.name == 'port-9')", LARGE),
    ("self.spec.ports.all(p, p.port > 0 && p.port < 65536)", LARGE),
    ("self == oldSelf", LARGE),
)
TEN_RULES = 150.0
COMPILE_BUDGET = 1000.0


def best(action: Callable[[], Any], times: int) -> float:
    """Microseconds of CPU that one action takes, in the best round."""
    rounds = []
    for _ in range(ROUNDS):
        before = time.process_time()
        for _ in range(times):
            action()
        rounds.append((time.process_time() - before) / times)
    return min(rounds) * 1e6


def main() -> None:
    """Prints both tables."""
    declared = declare(SCHEMA)
    assert declared is not None
    variables = {"self": declared.type, "oldSelf": declared.type}
    declarations = Declarations(variables=variables, structs=declared.structs, root=declared)
    known = environment(36)
    schemas = {"self": declared, "oldSelf": declared}

    def make(rule: str) -> Program:
        return build(check_expression(rule, known, declarations), known.by_name, schemas)

    activation = {"self": OBJECT, "oldSelf": json.loads(json.dumps(OBJECT))}
    print(f"{'rule (µs of CPU)':<56}{'evaluate':>10}{'budget':>8}{'compile':>10}{'budget':>8}")
    total = 0.0
    for rule, budget in RULES:
        program = make(rule)
        outcome = program.run(activation, LIMIT)
        assert outcome.value is True, (rule, outcome)
        taken = best(lambda program=program: program.run(activation, LIMIT), 200)  # type: ignore[misc]
        compiling = best(lambda rule=rule: make(rule), 5)  # type: ignore[misc]
        print(f"{rule:<56}{taken:>10.2f}{budget:>8.0f}{compiling:>10.0f}{COMPILE_BUDGET:>8.0f}")
        total += taken
    print(f"{'ten such rules on one write':<56}{total / len(RULES) * 10:>10.2f}{TEN_RULES:>8.0f}")


if __name__ == "__main__":
    main()
