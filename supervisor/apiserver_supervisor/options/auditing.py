"""auditing flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/audit.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.files import audit_policy, kubeconfig
from apiserver_supervisor.options.flag import BOOL, DURATION, FLOAT, INT, STRING, Flag, FlagGroup
from apiserver_supervisor.options.validators import not_negative

MODES = ("batch", "blocking", "blocking-strict")
VERSION = "audit.k8s.io/v1"
MISSING = "auditing"


def _backend(name: str, enabled: str) -> Any:
    """The rules of one backend, which count only while it is on."""

    def rules(options: Any) -> Iterator[str]:
        if not getattr(options, enabled):
            return
        prefix = f"audit_{name}_"
        get = {key.removeprefix(prefix): value for key, value in vars(options).items() if key.startswith(prefix)}
        yield from _batching(name, get)
        yield from _truncating(name, get)
        if get["version"] != VERSION:
            yield f'--audit-{name}-version: invalid group version, allowed versions are ["{VERSION}"]'

    return rules


def _batching(name: str, get: dict[str, Any]) -> Iterator[str]:
    if get["mode"] not in MODES:
        yield f'--audit-{name}-mode: invalid audit {name} mode {get["mode"]}, allowed modes are "{",".join(MODES)}"'
    if get["mode"] != "batch":
        return
    positive = [("buffer size", "batch_buffer_size"), ("max batch size", "batch_max_size")]
    if get["batch_throttle_enable"]:
        positive += [("throttle QPS", "batch_throttle_qps"), ("throttle burst", "batch_throttle_burst")]
    for what, key in positive:
        if get[key] <= 0:
            flag = f"--audit-{name}-{key.replace('_', '-')}"
            yield f"{flag}: invalid audit batch {name} {what} {get[key]:g}, must be a positive number"


def _truncating(name: str, get: dict[str, Any]) -> Iterator[str]:
    event, batch = get["truncate_max_event_size"], get["truncate_max_batch_size"]
    if event <= 0:
        flag = f"--audit-{name}-truncate-max-event-size"
        yield f"{flag}: invalid audit truncate {name} max event size {event}, must be a positive number"
    if batch < event:
        flag = f"--audit-{name}-truncate-max-batch-size"
        yield f"{flag}: invalid audit truncate {name} max batch size {batch}, must be greater than max event size ({event})"


def _log_file(options: Any) -> Iterator[str]:
    if not options.audit_log_path:
        return
    if options.audit_log_format not in ("json", "legacy"):
        yield f'--audit-log-format: invalid audit log format {options.audit_log_format}, allowed formats are "legacy,json"'
    for name in ("maxage", "maxbackup", "maxsize"):
        yield from not_negative(f"audit-log-{name}", getattr(options, f"audit_log_{name}"))


def _common(name: str, **defaults: Any) -> tuple[Flag, ...]:
    """The flags that both backends have."""
    entries = (
        ("batch-buffer-size", INT, 10000, "Events that wait to be written; more are dropped. Only in batch mode."),
        ("batch-max-size", INT, defaults["size"], "Events in one batch. Only in batch mode."),
        (
            "batch-max-wait",
            DURATION,
            defaults["wait"],
            "Time after which a batch that is not full is written. Only in batch mode.",
        ),
        (
            "batch-throttle-burst",
            INT,
            defaults["burst"],
            "Batches allowed at once beyond the rate. Only in batch mode.",
        ),
        ("batch-throttle-enable", BOOL, defaults["throttle"], "Limit the rate of batches. Only in batch mode."),
        ("batch-throttle-qps", FLOAT, defaults["qps"], "Batches a second. Only in batch mode."),
        ("mode", STRING, defaults["mode"], f"How events get there: {', '.join(MODES)}."),
        ("truncate-enabled", BOOL, False, "Cut events and batches that are too large."),
        ("truncate-max-batch-size", INT, 10485760, "Bytes of a batch; larger ones are split."),
        ("truncate-max-event-size", INT, 102400, "Bytes of an event; larger ones lose their bodies, then are dropped."),
        ("version", STRING, VERSION, "API version of the events that are written."),
    )
    return tuple(
        Flag(f"audit-{name}-{flag}", kind, default, text, missing=MISSING) for flag, kind, default, text in entries
    )


GROUP = FlagGroup(
    "Auditing",
    (
        Flag(
            "audit-policy-file",
            STRING,
            "",
            "Rules that say which requests are recorded, and how fully. Nothing is recorded without one.",
            audit_policy,
            missing=MISSING,
        ),
        Flag("audit-log-compress", BOOL, False, "Compress files that were rotated.", missing=MISSING),
        Flag("audit-log-format", STRING, "json", "One JSON event a line, or legacy text lines.", missing=MISSING),
        Flag("audit-log-maxage", INT, 366, "Days that rotated files are kept; 0 is for ever.", missing=MISSING),
        Flag("audit-log-maxbackup", INT, 100, "Rotated files that are kept; 0 is all.", missing=MISSING),
        Flag("audit-log-maxsize", INT, 100, "Megabytes at which the file is rotated; 0 is never.", missing=MISSING),
        Flag("audit-log-path", STRING, "", "File that events are written to; - is standard output.", missing=MISSING),
        *_common("log", size=1, wait=0.0, burst=0, throttle=False, qps=0.0, mode="blocking"),
        Flag(
            "audit-webhook-batch-initial-backoff",
            DURATION,
            10.0,
            "Old name of --audit-webhook-initial-backoff.",
            deprecated="Deprecated, use --audit-webhook-initial-backoff instead.",
            sets="audit-webhook-initial-backoff",
            hidden=True,
        ),
        Flag(
            "audit-webhook-config-file",
            STRING,
            "",
            "kubeconfig of the service that events are sent to.",
            kubeconfig,
            missing=MISSING,
        ),
        Flag(
            "audit-webhook-initial-backoff",
            DURATION,
            10.0,
            "Wait before a failed request is tried again.",
            missing=MISSING,
        ),
        *_common("webhook", size=400, wait=30.0, burst=15, throttle=True, qps=10.0, mode="batch"),
    ),
    (_backend("log", "audit_log_path"), _log_file, _backend("webhook", "audit_webhook_config_file")),
)
