"""The children of a master by their roles, and what is asked of one or of all of them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.children import Child
from apiserver_supervisor.control import ControlError
from apiserver_supervisor.groups import WorkerGroup
from apiserver_supervisor.run_folder import ROLES

MAX_WORKERS = 64  # of one group


class Roles(dict[str, Child]):
    """The children of one server."""

    def groups(self) -> Iterator[WorkerGroup]:
        """The roles that several workers serve."""
        return (child for child in self.values() if isinstance(child, WorkerGroup))

    def group(self, role: str) -> WorkerGroup:
        """The group of a role that is known to have one."""
        found = self[role]
        assert isinstance(found, WorkerGroup)
        return found

    def named(self, role: str) -> Child:
        """The child of a role that a client named. Raises ControlError."""
        if role not in self:
            raise ControlError(f'unknown role "{role}", there are {", ".join(self)}')
        return self[role]

    def restart(self, role: str) -> None:
        """Restart a role: workers one after the other with the sockets open, anything else at once. Raises ControlError."""
        child = self.named(role)
        if isinstance(child, WorkerGroup):
            child.roll()
        else:
            child.signal(signal.SIGTERM)

    def scale(self, role: str, workers: int) -> None:
        """Let a group have this many workers. Raises ControlError."""
        group = self.named(role)
        if not isinstance(group, WorkerGroup):
            raise ControlError(f"{role} cannot be scaled, only {', '.join(ROLES)}")
        if not 1 <= workers <= MAX_WORKERS:
            raise ControlError(f"the number of workers must be between 1 and {MAX_WORKERS}")
        group.scale(workers)

    def take_out(self, *roles: str) -> list[Child]:
        """Remove the children of these roles, as far as there are any: they are not started again."""
        return [self.pop(role) for role in roles if role in self]

    def legacy(self) -> dict[str, dict[str, Any]]:
        """What the next program has to know of each."""
        return {role: child.legacy() for role, child in self.items()}

    @property
    def ready(self) -> bool:
        """Whether every group has its workers."""
        return all(group.ready for group in self.groups())

    @property
    def settled(self) -> bool:
        """Whether every group has its workers and changes none of them."""
        return all(group.ready and group.settled for group in self.groups())
