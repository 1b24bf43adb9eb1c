"""Custom resources from outside: kubectl and HTTP against a whole server with two extensions workers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.extensions.serving import GROUP, WIDGET, WIDGETS, definition, version
from tests.running import RunningServer, wait_for

SPEC = {"size": {"type": "integer", "default": 3, "description": "How big it is."}}
SCALE = {"status": {}, "scale": {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size"}}
COLUMNS = [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}]
NAME = f"widgets.{GROUP}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with RunningServer(tmp_path_factory.mktemp("custom"), "--extensions-workers=2") as server:
        yield server


def kubectl(server: RunningServer, *arguments: str, body: Any = None) -> str:
    command = ["kubectl", "--kubeconfig", str(server.kubeconfig), *arguments]
    text = None if body is None else json.dumps(body)
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.seed("S68")
@pytest.mark.seed("S69")
def test_kubectl_works_with_a_custom_resource(whole):
    served = version(spec=SPEC, subresources=SCALE, additionalPrinterColumns=COLUMNS)
    kubectl(whole, "apply", "-f", "-", body=definition(served))
    kubectl(whole, "wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=5s")
    for name in ("a", "b"):
        body = {**WIDGET, "metadata": {"name": name, "namespace": "default"}, "spec": {}}
        kubectl(whole, "apply", *(["--server-side"] if name == "b" else []), "-f", "-", body=body)
    lines = kubectl(whole, "get", "widgets").splitlines()
    assert lines[0].split() == ["NAME", "SIZE"]
    assert [line.split()[:2] for line in lines[1:]] == [["a", "3"], ["b", "3"]]
    assert "How big it is." in kubectl(whole, "explain", "widgets.spec.size")
    kubectl(whole, "scale", "widgets/a", "--replicas=5")
    assert kubectl(whole, "get", "widgets", "a", "-o", "jsonpath={.spec.size}") == "5"
    kubectl(whole, "delete", "crd", NAME, "--timeout=10s")
    assert f"{GROUP}/v1" not in kubectl(whole, "api-versions")


def test_no_worker_answers_404_once_a_definition_is_established(whole):
    kubectl(whole, "apply", "-f", "-", body=definition(version(spec=SPEC)))
    kubectl(whole, "wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=5s")
    answers = [whole.request("GET", WIDGETS)[0] for _ in range(40)]
    assert set(answers) == {200}
    kubectl(whole, "delete", "crd", NAME, "--timeout=10s")


def kill_one(server: RunningServer) -> None:
    """Kill an extensions worker, and wait for the one that takes its place."""
    killed = server.processes("extensions worker")[0]
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: killed not in server.processes("extensions worker"), what="the dead worker is gone")
    wait_for(lambda: len(server.processes("extensions worker")) == 2, what="two workers")


def test_custom_resources_are_served_while_workers_die(whole):
    kubectl(whole, "apply", "-f", "-", body=definition(version(spec=SPEC)))
    kubectl(whole, "wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=5s")
    written: list[str] = []
    wrong: list[Any] = []
    over = threading.Event()

    def write() -> None:
        number = 0
        while not over.is_set():
            number += 1
            body = {**WIDGET, "metadata": {"name": f"w{number}"}, "spec": {"size": number}}
            status = whole.request("POST", WIDGETS, body)[0]
            if status == 201:
                written.append(f"w{number}")
            elif status not in (409, 503):
                wrong.append(status)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            kill_one(whole)
    finally:
        over.set()
        writer.join()
    assert not wrong
    listed = json.loads(whole.request("GET", WIDGETS)[1])
    names = {item["metadata"]["name"] for item in listed["items"]}
    assert set(written) <= names
    kubectl(whole, "delete", "crd", NAME, "--timeout=20s")


def test_custom_resources_are_there_after_a_restart(tmp_path: Path):
    with RunningServer(tmp_path) as server:
        kubectl(server, "apply", "-f", "-", body=definition(version(spec=SPEC)))
        kubectl(server, "wait", "--for=condition=Established", f"crd/{NAME}", "--timeout=5s")
        body = {**WIDGET, "metadata": {"name": "a", "namespace": "default"}, "spec": {}}
        kubectl(server, "apply", "-f", "-", body=body)
        server.stop()
        server.start()
        assert kubectl(server, "get", "widgets", "-o", "name").split() == [f"widget.{GROUP}/a"]
