"""The servers of this user on this machine, found by their folders."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apiserver_supervisor.completion import default_run_dir, state_dir
from apiserver_supervisor.run_folder import held


@dataclass(frozen=True, slots=True)
class Instance:
    """One server in the default folders of its name. `pid` is the master's, 0 if it does not run."""

    name: str
    run_dir: Path
    data_dir: Path
    pid: int

    @property
    def state(self) -> str:
        """`running` or `stopped`."""
        return "running" if self.pid else "stopped"

    def as_dict(self) -> dict[str, Any]:
        """What `list -o json` prints of it."""
        return {
            "instance": self.name,
            "state": self.state,
            "pid": self.pid or None,
            "runDir": str(self.run_dir),
            "dataDir": str(self.data_dir),
        }


def find_instances() -> list[Instance]:
    """Every instance that runs in its default folder or has kept data there, by name."""
    runs, states = default_run_dir("default").parent, state_dir("default").parent
    folders = {states} if runs.is_relative_to(states) else {runs, states}
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_dir()}
    found = [_instance(name) for name in sorted(names)]
    return [instance for instance in found if instance.pid or instance.data_dir.is_dir()]


def _instance(name: str) -> Instance:
    run = default_run_dir(name)
    return Instance(name, run, state_dir(name) / "data", held(run) or 0)


def remove(*folders: Path) -> list[Path]:
    """Remove folders and what is empty above them as far as it is ours; those that were there. Raises OSError."""
    there = [folder for folder in folders if folder.exists()]
    for folder in there:
        shutil.rmtree(folder)
        parent = folder.parent
        if parent.parent.name == "apiserver-supervisor" and not any(parent.iterdir()):
            parent.rmdir()
    return there
