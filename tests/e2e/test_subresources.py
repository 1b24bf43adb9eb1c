"""Subresources that need no kubelet, as schedulers, kubelets, controllers and people use them; JSON and protobuf."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from apiserver_workers.apimachinery import codec, protobuf
from apiserver_workers.apimachinery.resources import resource
from apiserver_workers.apimachinery.types import model

from tests.conftest import ADMIN_TOKEN
from tests.e2e.test_every_kind import PROTOBUF, Wire
from tests.manifests import manifest
from tests.running import RunningServer

MERGE = "application/merge-patch+json"
NAMESPACE = "subresources"
ROOT = f"/api/v1/namespaces/{NAMESPACE}"


class Api:
    """Requests in JSON, as the administrator."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        code, answer = self.server.request(method, path, body, **headers)
        return code, json.loads(answer)

    def made(self, path: str, body: Any) -> Any:
        code, answer = self("POST", path, body)
        assert code == 201, answer
        return answer

    def patched(self, path: str, patch: Any) -> Any:
        code, answer = self("PATCH", path, patch, Content_Type=MERGE)
        assert code == 200, answer
        return answer

    def pod(self, name: str, **spec: Any) -> Any:
        """A new pod with two containers."""
        containers = [{"name": "a", "image": "i", "resources": RESOURCES}, {"name": "b", "image": "i"}]
        body = {
            "metadata": {"name": name},
            "spec": {"containers": containers, "automountServiceAccountToken": False} | spec,
        }
        return self.made(f"{ROOT}/pods", body)


