"""What happened, as plain data: faults with the time for which they may be felt, requests, and what is wrong with them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

# how far a fault may be felt by clients of the server that it strikes
PLANNED = "planned"  # not at all
HIDDEN = "hidden"  # writes that were under way get an honest 503
OPEN = "open"  # connections break, requests fail
EVERYWHERE = -1  # as the server of a fault of what all servers share


@dataclass(slots=True)
class Fault:
    """One fault. It may be felt from `begin` to `end`."""

    kind: str
    reach: str
    server: int
    begin: float
    end: float = float("inf")

    def overlaps(self, server: int, begin: float, end: float) -> bool:
        """Whether a request to that server may feel it."""
        return self.server in (server, EVERYWHERE) and self.begin <= end and begin <= self.end


@dataclass(frozen=True, slots=True)
class Answer:
    """One request that did not succeed, or a watch that ended. `status` is 0 if no answer came."""

    what: str  # the request in words
    server: int
    begin: float
    end: float
    status: int
    reads: bool
    retry_after: bool = False


@dataclass
class Records:
    """What all clients and the faults leave behind. Appending to lists needs no lock."""

    faults: list[Fault] = field(default_factory=list)
    failures: list[Answer] = field(default_factory=list)
    ended_watches: list[Answer] = field(default_factory=list)
    violations: list[tuple[str, str]] = field(default_factory=list)  # what is wrong at once
    counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + number

    def violate(self, kind: str, text: str) -> None:
        self.violations.append((kind, text))


def judge(records: Records) -> list[tuple[str, str]]:
    """Everything that must not have happened: its kind and a description."""
    found = list(records.violations)
    judged = ((_fault_of_request(answer, _felt(records.faults, answer)), answer) for answer in records.failures)
    found += [(kind, _describe(answer)) for kind, answer in judged if kind]
    for answer in records.ended_watches:
        felt = _felt(records.faults, answer)
        if OPEN not in felt:
            found.append(("watches ended", f"{_describe(answer)}, {_during(felt)}"))
    return found


def _felt(faults: list[Fault], answer: Answer) -> dict[str, Fault]:
    """By reach, a fault that the request may have felt."""
    return {fault.reach: fault for fault in faults if fault.overlaps(answer.server, answer.begin, answer.end)}


def _fault_of_request(answer: Answer, felt: dict[str, Fault]) -> str:
    if OPEN in felt:
        return ""
    if HIDDEN in felt:
        if answer.reads:
            return f"reads failed during: {felt[HIDDEN].kind}"
        honest = answer.status == 503 and answer.retry_after
        return "" if honest else f"writes failed without an honest 503 during: {felt[HIDDEN].kind}"
    return f"requests failed during: {_during(felt)}"


def _during(felt: dict[str, Fault]) -> str:
    return ", ".join(fault.kind for fault in felt.values()) or "no fault at all"


def _describe(answer: Answer) -> str:
    retry = " with Retry-After" if answer.retry_after else ""
    return f"{answer.what} on server {answer.server} after {answer.end - answer.begin:.2f} s: {answer.status}{retry}"
