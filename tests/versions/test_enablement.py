"""What --runtime-config switches on and off, and what is wrong with one."""

from __future__ import annotations

import pytest
from apiserver_workers.apimachinery.enablement import (
    forward_faults,
    known_versions,
    resource_enablement,
    rewrite_legacy,
    runtime_config_faults,
)
from apiserver_workers.apimachinery.resources import builtin_resources


def enabled(minor: str = "1.36", *, gates: dict[str, bool] | None = None) -> set[str]:
    """`group/version/resource` of all that is on without a --runtime-config."""
    return {f"{info.group_version}/{info.resource}" for info in resource_enablement(minor, gates=gates)}


def with_config(config: dict[str, str]) -> set[str]:
    """What is on in 1.36, where all feature gates are."""
    gates = {"AllAlpha": True, "AllBeta": True}
    return {f"{i.group_version}/{i.resource}" for i in resource_enablement("1.36", config, gates=gates)}


def test_by_default_all_stable_versions_are_on_and_no_other() -> None:
    assert resource_enablement() == list(builtin_resources().values())
    assert not [name for name in enabled() if "alpha" in name or "beta" in name]


def test_betas_from_before_1_24_were_on_by_default() -> None:
    assert {name for name in enabled("1.25") if "beta" in name} == {
        "autoscaling/v2beta2/horizontalpodautoscalers",
        "storage.k8s.io/v1beta1/csistoragecapacities",
        *(
            f"flowcontrol.apiserver.k8s.io/{version}/{resource}"
            for version in ("v1beta1", "v1beta2")
            for resource in ("flowschemas", "prioritylevelconfigurations")
        ),
    }
    assert "flowcontrol.apiserver.k8s.io/v1beta3/flowschemas" in enabled("1.31")
    assert "flowcontrol.apiserver.k8s.io/v1beta3/flowschemas" not in enabled("1.32")


def test_stages_are_switched_as_a_whole() -> None:
    default = with_config({})
    beta = with_config({"api/beta": "true"}) - default
    assert beta
    assert all("beta" in name for name in beta)
    alpha = with_config({"api/alpha": "true"}) - default
    assert alpha
    assert all("alpha" in name for name in alpha)
    assert with_config({"api/all": "true"}) == default | beta | alpha
    assert with_config({"api/ga": "false", "api/beta": "true"}) == beta


def test_the_more_specific_key_wins() -> None:
    assert with_config({"api/all": "false", "batch/v1": "true"}) == {"batch/v1/jobs", "batch/v1/cronjobs"}
    config = {"api/all": "false", "api/ga": "true", "batch/v1": "false", "batch/v1/jobs": "true"}
    assert with_config(config) == with_config({}) - {"batch/v1/cronjobs"}
    one = {"networking.k8s.io/v1beta1/ipaddresses": ""}
    assert with_config(one) - with_config({}) == {"networking.k8s.io/v1beta1/ipaddresses"}
    assert with_config({"api/beta": "true", "api/alpha": "false"}) == with_config({"api/beta": "true"})


def test_a_resource_behind_a_feature_gate_needs_the_gate_too() -> None:
    config = {"certificates.k8s.io/v1beta1": "true"}
    name = "certificates.k8s.io/v1beta1/clustertrustbundles"

    def on(**gates: bool) -> bool:
        return name in {f"{i.group_version}/{i.resource}" for i in resource_enablement("1.36", config, gates=gates)}

    assert not on()
    assert on(ClusterTrustBundle=True)
    assert name not in enabled(gates={"ClusterTrustBundle": True})
    assert "admissionregistration.k8s.io/v1/mutatingadmissionpolicies" not in enabled(
        gates={"MutatingAdmissionPolicy": False}
    )


@pytest.mark.parametrize("key", ["v1", "api/v1", "v1/pods", "api/v1/pods", "/v1"])
def test_every_old_name_of_the_core_group_switches_all_of_it(key: str) -> None:
    config = rewrite_legacy({key: "false", "api/legacy": "true"})
    assert config == {"/v1": "false"}
    assert not [name for name in with_config(config) if name.startswith("v1/")]


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"api/all": "false"}, "invalid key with only api/all=false"),
        ({"api/all": "0"}, "invalid value api/all=0"),
        ({"api/beta": ""}, "invalid value api/beta="),
        ({"foo.example/v1": "true", "bar/v1": "true"}, "unknown api groups foo.example,bar"),
        ({"batch/v9": "true"}, "group version batch/v9 that has not been registered"),
        ({"/v2": "true"}, "group version v2 that has not been registered"),
        ({"batch": "true"}, "runtime-config invalid key batch"),
        ({"batch/v1/jobs/status": "true"}, "runtime-config invalid key batch/v1/jobs/status"),
        ({"batch/v1": "yes"}, 'invalid value of batch/v1: yes, err: strconv.ParseBool: parsing "yes": invalid syntax'),
        (
            {"batch/v1/Jobs": "true"},
            'invalid key batch/v1/Jobs: group/version/resource and resource is always lowercase plural, not "Jobs"',
        ),
    ],
)
def test_faults_are_upstreams(config: dict[str, str], fault: str) -> None:
    assert list(runtime_config_faults(config, known_versions("1.36"))) == [fault]


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"api/all": "false", "api/ga": "true"},
        {"batch/v1beta1": "true"},  # registered, but served no more
        {"extensions/v1beta1": "false"},
        {"batch/v1/nosuch": "true"},
        {"apiregistration.k8s.io/v1": "true"},
        {"apiextensions.k8s.io/v1": "false"},
        {"/v1": ""},
    ],
)
def test_what_upstream_knows_is_no_fault(config: dict[str, str]) -> None:
    assert list(runtime_config_faults(config, known_versions("1.36"))) == []


def emulated(config: dict[str, str] | None = None, **options: bool) -> set[str]:
    infos = resource_enablement(
        "1.33", config, binary_minor="1.36", gates={"DynamicResourceAllocation": True}, **options
    )
    return {f"{info.group_version}/{info.resource}" for info in infos}


def test_an_emulated_version_has_the_newer_stable_versions_of_what_it_serves_if_asked() -> None:
    config = {"resource.k8s.io/v1beta1": "true"}
    claims = "resource.k8s.io/v1/resourceclaims"
    assert claims not in emulated(config)
    assert claims in emulated(config, forward=True)
    assert claims not in emulated(forward=True), "nothing older is served that it could follow"
    assert "admissionregistration.k8s.io/v1/mutatingadmissionpolicies" not in emulated(forward=True)


def test_newer_apis_than_the_emulated_versions_can_be_asked_for() -> None:
    config = {"resource.k8s.io/v1/resourceclaims": "true"}
    [fault] = forward_faults(config, "1.33", "1.36")
    assert fault.startswith("resource.k8s.io/v1 resourceclaims is newer than the emulated version 1.33")
    assert emulated(config, config_forward=True) - emulated() == {"resource.k8s.io/v1/resourceclaims"}
    assert list(forward_faults({"resource.k8s.io/v1": "false"}, "1.33", "1.36")) == []
