"""Every list and map of every built-in kind grows tenfold: decoding, defaults, validation and warnings grow no faster."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from apiserver_workers.apimachinery import codec, types
from apiserver_workers.apimachinery.defaults import set_defaults
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update
from apiserver_workers.apimachinery.warnings import warn_on_create

from tests.hostile.growth import containers_of, grown, grows_as_judged, member, trimmed
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
CASES = [(key, INFOS[one.gvk], one.object) for key, one in kinds().items() if one.gvk in INFOS]


def cases_of(key: str, filled: dict[str, Any]) -> Iterator[tuple[Any, bool]]:
    """Where an object may grow, and whether by members that are alike."""
    for path in containers_of(filled):
        if SKIPPED.intersection(path) or (path[0] == "metadata" and not key.endswith("ConfigMap")):
            continue
        yield path, False
        if isinstance(member(filled, path), list):
            yield path, True


@pytest.mark.parametrize(("key", "info", "filled"), CASES, ids=[key for key, _, _ in CASES])
def test_no_list_of_a_kind_takes_quadratic_time(key: str, info: Any, filled: dict[str, Any]) -> None:
    slow = [
        f"{'.'.join(map(str, path))}{' alike' if alike else ''}: {fault}"
        for path, alike in cases_of(key, filled)
        if (fault := grows_as_judged(step(info, trimmed(filled, path), path, alike=alike)))
    ]
    assert not slow
