"""A catalogue of policies with kubectl, policies that mutate, and policies while the workers behind the front die."""

from __future__ import annotations

import copy
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.running import RunningServer, wait_for

pytestmark = needs_kubectl
Object = dict[str, Any]

CATALOGUE = list(yaml.safe_load_all((Path(__file__).parent / "data" / "admission-policies.yaml").read_text()))
API = "admissionregistration.k8s.io/v1"
GROUPS = {"pods": "", "services": "", "deployments": "apps"}
DEFAULTS = {"Pod": ("v1", "p"), "Deployment": ("apps/v1", "d")}


def whole(obj: Object) -> Object:
    """An object of the catalogue with what every one of its kind needs."""
    obj = copy.deepcopy(obj)
    if obj["kind"] not in DEFAULTS:
        return obj
    api_version, name = DEFAULTS[obj["kind"]]
    containers = [{"name": "c", "image": "i:1", **each} for each in obj.pop("containers", [{}])]
    obj = {"apiVersion": api_version, "metadata": {"name": name}, "spec": {}, **obj}
    if obj["kind"] == "Pod":
        obj["spec"]["containers"] = containers
        return obj
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    obj["spec"] = {"selector": {"matchLabels": labels}, "template": template, **obj["spec"]}
    return obj


def spec_of(entry: Object) -> Object:
    """The policy's spec; a word stands for creations and updates of that resource."""
    spec: Object = entry["spec"]
    word = spec["matchConstraints"]
    if not isinstance(word, str):
        return spec
    rule = {"apiGroups": [GROUPS[word]], "apiVersions": ["v1"], "resources": [word], "operations": ["CREATE", "UPDATE"]}
    return {**spec, "matchConstraints": {"resourceRules": [rule]}}


def documents(objects: list[Object]) -> str:
    return "\n---\n".join(map(json.dumps, objects))


def policy(entry: Object) -> list[Object]:
    """A policy of the catalogue with a binding for the namespace of its name."""
    name = entry["name"]
    selector = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": selector}}
    metadata = {"name": name}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {**metadata, "labels": entry.get("labels", {})}}
    return [
        namespace,
        {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": metadata, "spec": spec_of(entry)},
        {
            "apiVersion": API,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {**binding, **entry.get("binding", {})},
        },
    ]


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with all policies of the catalogue."""
    flags = ("--advertise-address=192.0.2.10", "--disable-admission-plugins=ServiceAccount", "--allow-privileged")
    with RunningServer(tmp_path_factory.mktemp("server"), *flags) as server:
        everything = [obj for entry in CATALOGUE for obj in policy(entry)]
        Kubectl(server, "default")("apply", "-f", "-", stdin=documents(everything))
        for entry in CATALOGUE:
            if params := entry.get("params"):
                Kubectl(server, entry["name"])("apply", "-f", "-", stdin=documents(params))
        yield server


def test_the_catalogue_has_enough_policies() -> None:
    assert len(CATALOGUE) >= 20


@pytest.mark.e2e
@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: entry["name"])
def test_a_policy_of_the_catalogue(catalogue: RunningServer, entry: Object) -> None:
    kubectl = Kubectl(catalogue, entry["name"])
    for obj in map(whole, entry["good"]):
        kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(obj))
    for case in entry["bad"]:
        told = kubectl.fails("create", "-f", "-", stdin=json.dumps(whole(case["object"])))
        expected = f"ValidatingAdmissionPolicy '{entry['name']}' with binding '{entry['name']}' denied request: "
        assert expected in told
        assert case["message"] in told


def installed(kubectl: Kubectl, kind: str, name: str, spec: Object, **binding: Any) -> None:
    """A policy with a binding for the namespace of `kubectl`."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": kubectl.namespace}}
    bound = {"policyName": name, "matchResources": {"namespaceSelector": selector}, **binding}
    made = [
        {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec},
        {"apiVersion": API, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": bound},
    ]
    kubectl("apply", "-f", "-", stdin=documents(made))


def in_namespace(server: RunningServer, name: str) -> Kubectl:
    Kubectl(server, "default")("create", "namespace", name)
    return Kubectl(server, name)


PODS = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]
MAPS = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["CREATE"]}]


