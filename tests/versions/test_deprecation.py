"""Clients are warned of APIs that are on their way out in the version that is served."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.deprecation import deprecation
from apiserver_workers.apimachinery.enablement import available
from apiserver_workers.apimachinery.resources import catalogue, resource
from apiserver_workers.apimachinery.schemas import shipped_minors


@pytest.mark.parametrize(
    ("minor", "name", "warning"),
    [
        (
            "1.36",
            ("", "v1", "endpoints"),
            "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        ),
        ("1.32", ("", "v1", "endpoints"), ""),
        ("1.25", ("", "v1", "componentstatuses"), "v1 ComponentStatus is deprecated in v1.19+"),
        (
            "1.30",
            ("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas"),
            "flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema is deprecated in v1.29+, unavailable in v1.32+; use"
            " flowcontrol.apiserver.k8s.io/v1 FlowSchema",
        ),
        ("1.28", ("flowcontrol.apiserver.k8s.io", "v1beta3", "flowschemas"), ""),
        (
            "1.25",
            ("autoscaling", "v2beta2", "horizontalpodautoscalers"),
            "autoscaling/v2beta2 HorizontalPodAutoscaler is deprecated in v1.23+, unavailable in v1.26+; use"
            " autoscaling/v2 HorizontalPodAutoscaler",
        ),
        (
            "1.36",
            ("networking.k8s.io", "v1beta1", "ipaddresses"),
            "networking.k8s.io/v1beta1 IPAddress is deprecated in v1.34+, unavailable in v1.37+",
        ),
        ("1.36", ("apps", "v1", "deployments"), ""),
    ],
)
def test_warnings(minor: str, name: tuple[str, str, str], warning: str) -> None:
    info = resource(*name)
    assert info is not None
    assert deprecation(info, minor) == warning


def test_what_is_removed_is_not_there_any_more() -> None:
    for minor in shipped_minors():
        number = int(minor.partition(".")[2])
        for info in available(minor):
            assert not info.removed or number < int(info.removed.partition(".")[2]), (minor, info)


def test_what_is_never_removed_as_far_as_we_know_is_the_newest_versions() -> None:
    newest = {(info.group, info.version, info.resource) for info in available(shipped_minors()[-1])}
    gone = [info for key, info in catalogue().items() if key not in newest and info.on]
    assert all(info.removed for info in gone), "betas that were on by default say until when"
