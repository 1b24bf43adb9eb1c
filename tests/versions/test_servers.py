"""Whole servers of other Kubernetes versions and with other APIs, as clients see them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import COMMAND, RunningServer, wait_for
from tests.versions.authority import trust_anchor

KUBECTL = shutil.which("kubectl", path=str(Path(sys.executable).parent)) or shutil.which("kubectl")
pytestmark = pytest.mark.e2e

FLOW = "/apis/flowcontrol.apiserver.k8s.io"
LEVEL = {"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}, "nominalConcurrencyShares": 7}}}
DRA = "/apis/resource.k8s.io"
CLAIM = {"spec": {"devices": {"requests": [{"name": "gpu", "deviceClassName": "fast", "count": 2}]}}}
BUNDLE = {"spec": {"trustBundle": trust_anchor()}}


def ask(server: RunningServer, path: str, **headers: str) -> Any:
    status, body = server.request("GET", path, **headers)
    assert status == 200, (path, body)
    return json.loads(body)


def create(server: RunningServer, path: str, name: str, body: Any) -> Any:
    status, answer = server.request("POST", path, {"metadata": {"name": name}, **body})
    assert status == 201, (path, answer)
    return json.loads(answer)


def group_versions(server: RunningServer) -> set[str]:
    groups = ask(server, "/apis")["groups"]
    return {version["groupVersion"] for group in groups for version in group["versions"]}


def api_services(server: RunningServer) -> dict[str, Any]:
    items = ask(server, "/apis/apiregistration.k8s.io/v1/apiservices")["items"]
    return {item["metadata"]["name"]: item for item in items}


def kubectl(server: RunningServer, *arguments: str, stdin: str = "", stderr: bool = False) -> str:
    if KUBECTL is None:
        pytest.skip("no kubectl")
    command = [KUBECTL, f"--kubeconfig={server.kubeconfig}", f"--cache-dir={server.data_dir}/cache", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stderr if stderr else done.stdout


def refusal(*flags: str) -> str:
    """What a server with such flags says, which does not start."""
    done = subprocess.run([*COMMAND, "start", *flags], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    return done.stderr


# --- the server as it is by default


@pytest.mark.seed("S24")
def test_no_alpha_and_no_beta_version_is_served_by_default(server: RunningServer) -> None:
    assert {version for version in group_versions(server) if "alpha" in version or "beta" in version} == set()
    aggregated = ask(server, "/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
    beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
    assert ask(server, "/apis", Accept=beta)["kind"] == "APIGroupList", "the beta of the aggregated form is gone"
    versions = [version["version"] for item in aggregated["items"] for version in item["versions"]]
    assert {version for version in versions if "alpha" in version or "beta" in version} == set()


@pytest.mark.seed("S73")
def test_every_group_version_has_an_api_service_with_upstreams_priorities(server: RunningServer) -> None:
    services = api_services(server)
    ours = group_versions(server) - {"apiregistration.k8s.io/v1"}
    expected = {f"{version}.{group}" for group, _, version in (name.rpartition("/") for name in ours)} | {"v1."}
    local = {name for name, service in services.items() if service["spec"].get("service") is None}
    assert expected <= local
    for name in expected:
        service = services[name]
        assert service["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
        [condition] = service["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == ("Available", "True", "Local")

    def priorities(name: str) -> tuple[int, int]:
        spec = services[name]["spec"]
        return spec["groupPriorityMinimum"], spec["versionPriority"]

    assert priorities("v1.") == (18000, 1)
    assert priorities("v1.apps") == (17800, 15)
    assert (priorities("v1.autoscaling"), priorities("v2.autoscaling")) == ((17500, 15), (17500, 30))
    assert priorities("v1.batch") == (17400, 15)
    groups = [group["name"] for group in ask(server, "/apis")["groups"]]
    assert groups.index("apps") < groups.index("autoscaling") < groups.index("batch")


def test_feature_gates_are_a_metric(server: RunningServer) -> None:
    lines = server.request("GET", "/metrics")[1].decode().splitlines()
    shown = {line for line in lines if line.startswith("kubernetes_feature_enabled{")}
    assert len(shown) > 200
    assert 'kubernetes_feature_enabled{name="WatchList",stage="BETA"} 1' in shown
    assert 'kubernetes_feature_enabled{name="ClusterTrustBundle",stage="BETA"} 0' in shown
    assert 'kubernetes_feature_enabled{name="APIServerTracing",stage=""} 1' in shown


@pytest.mark.seed("S51")
@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ("api/all=false", "invalid key with only api/all=false"),
        ("foo.example/v1=true", "unknown api groups foo.example"),
        ("batch/v9=true", "group version batch/v9 that has not been registered"),
        ("batch=true", "runtime-config invalid key batch"),
        ("batch/v1=maybe", "invalid value of batch/v1: maybe"),
    ],
)
def test_a_bad_runtime_config_ends_the_start(config: str, fault: str, tmp_path: Path) -> None:
    said = refusal(f"--runtime-config={config}", f"--run-dir={tmp_path}/run", f"--data-dir={tmp_path}/data")
    assert "--runtime-config" in said
    assert fault in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("flag", "fault"),
    [
        ("--feature-gates=NoSuch=true", "unrecognized feature gate: NoSuch"),
        ("--feature-gates=WatchList=maybe", "invalid value of WatchList=maybe"),
        ("--feature-gates=APIServerTracing=false", "feature is locked to true"),
        ("--kubernetes-version=1.12", '"1.12" is not a Kubernetes version from 1.25 to 1.37'),
        ("--emulated-version=1.31", "emulation version 1.31 is not between [1.33, 1.36]"),
        ("--emulated-version=kube=1.35.1", "patch version not allowed"),
        ("--emulated-version=wardle=1.35", "component not registered: wardle"),
        ("--min-compatibility-version=1.37", "minCompatibilityVersion version 1.37 is not between [1.33, 1.36]"),
        ("--emulation-forward-compatible=true", "can only be true when the emulation version is older"),
    ],
)
def test_bad_gates_and_versions_end_the_start(flag: str, fault: str, tmp_path: Path) -> None:
    said = refusal(flag, f"--run-dir={tmp_path}/run", f"--data-dir={tmp_path}/data")
    assert flag.partition("=")[0] in said
    assert fault in said


# --- 1.30, and then 1.36 on what it has stored


def test_an_older_version_is_served_and_what_it_stored_is_served_by_a_newer_one(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--kubernetes-version=1.30", "--advertise-address=192.0.2.10") as server:
        _check_1_30(server)
        _check_that_a_deleted_api_service_stays_away(server)
        server.stop()
        server.flags = ("--kubernetes-version=1.36", "--advertise-address=192.0.2.10")
        server.start()
        assert ask(server, "/version")["gitVersion"].startswith("v1.36.")
        level = ask(server, f"{FLOW}/v1/prioritylevelconfigurations/mine")
        assert (level["apiVersion"], level["spec"]["limited"]["nominalConcurrencyShares"]) == (
            "flowcontrol.apiserver.k8s.io/v1",
            7,
        )
        services = api_services(server)
        assert "v1.batch" in services, "made again at the start"
        assert "v1beta3.flowcontrol.apiserver.k8s.io" not in services, "an API that is served no more"
        assert server.request("GET", f"{FLOW}/v1beta3/flowschemas")[0] == 404


def _check_1_30(server: RunningServer) -> None:
    version = ask(server, "/version")
    assert (version["major"], version["minor"]) == ("1", "30")
    assert version["gitVersion"].startswith("v1.30.")
    served = group_versions(server)
    assert "flowcontrol.apiserver.k8s.io/v1beta3" in served
    assert "resource.k8s.io/v1" not in served
    beta = ask(server, "/apis", Accept="application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList")
    assert (beta["apiVersion"], len(beta["items"])) == (
        "apidiscovery.k8s.io/v2beta1",
        len(ask(server, "/apis")["groups"]),
    )
    names = kubectl(server, "api-resources", "-o", "name").split()
    assert "validatingadmissionpolicies.admissionregistration.k8s.io" in names
    assert "mutatingadmissionpolicies.admissionregistration.k8s.io" not in names
    assert "ipaddresses.networking.k8s.io" not in names
    assert server.request("GET", "/apis/networking.k8s.io/v1/ipaddresses")[0] == 404
    core = {item["name"] for item in ask(server, "/api/v1")["resources"]}
    assert "pods/ephemeralcontainers" in core
    assert "pods/resize" not in core

    create(server, f"{FLOW}/v1beta3/prioritylevelconfigurations", "mine", LEVEL)
    assert "is deprecated in v1.29+" in kubectl(
        server, "get", "flowschemas.v1beta3.flowcontrol.apiserver.k8s.io", stderr=True
    )
    assert (
        ask(server, f"{FLOW}/v1/prioritylevelconfigurations/mine")["spec"]["limited"]["nominalConcurrencyShares"] == 7
    )

    spec = {"containers": [{"name": "c", "image": "i"}], "hostnameOverride": "h"}
    template = {"metadata": {"name": "t"}, "template": {"spec": spec}}
    path = "/api/v1/namespaces/default/podtemplates"
    status, answer = server.request("POST", f"{path}?fieldValidation=Strict", template)
    assert (status, 'unknown field "template.spec.hostnameOverride"' in json.loads(answer)["message"]) == (400, True)
    status, answer = server.request("POST", path, template)
    assert (status, "hostnameOverride" in json.loads(answer)["template"]["spec"]) == (201, False)

    service = {"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}}
    address = create(server, "/api/v1/namespaces/default/services", "s", service)["spec"]["clusterIP"]
    assert address.startswith("10.0.0.")
    status, _ = server.request("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "1st"}, **service})
    assert status == 422, "names of services were stricter"

    document = ask(server, "/openapi/v3/api/v1")
    fields = document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]
    assert document["info"]["version"] == f"{version['emulationMajor']}.{version['emulationMinor']}"
    assert "schedulingGates" in fields
    assert "hostnameOverride" not in fields
    assert "SchedulingGates is an opaque list" in kubectl(server, "explain", "pods.spec.schedulingGates")


def _check_that_a_deleted_api_service_stays_away(server: RunningServer) -> None:
    path = "/apis/apiregistration.k8s.io/v1/apiservices/v1.batch"
    assert server.request("DELETE", path)[0] == 200
    time.sleep(2.5)  # longer than the hook that keeps APIServices' conditions takes
    assert server.request("GET", path)[0] == 404


# --- the newest, with all that it has


def test_the_newest_version_is_served_with_all_its_apis(tmp_path: Path) -> None:
    everything = ("--runtime-config=api/all=true", "--feature-gates=AllAlpha=true,AllBeta=true")
    with RunningServer(tmp_path, "--kubernetes-version=v1.37.0", *everything) as server:
        assert ask(server, "/version")["gitVersion"] == "v1.37.0"
        served = group_versions(server)
        assert {"lifecycle.k8s.io/v1alpha1", "storagemigration.k8s.io/v1", "scheduling.k8s.io/v1alpha3"} <= served
        assert "storage.k8s.io/v1beta1" not in served
        kubectl(server, "create", "deployment", "web", "--image=nginx")
        assert "web" in kubectl(server, "get", "deployments")
        for name in served:
            assert ask(server, f"/openapi/v3/apis/{name}")["paths"]
            for item in ask(server, f"/apis/{name}")["resources"]:
                if "list" in item["verbs"] and "/" not in item["name"]:
                    assert ask(server, f"/apis/{name}/{item['name']}")["kind"] == f"{item['kind']}List"


# --- 1.36 with other APIs


@pytest.fixture(scope="module")
def betas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """All beta and alpha versions are on, batch/v1 is off; two keys say what is so anyway."""
    config = "--runtime-config=api/beta=true,api/alpha=true,batch/v1=false,api/v1=true,api/legacy=false"
    gates = "--feature-gates=ClusterTrustBundle=true,PodCertificateRequest=true,DRADeviceTaintRules=true"
    with RunningServer(tmp_path_factory.mktemp("betas"), config, gates) as server:
        yield server


@pytest.mark.seed("S39")
def test_one_group_version_is_off_and_old_keys_do_no_harm(betas: RunningServer) -> None:
    assert betas.request("GET", "/apis/batch/v1")[0] == 404
    assert betas.request("GET", "/apis/batch/v1/namespaces/default/jobs")[0] == 404
    assert betas.request("GET", "/api/v1")[0] == 200
    assert "batch/v1" not in group_versions(betas)
    assert "v1.batch" not in api_services(betas)
    assert "apis/batch/v1" not in ask(betas, "/openapi/v3")["paths"]
    assert "jobs.batch" not in kubectl(betas, "api-resources", "-o", "name").split()


def test_beta_versions_show_what_is_stored_as_v1(betas: RunningServer) -> None:
    claims = "namespaces/default/resourceclaims"
    create(betas, f"{DRA}/v1beta1/{claims}", "claim", CLAIM)
    assert ask(betas, f"{DRA}/v1/{claims}/claim")["spec"]["devices"]["requests"] == [
        {"name": "gpu", "exactly": {"deviceClassName": "fast", "allocationMode": "ExactCount", "count": 2}}
    ]
    assert ask(betas, f"{DRA}/v1beta2/{claims}/claim")["apiVersion"] == "resource.k8s.io/v1beta2"
    patch = json.dumps({"metadata": {"labels": {"a": "b"}}})
    kubectl(betas, "patch", "resourceclaims.v1beta1.resource.k8s.io", "claim", "--type=merge", f"--patch={patch}")
    flat = ask(betas, f"{DRA}/v1beta1/{claims}/claim")
    assert flat["metadata"]["labels"] == {"a": "b"}
    assert flat["spec"]["devices"]["requests"][0]["count"] == 2
    services = api_services(betas)
    assert (
        services["v1beta1.resource.k8s.io"]["spec"]["versionPriority"]
        < (services["v1beta2.resource.k8s.io"]["spec"]["versionPriority"])
    )


def test_beta_versions_are_watched_and_applied(betas: RunningServer) -> None:
    path = "/apis/networking.k8s.io/v1beta1/servicecidrs"
    applied = {"apiVersion": "networking.k8s.io/v1beta1", "kind": "ServiceCIDR", "metadata": {"name": "more"}}
    manifest = json.dumps({**applied, "spec": {"cidrs": ["10.9.0.0/24"]}})
    kubectl(betas, "apply", "--server-side", "-f", "-", stdin=manifest)
    assert "more" in kubectl(betas, "get", "servicecidrs")
    status, body = betas.request("GET", f"{path}?watch=1&timeoutSeconds=1")
    events = [json.loads(line) for line in body.splitlines()]
    assert status == 200
    assert {"kubernetes", "more"} <= {event["object"]["metadata"]["name"] for event in events}
    assert {event["object"]["apiVersion"] for event in events} == {"networking.k8s.io/v1beta1"}
    fields = ask(betas, f"{path}/more")["metadata"]["managedFields"]
    assert [entry["apiVersion"] for entry in fields if entry["manager"] == "kubectl"] == ["networking.k8s.io/v1beta1"]


def test_a_kind_without_a_stable_version_is_there_with_its_gate(betas: RunningServer) -> None:
    create(betas, "/apis/certificates.k8s.io/v1beta1/clustertrustbundles", "bundle", BUNDLE)
    status, answer = betas.request(
        "POST",
        "/apis/certificates.k8s.io/v1beta1/clustertrustbundles",
        {"metadata": {"name": "empty"}, "spec": {"trustBundle": "none"}},
    )
    assert (status, "at least one trust anchor must be provided" in json.loads(answer)["message"]) == (422, True)
    assert kubectl(betas, "get", "clustertrustbundles").splitlines()[0].split() == ["NAME", "SIGNERNAME"]
    names = kubectl(betas, "api-resources", "-o", "name").split()
    assert "devicetaintrules.resource.k8s.io" in names
    assert "podgroups.scheduling.k8s.io" not in names, "its gate is off"
    assert "KIND:       ClusterTrustBundle" in kubectl(betas, "explain", "clustertrustbundles")


@pytest.mark.seed("S39")
def test_without_the_core_group_the_server_is_ready_and_makes_no_kubernetes_service(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--runtime-config=v1=false") as server:
        assert server.request("GET", "/api/v1")[0] == 404
        assert server.request("GET", "/api/v1/namespaces/default/services/kubernetes")[0] == 404
        assert server.request("GET", "/apis/apps/v1")[0] == 200
        wait_for(lambda: "v1.apps" in api_services(server), what="APIServices")
        assert "v1." not in api_services(server)
        server.stop()
        server.flags = ()
        server.start()
        assert ask(server, "/api/v1/namespaces/default/services/kubernetes")["spec"]["clusterIP"] == "10.0.0.1"


def test_an_emulated_version_behaves_like_the_older_one(tmp_path: Path) -> None:
    with RunningServer(
        tmp_path,
        "--emulated-version=kube=1.33",
        "--min-compatibility-version=1.33",
        "--emulation-forward-compatible",
        "--feature-gates=DynamicResourceAllocation=true",
        "--runtime-config=networking.k8s.io/v1beta1=true,resource.k8s.io/v1beta1=true",
    ) as server:
        version = ask(server, "/version")
        assert (version["minor"], version["emulationMinor"], version["minCompatibilityMinor"]) == ("36", "33", "33")
        assert version["gitVersion"].startswith("v1.36.")
        served = group_versions(server)
        assert {"networking.k8s.io/v1beta1", "resource.k8s.io/v1beta1"} <= served
        assert "resource.k8s.io/v1" in served, "the newer stable version of what is served"
        assert "admissionregistration.k8s.io/v1alpha1" not in served
        claims = "namespaces/default/resourceclaims"
        create(server, f"{DRA}/v1beta1/{claims}", "claim", CLAIM)
        requests = ask(server, f"{DRA}/v1/{claims}/claim")["spec"]["devices"]["requests"]
        assert requests[0]["exactly"]["count"] == 2
        explained = kubectl(
            server, "explain", "resourceclaims.spec.devices.requests", "--api-version=resource.k8s.io/v1"
        )
        assert "exactly" in explained