@pytest.mark.e2e
def test_a_sidecar_and_labels_are_added(catalogue: RunningServer) -> None:
    kubectl = in_namespace(catalogue, "sidecars")
    expression = (
        "Object{metadata: Object.metadata{labels: {'team': namespaceObject.metadata.name}}, spec: Object.spec{"
        "initContainers: [Object.spec.initContainers{name: 'mesh', image: 'mesh:1', restartPolicy: 'Always'}]}}"
    )
    tolerate = "[JSONPatch{op: 'add', path: '/spec/tolerations/-', value: Object.spec.tolerations{key: 'a', operator: 'Exists'}}]"
    spec = {
        "matchConstraints": {"resourceRules": PODS},
        "matchConditions": [{"name": "once", "expression": "!has(object.spec.initContainers)"}],
        "reinvocationPolicy": "Never",
        "mutations": [
            {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}},
            {"patchType": "JSONPatch", "jsonPatch": {"expression": tolerate}},
        ],
    }
    installed(kubectl, "MutatingAdmissionPolicy", "sidecars", spec)
    kubectl("create", "-f", "-", stdin=json.dumps(whole({"kind": "Pod"})))
    pod = json.loads(kubectl("get", "pod", "p", "-o", "json"))
    assert pod["metadata"]["labels"] == {"team": "sidecars"}
    (mesh,) = pod["spec"]["initContainers"]
    assert (mesh["name"], mesh["restartPolicy"], mesh["terminationMessagePath"]) == (
        "mesh",
        "Always",
        "/dev/termination-log",
    )
    assert "a" in [toleration.get("key") for toleration in pod["spec"]["tolerations"]]


@pytest.mark.e2e
def test_a_warning_reaches_kubectl(catalogue: RunningServer) -> None:
    kubectl = in_namespace(catalogue, "warned")
    spec = {
        "matchConstraints": {"resourceRules": MAPS},
        "validations": [{"expression": "has(object.data)", "message": "a map without data"}],
    }
    installed(kubectl, "ValidatingAdmissionPolicy", "warned", spec, validationActions=["Warn"])
    done = kubectl.run("create", "configmap", "c")
    assert done.returncode == 0
    assert (
        "Warning: Validation failed for ValidatingAdmissionPolicy 'warned' with binding 'warned': a map" in done.stderr
    )


@pytest.mark.e2e
def test_a_policy_is_in_force_within_a_second_on_every_worker(tmp_path: Path) -> None:
    """And while all workers are replaced, no creation passes that it denies."""
    with RunningServer(tmp_path, "--core-workers=2", "--advertise-address=192.0.2.10") as server:
        maps = "/api/v1/namespaces/default/configmaps"
        policies, bindings = (f"/apis/{API}/validatingadmissionpolic{rest}" for rest in ("ies", "ybindings"))
        spec = {"matchConstraints": {"resourceRules": MAPS}, "validations": [{"expression": "false", "message": "no"}]}
        policy = {"apiVersion": API, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "soon"}, "spec": spec}
        bound = {"policyName": "soon", "validationActions": ["Deny"]}
        binding = {"apiVersion": API, "kind": f"{policy['kind']}Binding", "metadata": {"name": "soon"}, "spec": bound}
        assert server.request("POST", bindings, binding)[0] == 201

        def creations(number: int) -> set[int]:
            body = {"metadata": {"name": "c"}}
            return {server.request("POST", f"{maps}?dryRun=All", body)[0] for _ in range(number)}

        for _ in range(4):
            assert server.request("POST", policies, policy)[0] == 201
            time.sleep(0.5)
            assert creations(12) == {422}
            assert server.request("DELETE", f"{policies}/soon")[0] == 200
            time.sleep(0.5)
            assert creations(12) == {201}
        assert server.request("POST", policies, policy)[0] == 201
        time.sleep(0.5)
        before = set(server.processes("core worker"))
        os.kill(server.process.pid, signal.SIGHUP)
        seen: set[int] = set()

        def replaced() -> bool:
            seen.update(creations(5))
            return not before & set(server.processes("core worker"))

        wait_for(replaced, 60, "new workers")
        assert seen | creations(20) == {422}


