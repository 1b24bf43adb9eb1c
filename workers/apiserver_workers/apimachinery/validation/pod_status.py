"""What a kubelet may say of a pod (pkg/apis/core/validation ValidatePodStatusUpdate)."""

from __future__ import annotations

from typing import Any

from apiserver_workers.apimachinery.validation.addresses import family_of, validate_ip
from apiserver_workers.apimachinery.validation.field import Errors, each, forbidden, internal_error, invalid

Object = dict[str, Any]
ONE_PER_FAMILY = "may specify no more than one IP for each IP family"
NO_RETURN = "may not be transitioned to non-terminated state"


def validate_transitions(status: Object, before: Object, spec: Object) -> Errors:
    """Containers that have ended and are not to be restarted stay so."""
    policy = spec.get("restartPolicy", "")
    sidecars = {c.get("name") for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"}
    errors = _validate_transitions(status, before, "containerStatuses", policy)
    errors += _validate_transitions(status, before, "initContainerStatuses", policy, skip=sidecars)
    return errors + _validate_transitions(status, before, "ephemeralContainerStatuses", "Never")


def _validate_transitions(
    status: Object, before: Object, field: str, policy: str, skip: set[Any] | None = None
) -> Errors:
    if policy == "Always":
        return []
    errors: Errors = []
    for at, old in each(f"status.{field}", before.get(field)):
        ended = (old.get("state") or {}).get("terminated")
        if ended is None or (ended.get("exitCode") and policy == "OnFailure") or old.get("name") in (skip or ()):
            continue
        for new in status.get(field) or ():
            if new.get("name") == old.get("name") and (new.get("state") or {}).get("terminated") is None:
                errors.append(forbidden(f"{at}.state", NO_RETURN))
    return errors


def validate_status_ips(status: Object, old: Object) -> Errors:
    """A pod's and its host's addresses: one for each family at most."""
    errors = _validate_ips(status, old, "podIPs")
    hosts = status.get("hostIPs") or []
    if hosts and status.get("hostIP", "") != hosts[0].get("ip", ""):
        text = "must be equal to `hostIP`"
        errors.append(invalid("status.hostIPs[0].ip", hosts[0].get("ip", ""), text))
    return errors + _validate_ips(status, old, "hostIPs")


def _ips(status: Object, field: str) -> list[str]:
    return [address.get("ip", "") for address in status.get(field) or ()]


def _validate_ips(status: Object, old: Object, field: str) -> Errors:
    path = f"status.{field}"
    ips = _ips(status, field)
    held = _ips(old, field)
    errors = [error for at, ip in each(path, ips) for error in validate_ip(ip, at, held)]
    if len(ips) < 2:
        return errors
    families = [family_of(ip) for ip in ips]
    if "" in families:
        index = families.index("")
        text = f"failed to check for dual stack with error:invalid IP[{index}]: {ips[index]}"
        errors.append(internal_error(path, text))
    if "" in families or len(ips) > 2 or len(set(families)) < 2:
        errors.append(invalid(path, [{"IP": ip} for ip in ips], ONE_PER_FAMILY))
    return errors
