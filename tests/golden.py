"""Replays recorded transcripts against a fresh server and compares the counts per scenario with a floor.

The floor only rises: a scenario in which fewer steps match than before fails, and `--raise` writes better counts down.
Areas that the server does not serve yet are left out, because their scenarios wait for what never comes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.running import RunningServer

FLOOR = Path(__file__).with_name("golden-floor.json")
AREAS = (
    *("admission", "apply", "auth", "core", "discovery", "errors", "list-watch", "resources", "wire"),
    *("custom", "extension", "fuzz", "fuzz-extensions", "life"),
)
SCENARIO_TIMEOUT = 60
# the settings that the transcripts were recorded with
SETTINGS = (
    "--authorization-mode=Node,RBAC",
    "--anonymous-auth=true",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged=true",
    "--service-cluster-ip-range=10.0.0.0/24",
    "--service-account-issuer=https://kubernetes.default.svc",
    "--advertise-address=192.0.2.10",
)


def main() -> int:
    """Exit status 0 if no scenario falls below its floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds replay.py, scenarios/, golden/ and tokens.csv")
    parser.add_argument("--raise", dest="upwards", action="store_true", help="write higher counts into the floor file")
    options = parser.parse_args()
    floor: dict[str, int] = json.loads(FLOOR.read_text()) if FLOOR.exists() else {}
    passed = replay(options.folder, floor)
    fallen = {name: (count, passed.get(name, 0)) for name, count in floor.items() if passed.get(name, 0) < count}
    for name, (before, now) in fallen.items():
        print(f"{name}: {now} steps match, {before} did before", file=sys.stderr)
    if options.upwards:
        risen = {name: max(count, floor.get(name, 0)) for name, count in (floor | passed).items()}
        FLOOR.write_text(json.dumps(risen, indent=1, sort_keys=True) + "\n")
    print(f"golden: {sum(passed.values())} steps match, the floor is {sum(floor.values())}")
    return 1 if fallen else 0


def replay(folder: Path, floor: dict[str, int]) -> dict[str, int]:
    """How many steps of each scenario match.

    A scenario below its floor is replayed once more: a few answers depend on where in a second a step falls.
    """
    with tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        tokens = folder / "tokens.csv"
        with RunningServer(Path(scratch), *SETTINGS, f"--token-auth-file={tokens}") as server:
            results = Path(scratch, "results.json")
            command = [sys.executable, str(folder / "replay.py"), "--server", server.url, "--insecure"]
            command += [f"--scenario-timeout={SCENARIO_TIMEOUT}", f"--token-file={tokens}", f"--json={results}"]
            passed = count([*command, "--quiet", *(f"--area={area}" for area in AREAS)], results)
            if again := [name for name, least in floor.items() if passed.get(name, 0) < least]:
                second = count([*command, *again], results)
                passed |= {name: max(number, passed.get(name, 0)) for name, number in second.items()}
    return passed


def count(command: list[str], results: Path) -> dict[str, int]:
    """Run the replayer; the steps that match, by scenario."""
    subprocess.run(command, check=False)
    scenarios = json.loads(results.read_text())["scenarios"]
    return {scenario["name"]: sum(step["ok"] for step in scenario["steps"]) for scenario in scenarios}


if __name__ == "__main__":
    sys.exit(main())