@pytest.mark.e2e
def test_nothing_passes_while_workers_are_killed(tmp_path: Path) -> None:
    """300 creations that a policy denies, while core workers die, and 60 that it allows."""
    with RunningServer(tmp_path, "--core-workers=2", "--advertise-address=192.0.2.10") as server:
        kubectl = Kubectl(server, "default")
        spec = {
            "matchConstraints": {"resourceRules": MAPS},
            "validations": [{"expression": "!object.metadata.name.startsWith('bad')", "message": "no"}],
        }
        installed(kubectl, "ValidatingAdmissionPolicy", "guard", spec, validationActions=["Deny"])
        maps = "/api/v1/namespaces/default/configmaps"

        def create(name: str, query: str = "") -> int:
            return server.request("POST", maps + query, {"metadata": {"name": name}})[0]

        wait_for(lambda: all(create("bad", "?dryRun=All") == 422 for _ in range(8)), 5, "the policy")
        stop = threading.Event()

        def kill() -> None:
            while not stop.wait(0.7):
                for pid in server.processes("core worker")[:1]:
                    os.kill(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        codes: list[int] = []
        try:
            for number in itertools.count():
                codes.append(create(f"bad-{number}"))
                if number % 5 == 0:
                    create(f"good-{number}")
                if number >= 300:
                    break
        finally:
            stop.set()
            killer.join()
        assert set(codes) <= {422, 503}
        assert codes.count(422) > 100
        wait_for(lambda: create("bad", "?dryRun=All") == 422, 10, "a worker")
        time.sleep(0.2)
        code, body = server.request("GET", maps)
        names = [item["metadata"]["name"] for item in json.loads(body)["items"]]
        assert code == 200
        assert not [name for name in names if name.startswith("bad")]
        assert [name for name in names if name.startswith("good")]


@pytest.mark.e2e
def test_policies_from_files(tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    name = "closed.static.k8s.io"
    spec = {"matchConstraints": {"resourceRules": MAPS}, "validations": [{"expression": "false", "message": "closed"}]}
    kind = "ValidatingAdmissionPolicy"
    selector = {"matchLabels": {"kubernetes.io/metadata.name": "default"}}
    bound = {
        "policyName": name,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": selector},
    }
    made = [
        {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec},
        {"apiVersion": API, "kind": f"{kind}Binding", "metadata": {"name": name}, "spec": bound},
    ]
    manifests.joinpath("closed.yaml").write_text(documents(made))
    told = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": f"{kind}Configuration",
        "staticManifestsDir": str(manifests),
    }
    plugins = [{"name": kind, "configuration": told}]
    file = tmp_path / "admission.json"
    config = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration", "plugins": plugins}
    file.write_text(json.dumps(config))
    flags = (
        "--advertise-address=192.0.2.10",
        f"--admission-control-config-file={file}",
        "--feature-gates=ManifestBasedAdmissionControlConfig=true",
    )
    with RunningServer(tmp_path, *flags) as server:
        kubectl = Kubectl(server, "default")
        told_by = kubectl.fails("create", "configmap", "c")
        assert f"ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: closed" in told_by
        reserved = json.dumps({**made[0], "metadata": {"name": "other.static.k8s.io"}})
        assert "are reserved for static manifest-based configurations" in kubectl.fails(
            "create", "-f", "-", stdin=reserved
        )
        manifests.joinpath("closed.yaml").unlink()
        wait_for(lambda: kubectl.run("create", "configmap", "c").returncode == 0, 10, "the policy's end")


@pytest.mark.e2e
def test_a_policy_that_denies_everything_can_be_mended_after_a_restart(tmp_path: Path) -> None:
    rule = {"apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"], "operations": ["*"]}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "false", "message": "no"}]}
    kind = "ValidatingAdmissionPolicy"
    bound = {"policyName": "all", "validationActions": ["Deny"]}
    made = [
        {"apiVersion": API, "kind": kind, "metadata": {"name": "all"}, "spec": spec},
        {"apiVersion": API, "kind": f"{kind}Binding", "metadata": {"name": "all"}, "spec": bound},
    ]
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10") as server:
        Kubectl(server, "default")("create", "-f", "-", stdin=documents(made))
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10") as server:
        kubectl = Kubectl(server, "default")
        assert "denied request: no" in kubectl.fails("create", "configmap", "c")
        kubectl("delete", kind.lower(), "all")
        wait_for(lambda: kubectl.run("create", "configmap", "c").returncode == 0, 10, "the policy's end")
