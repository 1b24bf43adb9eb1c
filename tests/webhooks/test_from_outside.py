"""Webhooks of a whole server, asked over its front: every way in, every worker, and what comes back."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.auth.remote import Authority
from tests.e2e.connection import Client
from tests.e2e.kubectl import Kubectl
from tests.running import RunningServer, wait_for
from tests.webhooks.hooks import HookServer, allow, configuration, deny, label, patch, rule

Object = dict[str, Any]

pytestmark = pytest.mark.e2e

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
MAPS = "/api/v1/namespaces/default/configmaps"
REFUSED = 'admission webhook "check.example.com" denied the request: no'
SELECTOR = {"matchLabels": {"kubernetes.io/metadata.name": "default"}}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    flags = ("--advertise-address=192.0.2.10", "--core-workers=2", "--aggregator-workers=2")
    with RunningServer(tmp_path_factory.mktemp("server"), *flags) as server:
        yield server


@contextmanager
def installed(server: RunningServer, *hooks: Object, mutating: bool = False, name: str = "hooks") -> Iterator[None]:
    """A configuration that is in force on every worker, and gone from all when this is left."""
    obj = configuration(name, *hooks, mutating=mutating)
    path = f"{ADMISSION}/{obj['kind'].lower()}s"
    code, body = server.request("POST", path, obj)
    assert code == 201, body
    settle(server)
    try:
        yield
    finally:
        assert server.request("DELETE", f"{path}/{name}")[0] == 200
        settle(server)


def settle(server: RunningServer) -> None:
    """Every worker knows what was written before: its consistent reads have seen it."""
    for _ in range(8):
        assert server.request("GET", f"{ADMISSION}/mutatingwebhookconfigurations")[0] == 200
    time.sleep(0.3)


def config_map(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}}


def answer(server: RunningServer, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    code, raw = server.request(method, path, body, **headers)
    return code, json.loads(raw)


def test_a_refusal_reaches_kubectl(running: RunningServer, authority: Authority) -> None:
    with HookServer(authority, check=deny("we are closed", code=409)) as hooks, installed(running, hooks.hook("check")):
        done = Kubectl(running, "default").run("create", "configmap", "refused")
    assert done.returncode == 1
    assert 'admission webhook "check.example.com" denied the request: we are closed' in done.stderr


def test_a_configuration_is_in_force_within_a_second_on_every_worker(
    running: RunningServer, authority: Authority
) -> None:
    with HookServer(authority, check=deny()) as hooks:
        obj = configuration("soon", hooks.hook("check"), mutating=False)
        path = f"{ADMISSION}/validatingwebhookconfigurations"
        for round in range(5):
            assert running.request("POST", path, obj)[0] == 201
            time.sleep(0.5)
            codes = {running.request("POST", f"{MAPS}?dryRun=All", config_map(f"c{round}"))[0] for _ in range(12)}
            assert codes == {400}
            assert running.request("DELETE", f"{path}/soon")[0] == 200
            time.sleep(0.5)
            codes = {running.request("POST", f"{MAPS}?dryRun=All", config_map(f"c{round}"))[0] for _ in range(12)}
            assert codes == {201}


def patched(server: RunningServer, path: str, body: Any, kind: str = "merge-patch+json") -> tuple[int, Any]:
    return answer(server, "PATCH", path, body, Content_Type=f"application/{kind}")


def test_options_are_those_of_the_operation(running: RunningServer, authority: Authority) -> None:
    change = {"data": {"b": "2"}}
    with HookServer(authority, check=allow) as hooks:
        hook = hooks.hook("check", rules=[rule(operations="*")], namespaceSelector=SELECTOR)
        with installed(running, hook):
            patched(running, f"{MAPS}/options?fieldManager=me&force=true", config_map("options"), "apply-patch+yaml")
            patched(running, f"{MAPS}/options?fieldValidation=Strict", change)
            running.request("PUT", f"{MAPS}/options?dryRun=All", config_map("options"))
            running.request("DELETE", f"{MAPS}/options?gracePeriodSeconds=0&propagationPolicy=Background")
        options = [(request["operation"], request["options"]) for request in hooks.requests()]
    head = {"apiVersion": "meta.k8s.io/v1"}
    assert options == [
        ("CREATE", {"kind": "CreateOptions", "fieldManager": "me", **head}),
        ("UPDATE", {"kind": "UpdateOptions", "fieldValidation": "Strict", **head}),
        ("UPDATE", {"kind": "UpdateOptions", "dryRun": ["All"], **head}),
        ("DELETE", {"kind": "DeleteOptions", "gracePeriodSeconds": 0, "propagationPolicy": "Background", **head}),
    ]


def test_each_object_of_a_collection_is_asked_for(running: RunningServer, authority: Authority) -> None:
    for number in range(3):
        obj = config_map(f"many{number}")
        obj["metadata"]["labels"] = {"many": "1"}
        assert running.request("POST", MAPS, obj)[0] == 201
    refusing = deny("kept")

    def keep_one(request: Object) -> Any:
        return refusing(request) if request["oldObject"]["metadata"]["name"] == "many1" else {"allowed": True}

    with HookServer(authority, check=keep_one) as hooks:
        with installed(running, hooks.hook("check", rules=[rule(operations="DELETE")], namespaceSelector=SELECTOR)):
            code, status = answer(running, "DELETE", f"{MAPS}?labelSelector=many")
        assert (code, status["message"]) == (400, 'admission webhook "check.example.com" denied the request: kept')
        assert {"name" in request for request in hooks.requests()} == {False}
        assert hooks.requests()[0]["options"]["kind"] == "DeleteOptions"
    assert running.request("GET", f"{MAPS}/many1")[0] == 200
    assert answer(running, "DELETE", f"{MAPS}?labelSelector=many")[0] == 200


def deployment(name: str) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def test_a_scale_is_asked_for_as_a_scale(running: RunningServer, authority: Authority) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    assert running.request("POST", path, deployment("scaled"))[0] == 201
    most = patch({"op": "replace", "path": "/spec/replicas", "value": 3})
    rules = [rule("deployments/scale", "UPDATE")]
    with HookServer(authority, change=most, check=allow) as hooks:
        with (
            installed(running, hooks.hook("change", rules=rules), mutating=True),
            installed(running, hooks.hook("check", rules=rules)),
        ):
            code, scaled = patched(running, f"{path}/scaled/scale", {"spec": {"replicas": 9}})
        (change,), (check,) = hooks.requests("change"), hooks.requests("check")
    assert (code, scaled["spec"]["replicas"]) == (200, 3)
    assert answer(running, "GET", f"{path}/scaled")[1]["spec"]["replicas"] == 3
    assert change["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
    assert change["resource"] == {"group": "apps", "version": "v1", "resource": "deployments"}
    assert (change["subResource"], change["requestSubResource"]) == ("scale", "scale")
    assert (change["object"]["kind"], change["object"]["spec"]) == ("Scale", {"replicas": 9})
    assert (change["oldObject"]["kind"], change["oldObject"]["spec"]) == ("Scale", {"replicas": 1})
    assert check["object"]["spec"] == {"replicas": 3}


def test_an_equivalent_version_is_converted(running: RunningServer, authority: Authority) -> None:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    metrics = [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 40}}}
    ]
    obj = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 4, "metrics": metrics},
    }
    old = {**rule("horizontalpodautoscalers", "CREATE", "autoscaling"), "apiVersions": ["v1"]}
    change = patch({"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 70})
    path = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
    with HookServer(authority, change=change, exact=deny()) as hooks:
        with (
            installed(running, hooks.hook("change", rules=[old]), mutating=True),
            installed(running, hooks.hook("exact", rules=[old], matchPolicy="Exact")),
        ):
            code, created = answer(running, "POST", path, obj)
        (request,) = hooks.requests()
    assert code == 201
    assert created["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 70
    assert request["kind"] == {"group": "autoscaling", "version": "v1", "kind": "HorizontalPodAutoscaler"}
    assert request["requestKind"]["version"] == "v2"
    assert request["resource"]["version"] == "v1"
    assert request["requestResource"]["version"] == "v2"
    assert request["object"]["apiVersion"] == "autoscaling/v1"
    assert request["object"]["spec"]["targetCPUUtilizationPercentage"] == 40


SUBRESOURCES = [
    (
        "CREATE",
        ("policy", "v1", "Eviction"),
        "eviction",
        {"kind": "Eviction", "apiVersion": "policy/v1"},
    ),
    ("CREATE", ("", "v1", "Binding"), "binding", {"kind": "Binding", "target": {"name": "n"}}),
    ("UPDATE", ("", "v1", "Pod"), "status", None),
    ("UPDATE", ("", "v1", "Pod"), "ephemeralcontainers", None),
]


def test_subresources_are_asked_for(running: RunningServer, authority: Authority) -> None:
    pods = "/api/v1/namespaces/default/pods"
    spec = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False}
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "default"}}
    running.request("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    code, pod = answer(running, "POST", pods, {"metadata": {"name": "p"}, "spec": spec})
    assert code == 201, pod
    with (
        HookServer(authority, check=deny()) as hooks,
        installed(running, hooks.hook("check", rules=[rule("pods/*", "*")], namespaceSelector=SELECTOR)),
    ):
        for operation, kind, subresource, body in SUBRESOURCES:
            obj = pod if body is None else {"apiVersion": "v1", "metadata": {"name": "p"}, **body}
            code, status = answer(running, "PUT" if body is None else "POST", f"{pods}/p/{subresource}", obj)
            assert (code, status["message"]) == (400, REFUSED), status
            request = hooks.requests()[-1]
            assert (request["subResource"], request["operation"]) == (subresource, operation)
            assert request["kind"] == dict(zip(("group", "version", "kind"), kind, strict=True))
            assert request["object"]["kind"] == kind[2]
        assert len(hooks.requests()) == len(SUBRESOURCES)


CONNECTS = [
    ("pods/p/exec?command=ls&command=-l&container=c&stdout=true", "PodExecOptions",
     {"command": ["ls", "-l"], "container": "c", "stdout": True}),
    ("pods/p/attach?stdin=true", "PodAttachOptions", {"stdin": True}),
    ("pods/p/portforward?ports=80", "PodPortForwardOptions", {"ports": [80]}),
    ("pods/p/proxy/some/path", "PodProxyOptions", {"path": "/some/path"}),
    ("services/s/proxy/", "ServiceProxyOptions", {"path": "/"}),
]  # fmt: skip


def test_connections_are_asked_for(running: RunningServer, authority: Authority) -> None:
    with (
        HookServer(authority, check=deny()) as hooks,
        installed(running, hooks.hook("check", rules=[rule("*/*", "CONNECT")], namespaceSelector=SELECTOR)),
    ):
        for path, kind, options in CONNECTS:
            code, status = answer(running, "GET", f"/api/v1/namespaces/default/{path}")
            assert (code, status["message"]) == (400, REFUSED), status
            request = hooks.requests()[-1]
            assert request["operation"] == "CONNECT"
            assert request["kind"] == {"group": "", "version": "v1", "kind": kind}
            assert request["object"] == {"apiVersion": "v1", "kind": kind, **options}
            assert (request["oldObject"], request["options"]) == (None, None)
        code, _ = answer(running, "GET", "/api/v1/nodes/n/proxy/x")
        assert (code, hooks.requests()[-1]["kind"]["kind"]) == (400, "NodeProxyOptions")


@pytest.mark.seed("S67")
def test_every_server_of_the_chain_asks(running: RunningServer, authority: Authority) -> None:
    group = {"group": "x.example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1}
    service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.x.example.com"},
    }
    names = {"plural": "ws", "kind": "W"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "ws.y.example.com"},
        "spec": {"group": "y.example.com", "names": names, "scope": "Namespaced", "versions": [version]},
    }
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    with HookServer(authority, check=deny()) as hooks:
        with installed(running, hooks.hook("check", rules=[rule("*/*", "CREATE")])):
            for path, obj in (
                ("/apis/apiregistration.k8s.io/v1/apiservices", {**service, "spec": group}),
                ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition),
                ("/apis/authentication.k8s.io/v1/selfsubjectreviews", review),
                (MAPS, config_map("c")),
                ("/api/v1/namespaces", {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "another"}}),
            ):
                code, status = answer(running, "POST", path, obj)
                assert code == 400, (path, status)
                assert status["message"] == 'admission webhook "check.example.com" denied the request: no'
        namespace = hooks.requests()[-1]
    assert (namespace["name"], namespace["namespace"]) == ("another", "another")


@pytest.mark.seed("S60")
def test_a_service_stands_for_a_webhook(running: RunningServer, authority: Authority) -> None:
    services = "/api/v1/namespaces/default/services"
    spec = {"type": "ExternalName", "externalName": "localhost"}
    assert running.request("POST", services, {"metadata": {"name": "hook"}, "spec": spec})[0] == 201
    with HookServer(authority, hosts=("hook.default.svc",), check=deny(), far=deny()) as hooks:
        port = int(hooks.remote.url.rpartition(":")[2])
        hook = hooks.hook("check")
        service = {"namespace": "default", "name": "hook", "path": "/check", "port": port}
        hook["clientConfig"] = {"service": service, "caBundle": hook["clientConfig"]["caBundle"]}
        with installed(running, hook):
            code, status = answer(running, "POST", MAPS, config_map("c"))
        assert (code, len(hooks.requests("check"))) == (400, 1), status
        hook["clientConfig"]["service"]["name"] = "nowhere"
        with installed(running, hook):
            code, status = answer(running, "POST", MAPS, config_map("c"))
    assert (code, status["message"]) == (
        500,
        'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: '
        f'Post "https://nowhere.default.svc:{port}/check?timeout=10s": service "nowhere" not found',
    )


def test_what_cannot_be_asked_refuses_or_is_passed_over(running: RunningServer, authority: Authority) -> None:
    with HookServer(authority, down=allow) as hooks:
        hook = hooks.hook("down")
    code, status = refused_by(running, hook)
    address = hooks.remote.url.removeprefix("https://")
    assert (code, status["message"]) == (
        500,
        'Internal error occurred: failed calling webhook "down.example.com": failed to call webhook: '
        f'Post "https://{address}/down?timeout=10s": dial tcp {address}: connect: connection refused',
    )
    assert (status["reason"], list(status["details"])) == ("InternalError", ["causes"])
    with installed(running, {**hook, "failurePolicy": "Ignore"}):
        assert running.request("POST", f"{MAPS}?dryRun=All", config_map("c"))[0] == 201
    metrics = running.request("GET", "/metrics")[1].decode()
    assert 'apiserver_admission_webhook_fail_open_count{name="down.example.com",type="validating"} 1' in metrics
    rejection = (
        'apiserver_admission_webhook_rejection_count{name="down.example.com",type="validating",operation="CREATE",'
    )
    assert f'{rejection}error_type="calling_webhook_error",rejection_code="503"}} 1' in metrics
    assert (
        'rejection_count{name="check.example.com",type="validating",operation="CREATE",error_type="no_error",'
        in metrics
    )


def refused_by(server: RunningServer, hook: Object) -> tuple[int, Any]:
    with installed(server, hook):
        return answer(server, "POST", f"{MAPS}?dryRun=All", config_map("c"))


@pytest.mark.seed("S101")
def test_a_request_is_over_when_its_time_is(tmp_path: Any, authority: Authority) -> None:
    def hang(_: Object) -> Object:
        time.sleep(4)
        return {"allowed": True}

    flags = ("--advertise-address=192.0.2.10", "--request-timeout=2s")
    with RunningServer(tmp_path, *flags) as server, HookServer(authority, hang=hang) as hooks:
        with installed(server, hooks.hook("hang")):
            began = time.monotonic()
            code, status = answer(server, "POST", MAPS, config_map("late"))
            assert (code, status["reason"]) == (504, "Timeout")
            assert 1.5 < time.monotonic() - began < 3.5
            time.sleep(3)
        assert server.request("GET", f"{MAPS}/late")[0] == 404


CREATIONS = 300


def test_nothing_passes_unchecked_while_workers_die(tmp_path: Any, authority: Authority) -> None:
    flags = ("--advertise-address=192.0.2.10", "--core-workers=2")
    with (
        HookServer(authority, first=label("first"), second=label("second"), third=allow, fourth=allow) as hooks,
        RunningServer(tmp_path, *flags) as server,
    ):
        with (
            installed(server, hooks.hook("first"), hooks.hook("second"), mutating=True),
            installed(server, hooks.hook("third"), hooks.hook("fourth")),
        ):
            numbers = iter(range(CREATIONS))
            lock = threading.Lock()
            threads = [threading.Thread(target=create_many, args=(server, numbers, lock)) for _ in range(3)]
            for thread in threads:
                thread.start()
            kills = 0
            while any(thread.is_alive() for thread in threads):
                time.sleep(0.7)
                for pid in server.processes("core worker")[:1]:
                    os.kill(pid, signal.SIGKILL)
                    kills += 1
            for thread in threads:
                thread.join()
            objects = json.loads(server.request("GET", f"{MAPS}?labelSelector=first")[1])["items"]
            everything = json.loads(server.request("GET", MAPS)[1])["items"]
        made = [obj for obj in everything if obj["metadata"]["name"].startswith("kill-")]
        assert len(made) == CREATIONS and len(objects) == CREATIONS
        assert kills >= 2
        for name in ("third", "fourth"):
            seen = {request["object"]["metadata"]["uid"]: request["object"] for request in hooks.requests(name)}
            for obj in made:
                checked = seen[obj["metadata"]["uid"]]
                assert checked["metadata"]["labels"] == obj["metadata"]["labels"] == {"first": "1", "second": "1"}


def create_many(server: RunningServer, numbers: Iterator[int], lock: threading.Lock) -> None:
    """Create config maps until the numbers are used up; what fails is tried again."""
    client = Client(server)
    while True:
        with lock:
            number = next(numbers, None)
        if number is None:
            return
        wait_for(lambda number=number: created(client, number), timeout=60, what=f"creation {number}")


def created(client: Client, number: int) -> bool:
    try:
        return client.ask("POST", MAPS, config_map(f"kill-{number}"))[0] in (201, 409)
    except OSError:
        return False
