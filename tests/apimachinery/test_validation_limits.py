"""What limits, quotas and resource lists may say."""

from __future__ import annotations

from typing import Any

import pytest
from apiserver_workers.apimachinery.resources import builtin_resources
from apiserver_workers.apimachinery.validation.objects import validate_create, validate_update

RESOURCES = {info.kind: info for info in builtin_resources().values() if info.group == ""}


METADATA = {"metadata": {"name": "a", "namespace": "default", "resourceVersion": "1"}}


def faults(kind: str, **more: Any) -> list[str]:
    obj = {"kind": kind, **METADATA, **more}
    return [f"{error.field}: {error.body}" for error in validate_create(RESOURCES[kind], obj)]


def limits(**limit: Any) -> list[str]:
    return faults("LimitRange", spec={"limits": [limit]})


def quota(**spec: Any) -> list[str]:
    return faults("ResourceQuota", spec=spec)


def test_a_default_below_the_minimum_shows_the_minimum() -> None:
    found = limits(type="Container", min={"cpu": "2"}, default={"cpu": "1"}, defaultRequest={"cpu": "1"})
    assert found == [
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 2 is greater than default request value 1',
        'spec.limits[0].default[cpu]: Invalid value: "2": min value 2 is greater than default value 1',
    ]


def test_a_container_is_limited_in_what_containers_have() -> None:
    assert limits(type="Container", max={"storage": "1"}) == [
        'spec.limits[0].max[storage]: Invalid value: "storage": must be a standard resource for containers'
    ]
    assert limits(type="PersistentVolumeClaim", max={"storage": "1"}) == []


def test_a_ratio_fits_between_minimum_and_maximum() -> None:
    assert limits(type="Pod", min={"cpu": "1"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "3"}) == [
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than max/min = 2.000000'
    ]
    assert limits(type="Pod", min={"cpu": "500m"}, max={"cpu": "2"}, maxLimitRequestRatio={"cpu": "4"}) == []


def test_what_cannot_be_overcommitted_defaults_to_what_it_requests() -> None:
    assert limits(type="Container", default={"x.io/gpu": "2"}, defaultRequest={"x.io/gpu": "1"}) == [
        'spec.limits[0].defaultRequest[x.io/gpu]: Invalid value: "1": '
        "default value 2 must equal to defaultRequest value 1 in x.io/gpu"
    ]


def test_a_quota_is_of_a_resource_that_is_counted() -> None:
    assert quota(hard={"storage": "1"}) == [
        'spec.hard[storage]: Invalid value: "storage": must be a standard resource for quota'
    ]
    assert len(quota(hard={"nothing": "1"})) == 2
    assert quota(hard={"count/pods": "1", "requests.hugepages-2Mi": "4Mi", "secrets": "3"}) == []


def test_a_scope_applies_to_pods_and_their_cpu_and_memory() -> None:
    assert quota(scopes=["Terminating"], hard={"limits.ephemeral-storage": "1", "cpu": "1"}) == [
        'spec.scopes: Invalid value: ["Terminating"]: unsupported scope applied to resource'
    ]
    assert len(quota(scopes=["Nowhere", "BestEffort", "NotBestEffort"])) == 2


def test_a_selectors_scope_is_shown_as_upstream_keeps_it() -> None:
    requirement = {"scopeName": "BestEffort", "operator": "Exists"}
    (found,) = quota(hard={"cpu": "1"}, scopeSelector={"matchExpressions": [requirement]})
    assert found == (
        "spec.scopeSelector.matchExpressions: Invalid value: "
        '{"MatchExpressions":[{"ScopeName":"BestEffort","Operator":"Exists","Values":null}]}: '
        "unsupported scope applied to resource"
    )


def test_the_status_of_a_quota_is_looked_at() -> None:
    obj = {"kind": "ResourceQuota", **METADATA}
    new = {**obj, "status": {"hard": {"pods": "-1"}, "used": {"pods": "1500m"}}}
    errors = validate_update(RESOURCES["ResourceQuota"], new, obj, subresource="status")
    assert [(error.field, error.body) for error in errors][-2:] == [
        ("status.hard[pods]", 'Invalid value: "-1": must be greater than or equal to 0'),
        ("status.used[pods]", 'Invalid value: "1500m": must be an integer'),
    ]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"requests": {"x.io/gpu": "1"}}, "limits: Required value: Limit must be set for non overcommitable resources"),
        (
            {"limits": {"hugepages-2Mi": "3Mi", "cpu": "1"}},
            'limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        ),
        (
            {"claims": [{"name": "gpu"}]},
            'claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty',
        ),
    ],
)
def test_resources_of_a_container(resources: dict[str, Any], expected: str) -> None:
    container = {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
        "resources": resources,
    }
    spec = {"containers": [container], "restartPolicy": "Always", "dnsPolicy": "Default"}
    assert f"spec.containers[0].resources.{expected}" in faults("Pod", spec=spec)


def test_credentials_of_a_registry_are_an_object() -> None:
    name = ".dockerconfigjson"
    found = faults("Secret", type=f"kubernetes.io/{name[1:]}", data={name: "W10="})
    assert found == [
        f'data[{name}]: Invalid value: "<secret contents redacted>": json: cannot unmarshal array into Go value of '
        "type map[string]interface {}"
    ]
    assert faults("Secret", type="kubernetes.io/ssh-auth", data={"ssh-privatekey": ""}) == [
        "data[ssh-privatekey]: Required value"
    ]
