"""What happens to APIServices that this server looks after, and in which order groups are listed."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.core.api_services.availability import Finding, check_endpoints, port_name
from apiserver_workers.core.api_services.registration import (
    ALWAYS,
    CREATE,
    DELETE,
    KEEP,
    LABEL,
    ON_START,
    UPDATE,
    corrected,
    custom_services,
    decide,
)
from apiserver_workers.server.aggregation.api_service import ServiceReference, api_service, by_group

Object = dict[str, Any]


def service(management: str = "", priority: int = 1) -> Object:
    labels = {LABEL: management} if management else {}
    return {"metadata": {"name": "v1.a", "labels": labels}, "spec": {"versionPriority": priority}}


NONE = None
BY_HAND, ONCE, FOREVER = service(), service(ON_START), service(ALWAYS)
OTHER_ONCE, OTHER_FOREVER = service(ON_START, 2), service(ALWAYS, 2)


@pytest.mark.parametrize(
    ("current", "desired", "synced", "at_start", "action"),
    [
        (NONE, NONE, False, False, KEEP),
        (NONE, ONCE, False, False, CREATE),
        (NONE, ONCE, True, True, KEEP),
        (NONE, FOREVER, False, False, CREATE),
        (NONE, FOREVER, True, True, CREATE),
        (BY_HAND, NONE, False, True, KEEP),
        (BY_HAND, OTHER_ONCE, False, True, KEEP),
        (BY_HAND, OTHER_FOREVER, False, True, KEEP),
        (ONCE, NONE, False, False, KEEP),
        (ONCE, OTHER_ONCE, False, False, KEEP),
        (ONCE, OTHER_FOREVER, False, False, KEEP),
        (ONCE, NONE, False, True, DELETE),
        (ONCE, NONE, True, True, KEEP),
        (ONCE, OTHER_ONCE, False, True, UPDATE),
        (ONCE, OTHER_ONCE, True, True, KEEP),
        (ONCE, OTHER_FOREVER, False, True, UPDATE),
        (FOREVER, NONE, False, True, DELETE),
        (FOREVER, NONE, True, False, DELETE),
        (FOREVER, OTHER_ONCE, False, True, UPDATE),
        (FOREVER, OTHER_ONCE, True, True, KEEP),
        (FOREVER, OTHER_FOREVER, True, False, UPDATE),
        (FOREVER, FOREVER, True, False, KEEP),
    ],
)
def test_the_table_of_registration(
    current: Object | None, desired: Object | None, synced: bool, at_start: bool, action: str
) -> None:
    assert decide(current, desired, synced=synced, at_start=at_start) == action


def test_an_api_service_that_is_no_longer_managed_is_left_alone() -> None:
    assert corrected(BY_HAND, OTHER_ONCE) is None
    assert corrected(ONCE, OTHER_ONCE) == {**ONCE, "spec": OTHER_ONCE["spec"]}
    assert corrected(ONCE, ONCE) is None


def test_a_definitions_served_versions_are_registered() -> None:
    versions = [{"name": "v1", "served": True}, {"name": "v2", "served": False}, {"name": "v3"}]
    found = custom_services([{"spec": {"group": "a.example", "versions": versions}}] * 2)
    spec = {"group": "a.example", "version": "v1", "groupPriorityMinimum": 1000, "versionPriority": 100}
    assert found == [{"metadata": {"name": "v1.a.example", "labels": {LABEL: ALWAYS}}, "spec": spec}]


def registered(name: str, group_priority: int, version_priority: int) -> Any:
    version, _, group = name.partition(".")
    priorities = {"groupPriorityMinimum": group_priority, "versionPriority": version_priority}
    return api_service({"metadata": {"name": name}, "spec": {"group": group, "version": version, **priorities}})


def test_groups_are_listed_by_their_highest_priority_and_versions_by_theirs() -> None:
    listed = by_group(
        [
            registered("v1.low", 10, 100),
            registered("v1beta1.high", 10, 15),
            registered("v2.high", 50, 15),
            registered("v10.high", 20, 15),
            registered("v1alpha1.high", 20, 16),
            registered("v1.also-low", 10, 1),
        ]
    )
    shown = {group: [one.version for one in services] for group, services in listed.items()}
    assert list(shown) == ["high", "also-low", "low"]
    assert shown["high"] == ["v1alpha1", "v10", "v2", "v1beta1"]


def test_what_an_api_service_says() -> None:
    spec = {"version": "v1", "service": {"namespace": "n", "name": "s"}, "caBundle": "YQ=="}
    status = {"conditions": [{"type": "Available", "status": "True"}]}
    found = api_service({"metadata": {"name": "v1."}, "spec": spec, "status": status})
    assert found.service == ServiceReference("n", "s", 443)
    assert (found.ca_bundle, found.available, found.path) == (b"a", True, "/api/v1")


REFERENCE = ServiceReference("n", "s", 443)
READY: Object = {"endpoints": [{"addresses": ["192.0.2.1"]}], "ports": [{"name": "https", "port": 443}]}


def test_a_service_must_have_the_port() -> None:
    assert port_name({"spec": {"ports": [{"port": 443, "name": "https"}]}}, REFERENCE) == "https"
    assert port_name({"spec": {"ports": [{"port": 443}]}}, REFERENCE) == ""
    with pytest.raises(Finding, match=r'^service/s in "n" is not listening on port 443$') as found:
        port_name({"spec": {}}, REFERENCE)
    assert found.value.condition["reason"] == "ServicePortError"


@pytest.mark.parametrize(
    ("slices", "reason", "message"),
    [
        ([], "EndpointsNotFound", 'cannot find endpointslices for service/s in "n"'),
        ([{}], "MissingEndpoints", 'endpointslices for service/s in "n" have no addresses with port name "https"'),
        ([{**READY, "ports": [{"name": "http", "port": 1}]}], "MissingEndpoints", ""),
        ([{**READY, "endpoints": [{"conditions": {"ready": False}}]}], "MissingEndpoints", ""),
        ([{**READY, "ports": [{"name": "https"}]}], "MissingEndpoints", ""),
    ],
)
def test_a_service_must_have_endpoints(slices: list[Object], reason: str, message: str) -> None:
    with pytest.raises(Finding, match=message or None) as found:
        check_endpoints(REFERENCE, "https", slices)
    assert found.value.condition["reason"] == reason


def test_one_ready_endpoint_is_enough() -> None:
    check_endpoints(REFERENCE, "https", [{}, READY])
    check_endpoints(REFERENCE, "https", [{**READY, "endpoints": [{"conditions": {}}]}])
