"""The server's metrics: what is counted about requests, and how one scrape gathers all workers' numbers.

Each worker answers on a private socket in the run folder with its snapshot; whichever front worker is asked for /metrics
asks them all and adds up.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

import orjson

from apiserver_workers.apimachinery.memo import Kept
from apiserver_workers.apimachinery.metrics import MAX, MIN, REGISTRY, Labels, merged, render
from apiserver_workers.server.http.messages import Request, Response
from apiserver_workers.server.http.request_info import RequestInfo
from apiserver_workers.server.metric_choice import MetricChoice
from apiserver_workers.server.process.siblings import ask_workers

SCRAPE_TIMEOUT = 2.0
TEXT_FORMAT = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

DURATIONS = (
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
)  # fmt: skip
_REQUEST = ("verb", "group", "version", "resource", "subresource", "scope", "component")

REQUESTS = REGISTRY.counter(
    "apiserver_request_total",
    "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, "
    "and HTTP response code.",
    ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component", "code"),
)
REQUEST_SECONDS = REGISTRY.histogram(
    "apiserver_request_duration_seconds",
    "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, "
    "scope and component.",
    ("verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"),
    buckets=DURATIONS,
)
IN_FLIGHT = REGISTRY.gauge(
    "apiserver_current_inflight_requests",
    "Maximal number of currently used inflight request limit of this apiserver per request kind in last second.",
    ("request_kind",),
)
LONG_RUNNING = REGISTRY.gauge(
    "apiserver_longrunning_requests",
    "Gauge of all active long-running apiserver requests broken out by verb, group, version, resource, scope and "
    "component. Not all requests are tracked this way.",
    _REQUEST,
)
AUTHENTICATION_ATTEMPTS = REGISTRY.counter("authentication_attempts", "Counter of authenticated attempts.", ("result",))
# k8s.io/component-base: ExponentialBuckets(0.001, 2, 15)
AUTH_DURATIONS = tuple(0.001 * 2**step for step in range(15))
AUTHENTICATION_SECONDS = REGISTRY.histogram(
    "authentication_duration_seconds",
    "Authentication duration in seconds broken out by result.",
    ("result",),
    buckets=AUTH_DURATIONS,
)
AUTHORIZATION_SECONDS = REGISTRY.histogram(
    "authorization_duration_seconds",
    "Authorization duration in seconds broken out by result.",
    ("result",),
    buckets=AUTH_DURATIONS,
)
CERTIFICATE_LIFE = REGISTRY.histogram(
    "apiserver_client_certificate_expiration_seconds",
    "Distribution of the remaining lifetime on the certificate used to authenticate a request.",
    buckets=(0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000),
)
AUTHENTICATED_USERS = REGISTRY.counter(
    "authenticated_user_requests", "Counter of authenticated requests broken out by username.", ("username",)
)
AUTHORIZATION_ATTEMPTS = REGISTRY.counter(
    "authorization_attempts_total", "Counter of authorization attempts broken down by result.", ("result",)
)
TOKEN_CACHE_REQUESTS = REGISTRY.counter("authentication_token_cache_request_total", "", ("status",))
TOKEN_CACHE_FETCHES = REGISTRY.counter("authentication_token_cache_fetch_total", "", ("status",))
JWT_SECONDS = REGISTRY.histogram(
    "apiserver_authentication_jwt_authenticator_latency_seconds",
    "Latency of jwt authentication operations in seconds. This is the time spent authenticating a token for cache miss "
    "only (i.e. when the token is not found in the cache).",
    ("result", "jwt_issuer_hash"),
    buckets=(0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
VALID_TOKENS = REGISTRY.counter(
    "serviceaccount_valid_tokens_total", "Cumulative valid projected service account tokens used"
)
STALE_TOKENS = REGISTRY.counter(
    "serviceaccount_stale_tokens_total", "Cumulative stale projected service account tokens used"
)
LEGACY_TOKENS = REGISTRY.counter("serviceaccount_legacy_tokens_total", "Cumulative legacy service account tokens used")
AUTHORIZATION_DECISIONS = REGISTRY.counter(
    "apiserver_authorization_decisions_total",
    "Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.",
    ("decision", "name", "type"),
)
WEBHOOK_EVALUATIONS = REGISTRY.counter(
    "apiserver_authorization_webhook_evaluations_total",
    "Round-trips to authorization webhooks.",
    ("name", "result"),
)
WEBHOOK_FAIL_OPEN = REGISTRY.counter(
    "apiserver_authorization_webhook_evaluations_fail_open_total",
    "NoOpinion results due to webhook timeout or error.",
    ("name", "result"),
)
WEBHOOK_SECONDS = REGISTRY.histogram(
    "apiserver_authorization_webhook_duration_seconds",
    "Request latency in seconds.",
    ("name", "result"),
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
STORAGE_OBJECTS = REGISTRY.gauge(
    "apiserver_storage_objects",
    "Number of stored objects at the time of last check split by kind.",
    ("resource",),
    merge=MAX,
)
RESOURCE_OBJECTS = REGISTRY.gauge(
    "apiserver_resource_objects",
    "Number of stored objects at the time of last check split by kind.",
    ("group", "resource"),
    merge=MAX,
)
BUILD_INFO = REGISTRY.gauge(
    "kubernetes_build_info",
    "A metric with a constant '1' value labeled by major, minor, git version, platform and compiler.",
    ("compiler", "git_version", "major", "minor", "platform"),
    merge=MAX,
)
DEPRECATED_APIS = REGISTRY.gauge(
    "apiserver_requested_deprecated_apis",
    "Gauge of deprecated APIs that have been requested, broken out by API group, version, resource, subresource, and "
    "removed_release.",
    ("group", "version", "resource", "subresource", "removed_release"),
    merge=MAX,
)
FEATURES = REGISTRY.gauge(
    "kubernetes_feature_enabled",
    "This metric records the data about the stage and enablement of a k8s feature.",
    ("name", "stage"),
    merge=MAX,
)
START_TIME = REGISTRY.gauge(
    "process_start_time_seconds", "Start time of the process since unix epoch in seconds.", merge=MIN
)
CPU_SECONDS = REGISTRY.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
RESIDENT = REGISTRY.gauge("process_resident_memory_bytes", "Resident memory size in bytes.")
OPEN_FILES = REGISTRY.gauge("process_open_fds", "Number of open file descriptors.")

METHOD_VERBS = {"create": "POST", "update": "PUT", "list": "LIST", "deletecollection": "DELETECOLLECTION"}
VERBS = frozenset(
    [
        *("POST", "GET", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "LIST", "DELETECOLLECTION", "WATCH", "WATCHLIST"),
        *("APPLY", "CONNECT", "PROXY"),
    ]
)
OTHER = "other"
UNKNOWN: Labels = ("", "", "", "", "")
SLIS = frozenset({"kubernetes_healthcheck", "kubernetes_healthchecks_total"})
_PAGE = os.sysconf("SC_PAGE_SIZE")


class RequestMetrics:
    """Counts requests. A resource gets labels of its own once it has been seen to exist: clients can ask for anything."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str, str, str]] = set()
        self._labels: Kept[RequestInfo, Labels] = Kept(size=_length)

    def record(self, request: Request, status: int, seconds: float) -> None:
        """One request was answered."""
        info = request.info
        assert info is not None
        labels = self._labels.get(info)
        if labels is None:
            labels = self._labels_of(info, status)
        dry_run = ""
        if "dryRun" in request.raw_query and request.query.get("dryRun") == ["All"]:
            dry_run = "All"
        labels = (labels[0], dry_run, *labels[1:])
        REQUESTS.inc((*labels, str(status)))
        REQUEST_SECONDS.observe(seconds, labels)

    def _labels_of(self, info: RequestInfo, status: int) -> Labels:
        verb = reported_verb(info)
        resource = (info.api_group, info.api_version, info.resource, info.subresource)
        if not info.is_resource_request:
            return verb if status != 405 else OTHER, *UNKNOWN, "apiserver"
        if resource not in self._known:
            if not 200 <= status < 300:
                return verb, *UNKNOWN, "apiserver"
            self._known.add(resource)
        labels = (verb, *resource, _scope(info), "apiserver")
        self._labels.keep(info, labels)
        return labels


