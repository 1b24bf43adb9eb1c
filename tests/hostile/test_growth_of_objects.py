"""Every list and map of every built-in kind grows tenfold: decoding, defaults, validation and warnings grow no faster."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery import codec, types
from apiserver_workers.apimachinery.defaults import set_defaults
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation import validate_create, validate_update
from apiserver_workers.apimachinery.warnings import warn_on_create

from tests.hostile.growth import containers_of, grown, grows_linearly
from tests.kinds import kinds

JSON = "application/json"
SKIPPED = frozenset(("initContainers", "ephemeralContainers", "template"))  # what is there elsewhere too


def infos() -> dict[tuple[str, str, str], Any]:
    return {(info.group, info.version, info.kind): info for info in builtin_resources().values()}


def handled(info: Any, body: bytes) -> None:
    """What a creation does with a body, without storage."""
    try:
        obj, _ = codec.decode(
            body,
            JSON,
            type=types.model().kind(info.group, info.version, info.kind),
            default_gvk=(info.group, info.version, info.kind),
            field_validation="Warn",
        )
    except ApiError:
        return
    obj.setdefault("metadata", {})
    set_defaults(info.group, info.version, info.kind, obj)
    validate_create(info, obj)
    warn_on_create(info, obj)
    validate_update(info, copy.copy(obj), obj)


def step(info: Any, filled: dict[str, Any], path: Any, *, alike: bool) -> Callable[[int], Callable[[], object]]:
    def of_size(size: int) -> Callable[[], object]:
        body = orjson.dumps(grown(filled, path, size, alike=alike))
        return lambda: handled(info, body)

    return of_size


INFOS = infos()
# Kinds between which nearly all fields occur: the whole set takes minutes.
CHOSEN = (
    *("core.v1.Pod", "core.v1.Service", "core.v1.Node", "core.v1.ConfigMap", "batch.v1.Job"),
    *("rbac.authorization.k8s.io.v1.ClusterRole", "certificates.k8s.io.v1.CertificateSigningRequest"),
    *("admissionregistration.k8s.io.v1.ValidatingAdmissionPolicyBinding", "storage.k8s.io.v1.CSINode"),
    *("admissionregistration.k8s.io.v1.ValidatingWebhookConfiguration", "networking.k8s.io.v1.NetworkPolicy"),
)
CASES = [(key, INFOS[one.gvk], one.object) for key, one in kinds().items() if key in CHOSEN]


@pytest.mark.parametrize(("key", "info", "filled"), CASES, ids=[key for key, _, _ in CASES])
def test_no_list_of_a_kind_takes_quadratic_time(key: str, info: Any, filled: dict[str, Any]) -> None:
    slow = [
        f"{'.'.join(map(str, path))}{' alike' if alike else ''}: {fault}"
        for path in containers_of(filled)
        if not SKIPPED.intersection(path) and (path[0] != "metadata" or key.endswith("ConfigMap"))
        for alike in (False, True)
        if (fault := grows_linearly(step(info, filled, path, alike=alike)))
    ]
    assert not slow
