"""What every check of pod security is made of: a result, and the words that messages share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from apiserver_workers.admission.pod_references import containers

Object = dict[str, Any]


class Violation(NamedTuple):
    """Why a check forbids a pod: the reason in short, and where exactly."""

    reason: str
    detail: str


# A check of (metadata, spec): a violation, or None.
Checker = Callable[[Object, Object], Violation | None]


class Check(NamedTuple):
    """A check by its upstream name: from which minor version on which function decides."""

    name: str
    versions: tuple[tuple[int, Checker], ...]
    overrides: tuple[str, ...] = ()  # checks of the level below that this one makes superfluous

    def at(self, minor: int) -> Checker | None:
        """The function in force in a minor version, None before there was one."""
        found = None
        for since, checker in self.versions:
            if since <= minor:
                found = checker
        return found


def quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def plural(singular: str, count: int, many: str = "") -> str:
    return singular if count == 1 else many or f"{singular}s"


def containers_named(names: list[str]) -> str:
    """`container "a"` or `containers "a", "b"`."""
    return f"{plural('container', len(names))} {quoted(names)}"


def setters(pod: bool, names: list[str]) -> str:
    """`pod and container "a"`: who set something, "" for nobody."""
    return " and ".join((["pod"] if pod else []) + ([containers_named(names)] if names else []))


def contexts(spec: Object) -> Iterator[tuple[str, Object]]:
    """Each container's name and security context."""
    for container in containers(spec):
        yield container.get("name", ""), container.get("securityContext") or {}


def pod_context(spec: Object) -> Object:
    return spec.get("securityContext") or {}


def is_windows(spec: Object) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"


def has_own_users(spec: Object) -> bool:
    """Whether the pod's users are not the host's, so that its root is nobody there."""
    return spec.get("hostUsers") is False
