"""EventRateLimit: so many events a second, of all, of a namespace, of a user, or of a source about an object.

Each worker of a server counts by itself, with its share of the limits.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from apiserver_workers.admission.initializer import Initializer
from apiserver_workers.admission.plugin import Object, Plugin, aggregate
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.validation.field import Errors, invalid, not_supported
from apiserver_workers.registry.attributes import CREATE, UPDATE, Attributes
from apiserver_workers.server.config_file import aggregated, decode_document

KINDS = {"eventratelimit.admission.k8s.io/v1alpha1": "Configuration"}
SHAPE = {"limits": [{"type": str, "qps": int, "burst": int, "cacheSize": int}]}
DEFAULT_CACHE_SIZE = 4096


def _of_source(attributes: Attributes) -> str:
    event = attributes.obj or {}
    source, about = event.get("source") or {}, event.get("involvedObject") or {}
    parts = [source.get(field, "") for field in ("component", "host")]
    parts += [about.get(field, "") for field in ("kind", "namespace", "name", "uid", "apiVersion")]
    return "".join(parts)


# What events are counted by.
KEYS: dict[str, Callable[[Attributes], str]] = {
    "Server": lambda attributes: "",
    "Namespace": lambda attributes: attributes.namespace,
    "User": lambda attributes: attributes.user.name,
    "SourceAndObject": _of_source,
}


class Bucket:
    """A token bucket: `burst` at once, and `rate` more each second."""

    __slots__ = ("_burst", "_rate", "_since", "_tokens")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._since = time.monotonic()

    def take(self, now: float) -> bool:
        """Whether there is a token; it is gone then."""
        self._tokens = min(self._burst, self._tokens + (now - self._since) * self._rate)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Limit(NamedTuple):
    """One limit, with the buckets that are used, the longest unused first."""

    kind: str
    rate: float
    burst: float
    size: int
    buckets: OrderedDict[str, Bucket]

    def accepts(self, key: str, now: float) -> bool:
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(self.rate, self.burst)
            if len(self.buckets) > self.size:
                self.buckets.popitem(last=False)
        else:
            self.buckets.move_to_end(key)
        return bucket.take(now)


class EventRateLimit(Plugin):
    """Sees events of the core group."""

    name = "EventRateLimit"
    operations = frozenset((CREATE, UPDATE))
    resources = frozenset((("", "events"),))
    subresources = None

    def __init__(self, initializer: Initializer) -> None:
        super().__init__(initializer)
        workers = max(initializer.registry.settings.core_workers, 1)
        self._limits = [_limit(limit, workers) for limit in self.config["limits"]]

    @classmethod
    def configured(cls, given: Any) -> Object:
        """The limits, of which there must be one."""
        found = {} if given is None else decode_document(given, KINDS, SHAPE)
        if faults := _faults(found.get("limits") or []):
            raise ValueError(aggregated(faults))
        return found

    def validate(self, attributes: Attributes) -> None:
        if attributes.dry_run or attributes.requested.info.group:
            return
        now = time.monotonic()
        faults = []
        for limit in self._limits:
            key = KEYS[limit.kind](attributes)
            if not limit.accepts(key, now):
                faults.append(f"limit reached on type {limit.kind} for key {key}")
        if faults:
            raise ApiError(429, "TooManyRequests", f"Too many requests: {aggregate(faults)}")


def _limit(limit: Object, workers: int) -> Limit:
    """A limit of which each of the workers has its share."""
    size = limit.get("cacheSize") or DEFAULT_CACHE_SIZE
    return Limit(limit["type"], limit["qps"] / workers, max(limit["burst"] / workers, 1.0), size, OrderedDict())


def _faults(limits: list[Object]) -> Errors:
    """ValidateConfiguration."""
    if not limits:
        return [invalid("limits", [], "must not be empty")]
    errors: Errors = []
    for index, limit in enumerate(limits):
        path, kind = f"limits[{index}]", limit.get("type", "")
        if kind not in KEYS:
            errors.append(not_supported(f"{path}.type", kind, tuple(KEYS)))
        for field in ("burst", "qps"):
            if limit.get(field, 0) <= 0:
                errors.append(invalid(f"{path}.{field}", limit.get(field, 0), "must be positive"))
        if kind != "Server" and limit.get("cacheSize", 0) < 0:
            errors.append(invalid(f"{path}.cacheSize", limit["cacheSize"], "must not be negative"))
    return errors
