"""The command with a post-start hook that fails, and a master that waits for it not quite so long."""

from __future__ import annotations

from apiserver_supervisor import master
from apiserver_supervisor.cli import main
from apiserver_workers.core.bootstrap import system
from apiserver_workers.core.bootstrap.objects import Objects


async def fail(objects: Objects) -> None:
    raise RuntimeError("told to fail")


if __name__ == "__main__":
    master.READY_WITHIN = 15.0
    system.ensure_priority_classes = fail
    main()