RESOURCES = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Api]:
    api = Api(server)
    api.made("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    api.made(f"{ROOT}/serviceaccounts", {"metadata": {"name": "default"}})
    yield api
    server.request("DELETE", f"/api/v1/namespaces/{NAMESPACE}")


def generation(obj: Any) -> int:
    return int(obj["metadata"].get("generation", 0))


# ---- pods/binding


@pytest.mark.parametrize("path", ["pods/{name}/binding", "bindings"])
def test_a_scheduler_binds_a_pod(api: Api, path: str) -> None:
    name = "bound-" + path[0]
    before = api.pod(name)
    binding = {"metadata": {"name": name, "annotations": {"by": "me"}}, "target": {"kind": "Node", "name": "n1"}}
    code, told = api("POST", f"{ROOT}/{path.format(name=name)}", binding)
    assert (code, told["kind"], told["status"]) == (201, "Status", "Success")
    _, pod = api("GET", f"{ROOT}/pods/{name}")
    assert pod["spec"]["nodeName"] == "n1" and pod["metadata"]["annotations"] == {"by": "me"}
    scheduled = next(one for one in pod["status"]["conditions"] if one["type"] == "PodScheduled")
    assert scheduled["status"] == "True"
    assert generation(pod) == generation(before)
    code, told = api("POST", f"{ROOT}/{path.format(name=name)}", binding)
    assert (code, told["reason"]) == (409, "Conflict")
    assert told["message"] == (
        f'Operation cannot be fulfilled on pods/binding "{name}": pod {name} is already assigned to node "n1"'
    )


@pytest.mark.parametrize(
    ("binding", "code", "message"),
    [
        ({"metadata": {"name": "other"}, "target": {"name": "n"}}, 400, "name in URL does not match name in Binding object"),
        ({"metadata": {"name": "loose"}, "target": {"kind": "Pod", "name": "n"}}, 500, 'target.kind: Unsupported value: "Pod"'),
        ({"metadata": {"name": "loose"}, "target": {"kind": "Node"}}, 500, "target.name: Required value"),
        ({"metadata": {"name": "loose", "uid": "another"}, "target": {"name": "n"}}, 409, "Precondition failed: UID in precondition: another"),
    ],
)  # fmt: skip
def test_bindings_that_do_not_hold(api: Api, binding: Any, code: int, message: str) -> None:
    if api("GET", f"{ROOT}/pods/loose")[0] == 404:
        api.pod("loose")
    found, told = api("POST", f"{ROOT}/pods/loose/binding", binding)
    assert (found, message in told["message"]) == (code, True), told
    assert "nodeName" not in api("GET", f"{ROOT}/pods/loose")[1]["spec"]


def test_gated_pods_and_absent_ones_are_not_bound(api: Api) -> None:
    api.pod("gated", schedulingGates=[{"name": "example.com/wait"}])
    code, told = api("POST", f"{ROOT}/pods/gated/binding", {"metadata": {"name": "gated"}, "target": {"name": "n"}})
    assert code == 409 and "has non-empty .spec.schedulingGates" in told["message"]
    code, told = api("POST", f"{ROOT}/pods/absent/binding", {"metadata": {"name": "absent"}, "target": {"name": "n"}})
    assert (code, told["message"]) == (404, 'pods "absent" not found')
    assert (
        api("POST", f"{ROOT}/pods/gated/binding?dryRun=All", {"metadata": {"name": "gated"}, "target": {"name": "n"}})[
            0
        ]
        == 409
    )


# ---- pods/ephemeralcontainers, resize, status


def test_ephemeral_containers_are_only_ever_added(api: Api) -> None:
    before = api.pod("debugged")
    path = f"{ROOT}/pods/debugged/ephemeralcontainers"
    patch = {"spec": {"ephemeralContainers": [{"name": "dbg", "image": "tools", "targetContainerName": "a"}]}}
    code, pod = api("PATCH", path, patch, Content_Type="application/strategic-merge-patch+json")
    assert code == 200
    (added,) = pod["spec"]["ephemeralContainers"]
    assert added["terminationMessagePolicy"] == "File" and added["imagePullPolicy"] == "Always"
    assert generation(pod) == generation(before) + 1
    changed = {**pod, "spec": {**pod["spec"], "ephemeralContainers": [{**added, "image": "other"}]}}
    code, told = api("PUT", path, changed)
    assert code == 422 and 'existing ephemeral containers "dbg" may not be changed' in told["message"]
    removed = {**pod, "spec": {**pod["spec"], "ephemeralContainers": []}}
    code, told = api("PUT", path, removed)
    assert code == 422 and 'existing ephemeral containers "dbg" may not be removed' in told["message"]
    # Neither an ordinary update nor a creation sets any, and this subresource sets nothing else.
    code, told = api("PUT", f"{ROOT}/pods/debugged", changed)
    assert code == 422 and "pod updates may not change fields other than" in told["message"]
    code, same = api("PUT", path, {**pod, "metadata": {**pod["metadata"], "labels": {"x": "y"}}, "spec": pod["spec"]})
    assert code == 200 and same["spec"] == pod["spec"]
    assert api("GET", path)[1]["spec"] == pod["spec"]


def test_a_pod_is_resized_in_place(api: Api) -> None:
    before = api.pod("resized")
    path = f"{ROOT}/pods/resized/resize"
    more = {"requests": {"cpu": "300m", "memory": "64Mi"}, "limits": {"cpu": "400m", "memory": "64Mi"}}
    patch = {"spec": {"containers": [{"name": "a", "resources": more}]}}
    code, pod = api("PATCH", path, patch, Content_Type="application/strategic-merge-patch+json")
    assert code == 200, pod
    assert pod["spec"]["containers"][0]["resources"] == more and generation(pod) == generation(before) + 1
    code, told = api(
        "PATCH", f"{ROOT}/pods/resized", patch | {"spec": {"containers": [{"name": "a", "resources": RESOURCES}]}},
        Content_Type="application/strategic-merge-patch+json",
    )  # fmt: skip
    assert code == 422 and "pod updates may not change fields other than" in told["message"]
    wrong = {"spec": {"containers": [{"name": "a", "image": "other"}]}}
    code, told = api("PATCH", path, wrong, Content_Type="application/strategic-merge-patch+json")
    assert code == 200 and told["spec"]["containers"][0]["image"] == "i"
    assert generation(told) == generation(pod)
    burst = {"spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": "400m"}}}]}}
    code, told = api("PATCH", path, burst, Content_Type="application/strategic-merge-patch+json")
    assert code == 200, told
    last = {"spec": {"containers": [{"name": "a", "resources": {"limits": None, "requests": None}}]}}
    code, told = api("PATCH", path, last, Content_Type="application/strategic-merge-patch+json")
    assert (code == 422 and "QOS" in told["message"].upper()) or "cannot be removed" in told["message"], told


def test_a_kubelet_writes_the_status_and_nothing_else(api: Api) -> None:
    before = api.pod("watched")
    path = f"{ROOT}/pods/watched/status"
    status = {"phase": "Running", "podIP": "192.0.2.5", "podIPs": [{"ip": "192.0.2.5"}], "observedGeneration": 1}
    pod = api.patched(path, {"metadata": {"labels": {"a": "b"}}, "spec": {"nodeName": "x"}, "status": status})
    assert holds_all(pod["status"], status) and "nodeName" not in pod["spec"] and generation(pod) == generation(before)
    assert pod["metadata"]["labels"] == {"a": "b"}
    code, told = api("PATCH", path, {"status": {"podIP": "no", "podIPs": [{"ip": "no"}]}}, Content_Type=MERGE)
    assert code == 422 and "status.podIPs[0]" in told["message"]
    _, plain = api("GET", path)
    assert plain["status"] == pod["status"]
    code, updated = api("PUT", f"{ROOT}/pods/watched", {**pod, "status": {"phase": "Failed"}})
    assert code == 200 and updated["status"] == pod["status"]


