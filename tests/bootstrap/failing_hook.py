"""The command with a post-start hook that fails, and a master that waits for it not quite so long."""

from __future__ import annotations

from supervisor import master
from supervisor.cli import main
from workers.core.bootstrap import system
from workers.core.bootstrap.objects import Objects


async def fail(objects: Objects) -> None:
    raise RuntimeError("told to fail")


if __name__ == "__main__":
    master.READY_WITHIN = 15.0
    system.ensure_priority_classes = fail
    main()
