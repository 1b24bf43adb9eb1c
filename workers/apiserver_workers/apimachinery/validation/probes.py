"""Probes and lifecycle handlers of containers (pkg/apis/core/validation)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation import names
from apiserver_workers.apimachinery.validation.field import (
    Errors,
    at_least_zero,
    each,
    forbidden,
    invalid,
    not_supported,
    required,
)

SCHEMES = ("HTTP", "HTTPS")
HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
PROBE_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")
NO_HANDLER = "must specify a handler type"
ONE_HANDLER = "may not specify more than 1 handler type"


def validate_probe(probe: dict[str, Any] | None, path: str) -> Errors:
    if probe is None:
        return []
    errors = _validate_handler(probe, path)
    for field in PROBE_NUMBERS:
        errors += at_least_zero(probe.get(field), f"{path}.{field}")
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    return errors


def validate_liveness_probe(probe: dict[str, Any] | None, path: str) -> Errors:
    """Liveness and startup probes succeed at once, so one success is the only threshold."""
    errors = validate_probe(probe, path)
    if probe is not None and probe.get("successThreshold", 1) != 1:
        errors.append(invalid(f"{path}.successThreshold", probe["successThreshold"], "must be 1"))
    return errors


def validate_readiness_probe(probe: dict[str, Any] | None, path: str) -> Errors:
    errors = validate_probe(probe, path)
    if probe is not None and (grace := probe.get("terminationGracePeriodSeconds")) is not None:
        text = "must not be set for readinessProbes"
        errors.append(invalid(f"{path}.terminationGracePeriodSeconds", grace, text))
    return errors


def validate_lifecycle(lifecycle: dict[str, Any] | None, path: str, *, grace_period: int | None) -> Errors:
    errors: Errors = []
    for field in ("postStart", "preStop"):
        if (handler := (lifecycle or {}).get(field)) is not None:
            errors += _validate_handler(handler, f"{path}.{field}", grace_period=grace_period)
    return errors


def _validate_handler(handler: dict[str, Any], path: str, *, grace_period: int | None = None) -> Errors:
    errors: Errors = []
    found = 0
    for kind in HANDLERS:
        if (action := handler.get(kind)) is None:
            continue
        if found:
            errors.append(forbidden(f"{path}.{kind}", ONE_HANDLER))
            continue
        found += 1
        errors += CHECKS[kind](action, f"{path}.{kind}") if kind != "sleep" else _sleep(action, path, grace_period)
    return errors if found else [*errors, required(path, NO_HANDLER)]


def _exec(action: dict[str, Any], path: str) -> Errors:
    return [] if action.get("command") else [required(f"{path}.command")]


def _port(port: int | str | None, path: str) -> Errors:
    faults = names.is_port_name(port) if isinstance(port, str) else names.is_port_number(port)
    return [invalid(path, 0 if port is None else port, fault) for fault in faults]


def validate_http_get(action: dict[str, Any], path: str) -> Errors:
    errors: Errors = [] if action.get("path") else [required(f"{path}.path")]
    errors += _port(action.get("port"), f"{path}.port")
    if (scheme := action.get("scheme")) not in SCHEMES:
        errors.append(not_supported(f"{path}.scheme", scheme or "", SCHEMES))
    for _, header in each(path, action.get("httpHeaders")):
        name = header.get("name", "")
        errors += [invalid(f"{path}.httpHeaders", name, fault) for fault in names.is_http_header_name(name)]
    return errors


def _tcp_socket(action: dict[str, Any], path: str) -> Errors:
    return _port(action.get("port"), f"{path}.port")


def _grpc(action: dict[str, Any], path: str) -> Errors:
    return [invalid(f"{path}.port", action.get("port") or 0, f) for f in names.is_port_number(action.get("port"))]


def _sleep(action: dict[str, Any], path: str, grace_period: int | None) -> Errors:
    seconds = action.get("seconds") or 0
    if grace_period is None or 0 <= seconds <= grace_period:
        return []
    text = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_period})"
    return [invalid(f"{path}.sleep", seconds, text)]


CHECKS = {"exec": _exec, "httpGet": validate_http_get, "tcpSocket": _tcp_socket, "grpc": _grpc}