def holds_all(found: Any, wanted: Any) -> bool:
    return all(found.get(key) == value for key, value in wanted.items())


# ---- namespaces/finalize and status


def test_a_namespace_goes_when_its_finalizer_does(api: Api) -> None:
    api.made("/api/v1/namespaces", {"metadata": {"name": "finalized"}})
    path = "/api/v1/namespaces/finalized"
    code, going = api("DELETE", path)
    assert code == 200 and going["status"]["phase"] == "Terminating" and going["spec"]["finalizers"] == ["kubernetes"]
    code, told = api("POST", f"{path}/configmaps", {"metadata": {"name": "late"}})
    assert code == 403 and told["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    condition = {"type": "NamespaceContentRemaining", "status": "True", "reason": "SomeResourcesRemain"}
    marked = api.patched(f"{path}/status", {"status": {"conditions": [condition]}, "spec": {"finalizers": []}})
    assert marked["status"]["conditions"][0]["reason"] == "SomeResourcesRemain"
    assert marked["spec"]["finalizers"] == ["kubernetes"]
    code, told = api("PUT", path, {**marked, "spec": {"finalizers": []}})
    assert code == 200 and told["spec"]["finalizers"] == ["kubernetes"]
    code, told = api("PUT", f"{path}/finalize", {**told, "spec": {"finalizers": ["wrong"]}})
    assert code == 422 and "name is neither a standard finalizer name nor is it fully qualified" in told["message"]
    code, last = api(
        "PUT", f"{path}/finalize", {**marked, "metadata": {"name": "finalized"}, "spec": {"finalizers": []}}
    )
    assert code == 200 and "finalizers" not in last["spec"]
    assert api("GET", path)[0] == 404
    assert api("PATCH", f"{path}/finalize", {}, Content_Type=MERGE)[0] == 405


# ---- scale


SCALED = ("deployments", "replicasets", "statefulsets", "replicationcontrollers")


@pytest.mark.parametrize("name", SCALED)
def test_scale_in_protobuf(api: Api, server: RunningServer, name: str) -> None:
    info = resource("" if name == "replicationcontrollers" else "apps", "v1", name)
    assert info is not None
    wire, type = Wire(server, info), model().kind("autoscaling", "v1", "Scale")
    root = f"/apis/apps/v1/namespaces/{NAMESPACE}/{name}" if info.group else f"{ROOT}/{name}"
    api.made(root, manifest(info, "scaled", NAMESPACE))
    path = f"{root}/scaled/scale"
    status, kind, body = wire.ask("GET", path)
    scale = codec.normalise(type, protobuf.decode_object(type, body))
    assert (status, kind, scale) == (200, PROTOBUF, api("GET", path)[1])
    scale["spec"]["replicas"] = 6
    status, _, body = wire.ask("PUT", path, protobuf.encode_object(type, scale))
    assert status == 200 and codec.normalise(type, protobuf.decode_object(type, body))["spec"] == {"replicas": 6}
    status, _, body = wire.ask("PATCH", path, b'{"spec":{"replicas":3}}', kind=MERGE)
    assert status == 200 and codec.normalise(type, protobuf.decode_object(type, body))["spec"] == {"replicas": 3}
    assert api("GET", f"{root}/scaled")[1]["spec"]["replicas"] == 3
    code, told = api("PATCH", path, {"spec": {"replicas": -1}}, Content_Type=MERGE)
    assert code == 422 and "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in told["message"]
    code, told = api("PUT", path, {**scale, "metadata": {**scale["metadata"], "resourceVersion": "1"}})
    assert (code, told["reason"]) == (409, "Conflict")


# ---- tokens and reviews


REVIEWS = [
    ("authentication.k8s.io", "tokenreviews", "TokenReview", {"token": ADMIN_TOKEN}, ("authenticated", True)),
    ("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", {}, ("userInfo", None)),
    ("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview",
     {"user": "nobody", "groups": ["system:masters"], "resourceAttributes": {"verb": "get", "resource": "pods"}}, ("allowed", True)),
    ("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview",
     {"nonResourceAttributes": {"verb": "get", "path": "/metrics"}}, ("allowed", True)),
    ("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview",
     {"user": "nobody", "resourceAttributes": {"namespace": NAMESPACE, "verb": "get", "resource": "pods"}}, ("allowed", False)),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", {"namespace": NAMESPACE}, ("incomplete", False)),
]  # fmt: skip


@pytest.mark.parametrize(("group", "name", "kind", "spec", "expected"), REVIEWS, ids=lambda value: str(value)[:30])
def test_reviews_in_both_forms(
    api: Api, server: RunningServer, group: str, name: str, kind: str, spec: Any, expected: tuple[str, Any]
) -> None:
    scope = f"/namespaces/{NAMESPACE}" if kind.startswith("Local") else ""
    path = f"/apis/{group}/v1{scope}/{name}"
    body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {}, "spec": spec}
    info = resource(group, "v1", name)
    assert info is not None
    code, told = api("POST", path, body)
    assert code == 201, told
    key, value = expected
    assert told["status"].get(key, False if value is False else None) == (
        told["status"][key] if value is None else value
    )
    wire = Wire(server, info)
    status, media_type, answer = wire.ask("POST", path, protobuf.encode_object(wire.type, body))
    assert (status, media_type) == (201, PROTOBUF), answer
    assert wire.decoded(answer)["status"] == told["status"]
    code, told = api("GET", path)
    assert (code, told["reason"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"expirationSeconds": 60}, 422, "spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes"),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "absent"}}, 404, 'pods "absent" not found'),
        ({"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "x"}}, 400, "cannot bind token"),
    ],
)  # fmt: skip
def test_tokens_that_are_not_given(api: Api, spec: Any, code: int, message: str) -> None:
    found, told = api("POST", f"{ROOT}/serviceaccounts/default/token", {"spec": spec})
    assert (found, message in told["message"]) == (code, True), told


