"""What this server's operator permits, set once a process before anything is validated (upstream: pkg/capabilities)."""

from __future__ import annotations

_permitted: set[str] = set()
PRIVILEGED = "privileged containers"


def setup(*, allow_privileged: bool) -> None:
    """Say what is permitted, from --allow-privileged."""
    _permitted.clear()
    if allow_privileged:
        _permitted.add(PRIVILEGED)


def permitted(what: str) -> bool:
    """Whether the operator permits it."""
    return what in _permitted
