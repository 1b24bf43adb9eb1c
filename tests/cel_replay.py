"""Replays recorded CEL expressions and compares what our engine answers, category by category, with a floor.

A line of the file is a case: an expression with its variables, or a schema with a rule, and what Kubernetes' own code
answered (type, static cost, result or error, runtime cost). The floor only rises: a category in which fewer cases agree
than before fails, and `--raise` writes better counts down.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "workers"))

from apiserver_workers.apimachinery.cel import env
from apiserver_workers.apimachinery.cel.ast import Checked
from apiserver_workers.apimachinery.cel.compiler import check_expression, estimate_cost
from apiserver_workers.apimachinery.cel.declarations import Declarations
from apiserver_workers.apimachinery.cel.faults import CompileError
from apiserver_workers.apimachinery.cel.program import Outcome, ProgramFault, build
from apiserver_workers.apimachinery.cel.schema import LARGEST_REQUEST, Declared, declare
from apiserver_workers.apimachinery.cel.text import result
from apiserver_workers.apimachinery.cel.types import optional_of, parse_type
from apiserver_workers.apimachinery.cel.values import Optional
from apiserver_workers.apimachinery.cel.variables import admission_declarations
from apiserver_workers.apimachinery.cel.views import Shape

FLOOR = Path(__file__).with_name("cel-floor.json")
CATEGORIES = ("result", "type", "static cost", "runtime cost", "compile error", "runtime error")
LIMIT = 1_000_000
Case = dict[str, Any]


@dataclass
class Tally:
    """How many cases of each category agree, and in which cases something does not."""

    agreed: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    whole: int = 0
    cases: int = 0
    differences: list[str] = field(default_factory=list)


def main() -> int:
    """Exit status 0 if no category falls below its floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="a case in JSON on each line")
    parser.add_argument("--raise", dest="upwards", action="store_true", help="write higher counts into the floor file")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print the first N differences")
    options = parser.parse_args()
    tally = replay(options.file)
    for difference in tally.differences[: options.show]:
        print(difference)
    for category in CATEGORIES:
        print(f"{category}: {tally.agreed[category]} of {tally.asked[category]} agree")
    fallen = compare_with_floor(options.file.name, tally, options.upwards)
    print(f"{tally.whole} of {tally.cases} cases agree in everything")
    return 1 if fallen else 0


def compare_with_floor(name: str, tally: Tally, upwards: bool) -> list[str]:
    """The categories below the floor of this file; they are printed."""
    floors: dict[str, dict[str, int]] = json.loads(FLOOR.read_text()) if FLOOR.exists() else {}
    floor = floors.get(name, {})
    fallen = [category for category, count in floor.items() if tally.agreed[category] < count]
    for category in fallen:
        print(f"{category}: {tally.agreed[category]} agree, {floor[category]} did before", file=sys.stderr)
    if upwards:
        floors[name] = {category: max(tally.agreed[category], floor.get(category, 0)) for category in CATEGORIES}
        FLOOR.write_text(json.dumps(floors, indent=1, sort_keys=True) + "\n")
    return fallen


def replay(path: Path) -> Tally:
    """Runs all cases of a file."""
    tally = Tally()
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                _add(tally, json.loads(line))
    return tally


def _add(tally: Tally, case: Case) -> None:
    answered = answer(case)
    tally.cases += 1
    whole = True
    for category, expected, found in comparisons(case["expect"], answered):
        tally.asked[category] += 1
        if expected == found:
            tally.agreed[category] += 1
            continue
        whole = False
        text = f"{case['id']}: {case['rule']!r}\n  {category}: expected {expected!r}\n  but found {found!r}"
        tally.differences.append(text)
    tally.whole += whole


def comparisons(expect: Case, answered: Case) -> Iterator[tuple[str, Any, Any]]:
    """Each category that a case asks about, with what is expected and what was found."""
    if "cerr" in expect:
        yield "compile error", expect["cerr"], answered.get("cerr")
        return
    if "type" in expect:
        yield "type", expect["type"], answered.get("type")
    if "maxCost" in expect:
        names = ("minCost", "maxCost", "maxCard")
        expected = {name: expect[name] for name in names if name in expect}
        yield "static cost", expected, {name: answered.get(name) for name in expected}
    if "res" in expect:
        found = answered.get("res", answered.get("rerr", answered.get("cerr")))
        yield "result", expect["res"], found
    if "rerr" in expect:
        yield "runtime error", expect["rerr"], answered.get("rerr", answered.get("cerr"))
    if "cost" in expect:
        yield "runtime cost", expect["cost"], answered.get("cost")


# What our engine answers


def answer(case: Case) -> Case:
    """What our engine says about a case, with the keys of the case's `expect`."""
    mode = _MODES[case["mode"]]
    return mode(case)


def _raw(case: Case) -> Case:
    variables = {name: parse_type(text) for name, text in case["vars"].items()}
    return _answer(case, Declarations(variables), case.get("data"), prefix="")


def _crd(case: Case) -> Case:
    root = declare(case["schema"], root=bool(case.get("root")))
    assert root is not None
    optional = bool(case.get("opt"))
    variables = {"self": root.type, "oldSelf": optional_of(root.type) if optional else root.type}
    schemas = {"self": root}
    activation = {"self": case["self"]}
    if case.get("hasOld"):
        old = case["oldSelf"]
        activation["oldSelf"] = Optional(Shape(root).wrap(old)) if optional else old
    if not optional:
        schemas["oldSelf"] = root
    declarations = Declarations(variables, structs=root.structs, schemas=schemas, root=root)
    answered = _answer(case, declarations, activation, prefix="compilation failed: ")
    return answered | {"maxCard": str(_cardinality(root))}


def _cardinality(root: Declared) -> int:
    return LARGEST_REQUEST // (root.smallest + 1)


def _vap(case: Case) -> Case:
    declarations = admission_declarations(params=True, authorizer=True, patch=bool(case.get("patch")))
    return _answer(case, declarations, case.get("data"), prefix="compilation failed: ")


_MODES = {"raw": _raw, "crd": _crd, "vap": _vap, "map": _vap}


def _answer(case: Case, declarations: Declarations, activation: Case | None, *, prefix: str) -> Case:
    extra = (env.PATCH,) if case.get("patch") else ()
    environment = env.environment(env.EVERYTHING, *extra)
    try:
        checked = check_expression(case["rule"], environment, declarations)
    except CompileError as error:
        return {"cerr": prefix + str(error)}
    answered = _static(checked, environment, declarations)
    try:
        program = build(checked, environment.by_name, declarations.schemas)
    except ProgramFault as fault:
        return answered | {"cerr": f"PROGRAM {fault}"}
    if case.get("noEval"):
        return answered
    return answered | _outcome(program.run(activation or {}, LIMIT))


def _static(checked: Checked, environment: env.Environment, declarations: Declarations) -> Case:
    cost = estimate_cost(checked, environment, declarations)
    return {"type": checked.type.long_text, "minCost": str(cost.min), "maxCost": str(cost.max)}


def _outcome(outcome: Outcome) -> Case:
    if outcome.failure is not None:
        return {"rerr": str(outcome.failure), "cost": outcome.cost}
    return {"res": result(outcome.value), "cost": outcome.cost}


if __name__ == "__main__":
    sys.exit(main())
