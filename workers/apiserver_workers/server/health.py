"""Health checks: /healthz, /livez, /readyz, each check below them, and the same over all servers of the chain.

Answers are upstream's (k8s.io/apiserver/pkg/server/healthz): "ok", one line a check when verbose or failing, and
?exclude=NAME. The front asks the servers behind it for their checks and shows one list.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from apiserver_workers.apimachinery.metrics import MAX, REGISTRY
from apiserver_workers.server.http.messages import Request, Response, page_not_found, text_response
from apiserver_workers.storage.factory import Clusters
from apiserver_workers.storage.interface import Storage

KINDS = ("healthz", "livez", "readyz")
LIVE = ("healthz", "livez")
READY = ("readyz",)
BOOT = "poststarthook/"
FIRST = ("ping", "log", "loopback-serving-certificate", "etcd", "etcd-readiness", "informer-sync")
# Upstream's post-start hooks in the order in which its servers add them, from the innermost to the outermost.
HOOKS = (
    *("start-apiserver-admission-initializer", "generic-apiserver-start-informers"),
    *("priority-and-fairness-config-consumer", "priority-and-fairness-filter", "storage-object-count-tracker-hook"),
    *("start-apiextensions-informers", "start-apiextensions-controllers", "crd-informer-synced"),
    *("start-system-namespaces-controller", "peer-endpoint-reconciler-controller"),
    *("start-cluster-authentication-info-controller", "start-kube-apiserver-identity-lease-controller"),
    *("start-kube-apiserver-identity-lease-garbage-collector", "storage-readiness"),
    *("start-legacy-token-tracking-controller", "start-service-ip-repair-controllers", "rbac/bootstrap-roles"),
    *("scheduling/bootstrap-system-priority-classes", "priority-and-fairness-config-producer", "bootstrap-controller"),
    *("start-kubernetes-service-cidr-controller", "aggregator-reload-proxy-client-cert"),
    *("start-kube-aggregator-informers", "apiservice-status-local-available-controller"),
    *("apiservice-status-remote-available-controller", "apiservice-registration-controller"),
    *("apiservice-discovery-controller", "kube-apiserver-autoregistration"),
)
AFTER_REGISTRATION = (
    *("autoregister-completion", f"{BOOT}apiservice-openapi-controller", f"{BOOT}apiservice-openapiv3-controller"),
    "shutdown",
)
ORDER = {name: rank for rank, name in enumerate((*FIRST, *(BOOT + name for name in HOOKS), *AFTER_REGISTRATION))}
# What upstream does not have comes where its servers end and its last ones begin.
UNKNOWN = ORDER[AFTER_REGISTRATION[0]] - 0.5
CHECK_TIMEOUT = 2.0
REMOTE_EXTRA = 1.0

HEALTHCHECK = REGISTRY.gauge(
    "kubernetes_healthcheck", "This metric records the result of a single healthcheck.", ("name", "type"), merge=MAX
)
HEALTHCHECKS_TOTAL = REGISTRY.counter(
    "kubernetes_healthchecks_total",
    "This metric records the results of all healthcheck.",
    ("name", "status", "type"),
)

log = logging.getLogger(__name__)

Check = Callable[[], str | Awaitable[str]]  # "" when all is well, else what is wrong
Checks = Callable[[], dict[str, str]]  # results of several checks by name, as Hooks.checks gives them
Remote = Callable[[str], Awaitable[dict[str, str]]]  # another server's results of one kind


@dataclass(slots=True, frozen=True)
class _Named:
    name: str
    check: Check
    kinds: tuple[str, ...]
    timeout: float


class HealthChecks:
    """One server's checks. Until `lenient_until` (time.monotonic) /livez does not mind what is still starting."""

    def __init__(self, *, lenient_until: float = 0.0) -> None:
        self._lenient_until = lenient_until
        self._checks: list[_Named] = []
        self._groups: list[tuple[Checks, tuple[str, ...]]] = []
        self._remotes: list[tuple[str, Remote]] = []
        self.add("ping", lambda: "")
        self.add("log", lambda: "")

    def add(self, name: str, check: Check, *, kinds: Sequence[str] = KINDS, timeout: float = CHECK_TIMEOUT) -> None:
        """A check that `kinds` of health show; one that takes longer than `timeout` seconds has failed."""
        self._checks.append(_Named(name, check, tuple(kinds), timeout))

    def add_group(self, checks: Checks, *, prefix: str = "", kinds: Sequence[str] = KINDS) -> None:
        """Checks that come and go together; with Hooks.checks, the prefix is poststarthook/."""
        self._groups.append((lambda: {prefix + name: why for name, why in checks().items()}, tuple(kinds)))

    def add_remote(self, name: str, remote: Remote) -> None:
        """Another server's checks. If it cannot be asked, that is a failed check of this name."""
        self._remotes.append((name, remote))

    async def results(self, kind: str) -> dict[str, str]:
        """Every check's name and what is wrong, in upstream's order."""
        lenient = kind == "livez" and time.monotonic() < self._lenient_until
        groups = {name: why for group, kinds in self._groups if kind in kinds for name, why in group().items()}
        own = [named for named in self._checks if kind in named.kinds]
        # The servers behind have the same checks and need as long for them.
        patience = max((named.timeout for named in own), default=CHECK_TIMEOUT) + REMOTE_EXTRA
        answers, remotes = await asyncio.gather(
            asyncio.gather(*(_run(named) for named in own)),
            asyncio.gather(*(_ask(name, remote, kind, patience) for name, remote in self._remotes)),
        )
        found = {named.name: answer for named, answer in zip(own, answers, strict=True)}
        for theirs in remotes:
            for name, why in theirs.items():
                found[name] = found.get(name) or why
        starting = {name: "" for name in groups if lenient and name.startswith(BOOT)}
        found.update(groups | starting)
        return dict(sorted(found.items(), key=lambda item: _rank(item[0])))

    async def handle(self, request: Request) -> Response:
        """Answer /KIND and /KIND/CHECK."""
        kind, _, name = request.path.strip("/").partition("/")
        results = await self.results(kind)
        _count(kind, results)
        if name:
            return _single(results, name)
        return _whole(kind, results, request.query)