def _length(info: RequestInfo, _: Labels) -> int:
    return len(info.path) + len(info.label_selector) + len(info.field_selector)


def reported_verb(info: RequestInfo) -> str:
    """The verb as metrics name it; a method of a client's making has no series of its own."""
    verb = METHOD_VERBS.get(info.verb, info.verb.upper())
    return verb if verb in VERBS else OTHER


def long_running_labels(info: RequestInfo) -> Labels:
    """The labels of a stream in LONG_RUNNING."""
    return (
        reported_verb(info),
        info.api_group,
        info.api_version,
        info.resource,
        info.subresource,
        _scope(info),
        "apiserver",
    )


def _scope(info: RequestInfo) -> str:
    if info.name or info.verb == "create":
        return "resource"
    return "namespace" if info.namespace else "cluster"


class Metrics:
    """Answers /metrics with the numbers of all workers of the server."""

    def __init__(self, run_dir: str, choice: MetricChoice | None = None, *, resettable: bool = False) -> None:
        self._run_dir = run_dir
        self._resettable = resettable
        self._choice = choice or MetricChoice()

    async def handle(self, request: Request) -> Response:
        """Everything but the service level indicators; DELETE lets all counters begin again, where that is allowed."""
        if request.method == "DELETE" and self._resettable:
            await ask_workers(self._run_dir, "DELETE", "/metrics", timeout=SCRAPE_TIMEOUT)
            return Response(body=b"metrics reset\n", content_type="text/plain; charset=utf-8")
        return _rendered(family for family in await self._gather() if family["name"] not in SLIS)

    async def handle_slis(self, request: Request) -> Response:
        return _rendered(family for family in await self._gather() if family["name"] in {*SLIS, START_TIME.name})

    async def _gather(self) -> list[dict[str, Any]]:
        answers = await ask_workers(self._run_dir, "GET", "/metrics", timeout=SCRAPE_TIMEOUT)
        return list(self._choice.of(merged([orjson.loads(answer) for answer in answers.values()])))


def _rendered(families: Iterable[dict[str, Any]]) -> Response:
    return Response(body=render(families).encode(), content_type=TEXT_FORMAT)


def measure_process() -> None:
    """Bring the numbers of this process up to date."""
    times = os.times()
    CPU_SECONDS.values[()] = times.user + times.system
    with open("/proc/self/statm") as file:
        RESIDENT.set(int(file.read().split()[1]) * _PAGE)
    with open("/proc/self/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    START_TIME.set(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK"))
    OPEN_FILES.set(len(os.listdir("/proc/self/fd")))
