"""--feature-gates: which gates there are, what may be set, and what a gate does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from apiserver_supervisor.options.feature_gates import FEATURE_GATES, gate_faults
from apiserver_supervisor.options.flag import FlagError
from apiserver_workers.apimachinery import feature_gates
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.feature_gates import enabled_gates, faults, known_gates, warnings
from apiserver_workers.apimachinery.field_labels import selectable
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.schemas import shipped_minors
from apiserver_workers.apimachinery.validation.objects import validate_create
from apiserver_workers.server.discovery import documents as discovery
from apiserver_workers.server.endpoints.options import LISTING, list_options

Use = Callable[..., None]


@pytest.fixture
def use() -> Iterator[Use]:
    """Sets gates of this process, until the test ends."""

    def use(**settings: bool) -> None:
        LISTING.clear()
        feature_gates.use(settings)

    yield use
    use()


def test_a_gate_is_alpha_beta_or_stable_by_its_version() -> None:
    assert known_gates("1.28")["ConsistentListFromCache"] == feature_gates.Gate(
        "ConsistentListFromCache", "ALPHA", False
    )
    assert known_gates("1.31")["ConsistentListFromCache"] == feature_gates.Gate("ConsistentListFromCache", "BETA", True)
    assert known_gates("1.36")["ConsistentListFromCache"] == feature_gates.Gate(
        "ConsistentListFromCache", "", True, locked=True
    )
    assert known_gates("1.27")["ConsistentListFromCache"].stage == "PREALPHA"


@pytest.mark.parametrize("minor", shipped_minors())
def test_the_defaults_of_every_version_agree_with_each_other(minor: str) -> None:
    assert faults({}, minor) == []
    assert len(known_gates(minor)) > 200


def test_all_gates_of_a_stage_are_set_but_for_those_named() -> None:
    default, alpha = enabled_gates({}), enabled_gates({"AllAlpha": True, "MemoryQoS": False})
    changed = {name for name, on in alpha.items() if on != default[name]}
    assert changed == {gate.name for gate in known_gates().values() if gate.stage == "ALPHA"} - {"MemoryQoS"}
    assert not enabled_gates({"AllBeta": False})["WatchList"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"NoSuchGate": True}, ["unrecognized feature gate: NoSuchGate"]),
        ({"APIServerTracing": True}, []),
        (
            {"APIServerTracing": False},
            ["cannot set feature gate APIServerTracing to false, feature is locked to true"],
        ),
        (
            {"HPAGeneration": True},
            ["cannot set feature gate HPAGeneration to true, feature is PreAlpha at emulated version 1.36"],
        ),
        (
            {"ClusterTrustBundleProjection": True},
            [
                "ClusterTrustBundleProjection is enabled, but depends on features that are disabled:"
                " [ClusterTrustBundle]"
            ],
        ),
        ({"ClusterTrustBundleProjection": True, "ClusterTrustBundle": True}, []),
    ],
)
def test_faults_are_upstreams(settings: dict[str, bool], expected: list[str]) -> None:
    assert faults(settings) == expected
    assert gate_faults(settings, "1.36") == [
        f'invalid argument "{FEATURE_GATES.format(settings)}" for "--feature-gates" flag: {fault}' for fault in expected
    ]


def test_gates_without_a_future_are_warned_of() -> None:
    assert list(warnings({"KMSv1": True, "DRAPrioritizedList": True, "WatchList": False})) == [
        "Setting deprecated feature gate KMSv1=true. It will be removed in a future release.",
        "Setting GA feature gate DRAPrioritizedList=true. It will be removed in a future release.",
    ]


def test_the_flag_takes_lists_components_and_repetition() -> None:
    once = FEATURE_GATES.parse("A=true, kube:B=f".replace(", kube:", ","), None)
    assert once == {"A": True, "B": False}
    assert FEATURE_GATES.parse("kube:A=0,kube:C=1", once) == {"A": False, "B": False, "C": True}
    assert FEATURE_GATES.parse("", None) == {}
    assert FEATURE_GATES.format({"B": False, "A": True}) == "A=true,B=false"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("WatchList", "missing bool value for WatchList"),
        (
            "WatchList=maybe",
            'invalid value of WatchList=maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax',
        ),
        ("wardle:WatchList=true", "component not registered: wardle"),
        (
            "kube:A=true,B=true",
            "set kube feature gates with default empty prefix or kube: prefix consistently, do not mix use",
        ),
    ],
)
def test_what_is_no_gate_and_no_boolean_is_refused_at_once(text: str, fault: str) -> None:
    with pytest.raises(FlagError) as caught:
        FEATURE_GATES.parse(text, None)
    assert str(caught.value) == fault


def test_without_watch_list_a_watch_begins_with_no_list(use: Use) -> None:
    info = resource("", "v1", "pods")
    assert info is not None
    pods = selectable(info)
    query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    assert list_options(query, pods).send_initial_events
    use(WatchList=False)
    with pytest.raises(ApiError, match="unless the WatchList feature gate is enabled"):
        list_options(query, pods)
    assert list_options("watch=1", pods).send_initial_events is None


def test_discovery_hashes_storage_versions_if_it_may(use: Use) -> None:
    pods = resource("", "v1", "pods")
    assert pods is not None
    assert "storageVersionHash" in discovery.build_resource_list("", "v1", [pods])["resources"][0]
    use(StorageVersionHash=False)
    assert "storageVersionHash" not in discovery.build_resource_list("", "v1", [pods])["resources"][0]


def test_services_had_stricter_names(use: Use) -> None:
    services = resource("", "v1", "services")
    assert services is not None
    port = {"port": 80, "protocol": "TCP", "targetPort": 80}
    spec = {"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ports": [port]}
    service = {"metadata": {"name": "1st", "namespace": "default"}, "spec": spec}
    assert validate_create(services, service) == []
    use(RelaxedServiceNameValidation=False)
    [fault] = validate_create(services, service)
    assert (fault.field, "a DNS-1035 label must consist of" in fault.body) == ("metadata.name", True)


def test_autoscalers_scale_to_zero_if_they_may(use: Use) -> None:
    autoscalers = resource("autoscaling", "v2", "horizontalpodautoscalers")
    assert autoscalers is not None
    target = {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}
    metric = {
        "type": "External",
        "external": {"metric": {"name": "m"}, "target": {"type": "AverageValue", "averageValue": "1"}},
    }
    autoscaler = {
        "metadata": {"name": "a", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "minReplicas": 0, "maxReplicas": 3, "metrics": [metric]},
    }
    assert [fault.field for fault in validate_create(autoscalers, autoscaler)] == ["spec.minReplicas"]
    use(HPAScaleToZero=True)
    assert validate_create(autoscalers, autoscaler) == []