def test_a_token_in_protobuf(api: Api, server: RunningServer) -> None:
    info = resource("", "v1", "serviceaccounts")
    assert info is not None
    type = model().kind("authentication.k8s.io", "v1", "TokenRequest")
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"audiences": ["me"], "expirationSeconds": 3600},
    }
    status, kind, answer = Wire(server, info).ask(
        "POST", f"{ROOT}/serviceaccounts/default/token", protobuf.encode_object(type, body)
    )
    assert (status, kind) == (201, PROTOBUF), answer
    told = codec.normalise(type, protobuf.decode_object(type, answer))
    assert told["spec"]["audiences"] == ["me"] and told["status"]["token"].count(".") == 2
    review = {"spec": {"token": told["status"]["token"], "audiences": ["me", "you"]}}
    _, known = api("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review)
    assert known["status"]["authenticated"] and known["status"]["audiences"] == ["me"]
    assert known["status"]["user"]["username"] == f"system:serviceaccount:{NAMESPACE}:default"


def test_bindings_evictions_and_deletions_in_protobuf(api: Api, server: RunningServer) -> None:
    info = resource("", "v1", "pods")
    assert info is not None
    wire = Wire(server, info)

    def post(path: str, group: str, kind: str, obj: dict[str, Any]) -> Any:
        body = {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind, **obj}
        message = protobuf.encode_object(model().kind(group, "v1", kind), body)
        status, media_type, answer = wire.ask("POST", f"{ROOT}/{path}", message)
        assert (status, media_type) == (201, PROTOBUF), answer
        return wire.decoded(answer, "Status" if "/" in path else kind)

    for name in ("wire-a", "wire-b", "wire-c"):
        spec = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False}
        post("pods", "", "Pod", {"metadata": {"name": name, "labels": {"wire": "yes"}}, "spec": spec})
    target = {"kind": "Node", "name": "n"}
    assert (
        post("pods/wire-a/binding", "", "Binding", {"metadata": {"name": "wire-a"}, "target": target})["status"]
        == "Success"
    )
    assert api("GET", f"{ROOT}/pods/wire-a")[1]["spec"]["nodeName"] == "n"
    eviction = {"metadata": {"name": "wire-b"}, "deleteOptions": {"gracePeriodSeconds": 0}}
    assert post("pods/wire-b/eviction", "policy", "Eviction", eviction)["code"] == 201
    options = wire.message("DeleteOptions", {"gracePeriodSeconds": 0})
    status, media_type, body = wire.ask("DELETE", f"{ROOT}/pods?labelSelector=wire%3Dyes", options)
    assert (status, media_type) == (200, PROTOBUF)
    assert [one["metadata"]["name"] for one in wire.decoded(body, "PodList")["items"]] == ["wire-a", "wire-c"]
    assert api("GET", f"{ROOT}/pods?labelSelector=wire%3Dyes")[1]["items"] == []