def add_storage_checks(
    health: HealthChecks, clusters: Clusters, synced: Callable[[], bool], *, live: float, ready: float
) -> None:
    """The checks of a server with a watch cache: every etcd answers, for /healthz and /livez within `live` seconds, for
    /readyz within `ready` too, and the cache follows (`synced`)."""
    for number, storage in enumerate(clusters.all):
        suffix = f"-{number - 1}" if number else ""
        name = "etcd-override" if number else "etcd"
        check = functools.partial(_answers, storage)
        health.add(name + suffix, check, timeout=live)
        health.add(f"{name}-readiness{suffix}", check, kinds=READY, timeout=ready)
    health.add("informer-sync", lambda: "" if synced() else "the watch cache does not follow etcd", kinds=READY)


async def _answers(storage: Storage) -> str:
    await storage.current_revision()
    return ""


def crash_loops(file: Path) -> dict[str, str]:
    """A failed check for each role whose processes die again and again, as the master says in that file."""
    try:
        return {f"crash-loop/{role}": text for role, text in json.loads(file.read_text()).items()}
    except FileNotFoundError:
        return {}


def is_health_path(path: str) -> bool:
    return path.startswith(("/healthz", "/livez", "/readyz")) and path.split("/", 2)[1] in KINDS


def _single(results: dict[str, str], name: str) -> Response:
    why = results.get(name)
    if why is None:
        return page_not_found()
    return text_response(f"internal server error: {why}\n", 500) if why else text_response("ok")


def _whole(kind: str, results: dict[str, str], query: dict[str, list[str]]) -> Response:
    excluded = [name for name in dict.fromkeys(query.get("exclude", [])) if name]
    lines, failed = [], []
    for name, why in results.items():
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok\n")
        elif why:
            lines.append(f"[-]{name} failed: reason withheld\n")
            failed.append(f"{name}: {why}")
        else:
            lines.append(f"[+]{name} ok\n")
    unknown = [name for name in excluded if name not in results]
    if unknown:
        quoted = ", ".join(json.dumps(name) for name in unknown)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {quoted}\n")
    if failed:
        log.debug("%s check failed: %s", kind, "; ".join(failed))
        return text_response(f"{''.join(lines)}{kind} check failed\n", 500)
    if "verbose" not in query:
        return text_response("ok")
    return text_response(f"{''.join(lines)}{kind} check passed\n")


def parse_verbose(text: str) -> dict[str, str]:
    """Another server's checks out of its verbose answer."""
    results = {}
    for line in text.splitlines():
        if line.startswith(("[+]", "[-]")):
            name, _, rest = line[3:].partition(" ")
            results[name] = "" if line.startswith("[+]") else rest
    return results


async def _run(named: _Named) -> str:
    try:
        why = named.check()
        return why if isinstance(why, str) else await asyncio.wait_for(why, named.timeout)
    except TimeoutError:
        return f"no answer within {named.timeout:g} s"
    except Exception as error:
        return str(error) or type(error).__name__


async def _ask(name: str, remote: Remote, kind: str, timeout: float) -> dict[str, str]:
    try:
        return await asyncio.wait_for(remote(kind), timeout)
    except Exception as error:
        return {name: str(error) or type(error).__name__}


def _rank(name: str) -> float:
    return ORDER.get(name, UNKNOWN)


def _count(kind: str, results: dict[str, str]) -> None:
    for name, why in results.items():
        HEALTHCHECK.set(0.0 if why else 1.0, (name, kind))
        HEALTHCHECKS_TOTAL.inc((name, "error" if why else "success", kind))
