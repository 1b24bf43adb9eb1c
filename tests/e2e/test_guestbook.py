"""A guestbook-like set of objects under all that people do with kubectl."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.running import RunningServer, wait_for

pytestmark = needs_kubectl
GUESTBOOK = Path(__file__).parent / "data" / "guestbook.yaml"


@pytest.fixture(scope="module")
def kubectl(server: RunningServer) -> Iterator[Kubectl]:
    Kubectl(server, "default")("create", "namespace", "guestbook")
    found = Kubectl(server, "guestbook")
    found("apply", "-f", str(GUESTBOOK))
    yield found
    found("delete", "-f", str(GUESTBOOK), "--wait=false", "--ignore-not-found")


def test_applying_again_changes_nothing(kubectl: Kubectl) -> None:
    versions = ("get", "-f", str(GUESTBOOK), "-o", "jsonpath={.items[*].metadata.resourceVersion}")
    before = kubectl(*versions)
    lines = kubectl("apply", "-f", str(GUESTBOOK)).splitlines()
    # kubectl sends claim templates again because it does not know their defaults; that is no change either.
    assert len(lines) == 12 and [line for line in lines if "unchanged" not in line][1:] == []
    assert kubectl(*versions) == before


def test_get_all_shows_the_usual_columns(kubectl: Kubectl) -> None:
    shown = kubectl("get", "all", "-A")
    assert "deployment.apps/frontend" in shown and "statefulset.apps/redis" in shown and "cronjob.batch/backup" in shown
    assert "0/3" in shown
    header, *_ = kubectl("get", "deployments", "-o", "wide").splitlines()
    assert header.split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "CONTAINERS", "IMAGES", "SELECTOR"]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("jsonpath={.spec.replicas}", "3"),
        ("custom-columns=NAME:.metadata.name,IMAGE:.spec.template.spec.containers[0].image", "gb-frontend:v5"),
        ("yaml", "kind: Deployment"),
        ("json", '"kind": "Deployment"'),
        ("name", "deployment.apps/frontend"),
    ],
)
def test_output_forms(kubectl: Kubectl, output: str, expected: str) -> None:
    assert expected in kubectl("get", "deployment", "frontend", "-o", output)


@pytest.mark.parametrize(
    "name",
    [
        "deployment/frontend",
        "service/frontend",
        "statefulset/redis",
        "cronjob/backup",
        "ingress/guestbook",
        "pvc/backup",
        "secret/credentials",
        "role/reader",
        "rolebinding/reader",
        "namespace/guestbook",
    ],
)
def test_describe(kubectl: Kubectl, name: str) -> None:
    assert name.partition("/")[2] in kubectl("describe", name)


def test_explain_is_recursive(kubectl: Kubectl) -> None:
    explained = kubectl("explain", "deployment.spec", "--recursive")
    assert "progressDeadlineSeconds" in explained and "topologySpreadConstraints" in explained


def test_edit_scale_label_and_annotate(kubectl: Kubectl) -> None:
    kubectl("edit", "configmap", "settings", EDITOR="sed -i s/blue/green/")
    assert kubectl("get", "configmap", "settings", "-o", "jsonpath={.data.colour}") == "green"
    kubectl("scale", "deployment/frontend", "--replicas=5", "--current-replicas=3")
    assert kubectl("get", "deployment", "frontend", "-o", "jsonpath={.spec.replicas}") == "5"
    kubectl("label", "deployment/frontend", "stage=test")
    assert "frontend" in kubectl("get", "deployments", "-l", "stage=test", "-o", "name")
    kubectl("annotate", "deployment/frontend", "example.com/by=us")
    assert "us" in kubectl("get", "deployment", "frontend", "-o", "jsonpath={.metadata.annotations}")


@pytest.mark.parametrize(
    ("kind", "patch", "path", "expected"),
    [
        ("strategic", {"spec": {"template": {"spec": {"containers": [{"name": "php", "image": "a"}]}}}}, "image", "a"),
        ("merge", {"spec": {"minReadySeconds": 7}}, "minReadySeconds", "7"),
        ("json", [{"op": "replace", "path": "/spec/revisionHistoryLimit", "value": 3}], "revisionHistoryLimit", "3"),
    ],
)
def test_patches_of_three_types(kubectl: Kubectl, kind: str, patch: object, path: str, expected: str) -> None:
    kubectl("patch", "deployment", "frontend", f"--type={kind}", "-p", json.dumps(patch))
    assert kubectl("get", "deployment", "frontend", "-o", f"jsonpath={{..{path}}}").split()[0] == expected


def test_diff_shows_what_apply_would_change(kubectl: Kubectl, tmp_path: Path) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(GUESTBOOK.read_text().replace("greeting: hello", "greeting: welcome"))
    done = kubectl.run("diff", "-f", str(changed))
    assert done.returncode == 1 and "+  greeting: welcome" in done.stdout


def test_wait_sees_a_condition_and_a_deletion(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "short-lived")
    waiting = kubectl.start("wait", "--for=delete", "configmap/short-lived", "--timeout=20s")
    kubectl("delete", "configmap", "short-lived")
    assert waiting.wait(20) == 0
    kubectl("wait", "--for=jsonpath={.status.phase}=Active", "namespace/guestbook", "--timeout=10s")


@pytest.mark.parametrize("policy", ["background", "foreground", "orphan"])
def test_delete_with_each_propagation_policy(kubectl: Kubectl, policy: str) -> None:
    kubectl("create", "deployment", f"gone-{policy}", "--image=example.com/x")
    kubectl("delete", "deployment", f"gone-{policy}", f"--cascade={policy}", "--wait=false")
    found = kubectl.run("get", "deployment", f"gone-{policy}", "-o", "jsonpath={.metadata.finalizers}")
    if policy == "background":
        assert "NotFound" in found.stderr
    else:
        assert found.stdout == {"foreground": '["foregroundDeletion"]', "orphan": '["orphan"]'}[policy]
        kubectl("patch", "deployment", f"gone-{policy}", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')


def test_authorization_questions(kubectl: Kubectl) -> None:
    account = "--as=system:serviceaccount:guestbook:guestbook"
    assert kubectl("auth", "can-i", "list", "configmaps", account).strip() == "yes"
    assert kubectl.run("auth", "can-i", "delete", "configmaps", account).stdout.strip() == "no"
    assert "configmaps" in kubectl("auth", "can-i", "--list", account)
    assert "system:masters" in kubectl("auth", "whoami")


def test_api_resources_events_and_raw(kubectl: Kubectl) -> None:
    resources = kubectl("api-resources", "--no-headers").splitlines()
    assert len(resources) >= 60 and any(line.startswith("deployments") and "deploy" in line for line in resources)
    kubectl("events")
    assert json.loads(kubectl("get", "--raw", "/version"))["major"] == "1"
    assert kubectl("get", "--raw", "/readyz").strip() == "ok"


def test_top_says_that_there_are_no_metrics(kubectl: Kubectl) -> None:
    assert "Metrics API not available" in kubectl.fails("top", "pods")


def test_a_watch_goes_on_across_the_death_of_a_core_worker(tmp_path: Path) -> None:
    with RunningServer(tmp_path, "--advertise-address=192.0.2.10") as server:
        kubectl = Kubectl(server, "default")
        watching = kubectl.start(
            "get", "configmaps", "-w", "-o", "name", "--field-selector=metadata.name!=kube-root-ca.crt"
        )
        try:
            kubectl("create", "configmap", "before")
            assert _next_line(watching) == "configmap/before"
            (worker,) = server.processes("core worker")
            os.kill(worker, signal.SIGKILL)
            wait_for(lambda: kubectl.run("create", "configmap", "after").returncode == 0, 15, "a write after the death")
            assert _next_line(watching) == "configmap/after"
            assert watching.poll() is None
        finally:
            watching.kill()
            watching.wait()


def _next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 20)
    assert ready, "no line within 20 s"
    return process.stdout.readline().strip()
