"""kubectl reaches containers through the server: logs, exec, attach, port-forward."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import socket
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest

from tests.e2e.kubectl import needs_kubectl
from tests.subresources.conftest import Cluster, create_pod
from tests.subresources.kubelet import COPIED

pytestmark = [needs_kubectl, pytest.mark.e2e]
# kubectl's transport, the pod, and what its kubelet sees.
TRANSPORTS = pytest.mark.parametrize(
    ("websockets", "pod", "seen"),
    [("true", "p", "SPDY/3.1"), ("true", "modern", "websocket"), ("false", "p", "SPDY/3.1")],
)


def test_logs_of_a_container(cluster: Cluster) -> None:
    assert cluster.kubectl("logs", "p", "-c", "b", "--tail=2") == "b line 3\nb line 4\n"
    assert cluster.kubelet.requests[-1] == "/containerLogs/default/p/b?tailLines=2"
    assert cluster.kubelet.clients[-1] == "kube-apiserver-kubelet-client"


def test_logs_come_while_they_are_written(cluster: Cluster) -> None:
    follower = cluster.kubectl.start("logs", "-f", "p", "-c", "a")
    assert follower.stdout is not None
    times = []
    for number in range(5):
        assert follower.stdout.readline() == f"a line {number}\n"
        times.append(time.monotonic())
    assert follower.wait(10) == 0
    assert times[-1] - times[0] > 0.2


def test_logs_of_all_containers_and_of_all_pods_with_a_label(cluster: Cluster) -> None:
    create_pod(cluster.server, "logged", "n", logged="yes")
    both = cluster.kubectl("logs", "logged", "--all-containers", "--prefix", "--tail=1")
    # kubectl asks for the containers in the order of a Go map, that is in any
    assert sorted(both.splitlines()) == ["[pod/logged/a] a line 4", "[pod/logged/b] b line 4"]
    assert cluster.kubectl("logs", "-l", "logged=yes", "-c", "a", "--tail=1", "--since=1h") == "a line 4\n"
    assert "sinceSeconds=3600" in cluster.kubelet.requests[-1]


def test_a_kubelets_refusal_is_told(cluster: Cluster) -> None:
    said = cluster.kubectl.fails("logs", "p", "-c", "a", "--previous")
    assert 'previous terminated container "a" not found' in said


@TRANSPORTS
def test_exec_runs_a_command(cluster: Cluster, websockets: str, pod: str, seen: str) -> None:
    environment = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    told = cluster.kubectl("exec", pod, "-c", "a", "--", "echo", "a word", "&more", **environment)
    assert told == "a word &more\n"
    assert cluster.kubelet.headers[-1]["upgrade"] == seen


@TRANSPORTS
def test_exec_passes_its_input_on_and_ends_with_it(cluster: Cluster, websockets: str, pod: str, seen: str) -> None:
    text = "".join(f"line {number}\n" for number in range(20000))
    environment = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    assert cluster.kubectl("exec", "-i", pod, "-c", "a", "--", "cat", stdin=text, **environment) == text
    assert cluster.kubelet.headers[-1]["upgrade"] == seen


@TRANSPORTS
def test_a_commands_exit_code_reaches_kubectl(cluster: Cluster, websockets: str, pod: str, seen: str) -> None:
    done = cluster.kubectl.run("exec", pod, "-c", "a", "--", "exit", "7", KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websockets)
    assert (done.returncode, done.stdout) == (7, "")
    assert "something went wrong" in done.stderr
    assert cluster.kubelet.headers[-1]["upgrade"] == seen


@TRANSPORTS
def test_attach_to_a_container(cluster: Cluster, websockets: str, pod: str, seen: str) -> None:
    environment = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    assert "hello\n" in cluster.kubectl("attach", "-i", pod, "-c", "b", stdin="hello\n", **environment)
    assert cluster.kubelet.headers[-1]["upgrade"] == seen


@pytest.mark.parametrize("websockets", ["true", "false"])
def test_port_forward(cluster: Cluster, websockets: str) -> None:
    environment = {"KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets}
    forwarder = cluster.kubectl.start("port-forward", "p", ":8080", "-v=6", **environment)
    try:
        assert forwarder.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+) -> 8080", forwarder.stdout.readline())
        assert found is not None
        for word in (b"first", b"second"):
            assert _asked(int(found.group(1)), word) == b"port 8080: " + word.upper()
    finally:
        forwarder.terminate()
        assert _ended(forwarder)


@TRANSPORTS
def test_cp_both_ways(cluster: Cluster, tmp_path: Path, websockets: str, pod: str, seen: str) -> None:
    environment = {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    here, there = tmp_path / "here.txt", f"/data/{websockets}/{pod}"
    here.write_bytes(b"some bytes " * 50_000)
    cluster.kubectl("cp", "-c", "a", str(here), f"{pod}:{there}/copied.txt", **environment)
    assert COPIED[f"{there}/copied.txt"] == here.read_bytes()
    cluster.kubectl("cp", "-c", "a", f"{pod}:/etc/motd", str(tmp_path / "back"), **environment)
    assert (tmp_path / "back").read_text() == "this is /etc/motd"
    assert cluster.kubelet.headers[-1]["upgrade"] == seen


def test_debug_adds_an_ephemeral_container_and_attaches(cluster: Cluster) -> None:
    create_pod(cluster.server, "debugged", "n")
    debug = ("debug", "debugged", "--image=busybox", "--container=dbg", "--target=a", "--profile=general")
    cluster.kubectl(*debug, "--attach=false", "--", "sh")
    found = json.loads(cluster.kubectl("get", "pod", "debugged", "-o", "json"))
    (container,) = found["spec"]["ephemeralContainers"]
    assert (container["name"], container["image"], container["targetContainerName"]) == ("dbg", "busybox", "a")
    assert container["command"] == ["sh"] and container["terminationMessagePath"] == "/dev/termination-log"
    running = {"name": "dbg", "image": "busybox", "imageID": "x", "ready": False, "restartCount": 0}
    status = {"status": {"ephemeralContainerStatuses": [running | {"state": {"running": {}}}]}}
    cluster.kubectl("patch", "pod", "debugged", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    assert cluster.kubectl("exec", "debugged", "-c", "dbg", "--", "echo", "inside") == "inside\n"
    assert cluster.kubelet.requests[-1].startswith("/exec/default/debugged/dbg?")
    again = cluster.kubectl.fails(*debug, "--attach=false")
    assert 'existing ephemeral containers "dbg" may not be changed' in again


def test_debug_copies_a_pod(cluster: Cluster) -> None:
    cluster.kubectl(
        "debug", "p", "--copy-to=copied", "--image=busybox", "--container=dbg", "--attach=false", "--same-node"
    )
    found = json.loads(cluster.kubectl("get", "pod", "copied", "-o", "json"))
    assert [one["name"] for one in found["spec"]["containers"]] == ["a", "b", "dbg"]
    assert found["spec"]["nodeName"] == "n"


def test_run_attaches_to_a_new_pod(cluster: Cluster) -> None:
    cluster.kubectl("run", "made", "--image=busybox", "--labels=made=yes", "--port=80", "--env=A=b", "--", "sleep", "1")
    found = json.loads(cluster.kubectl("get", "pod", "made", "-o", "json"))
    assert found["spec"]["containers"][0]["args"] == ["sleep", "1"] and found["status"]["phase"] == "Pending"
    said = cluster.kubectl.fails("exec", "made", "--", "echo")
    assert "pod made does not have a host assigned" in said
    assert cluster.kubectl("logs", "made") == ""


def test_top_of_a_nodes_kubelet_by_raw_path(cluster: Cluster) -> None:
    told = json.loads(cluster.kubectl("get", "--raw", "/api/v1/nodes/n/proxy/configz"))
    assert told["path"] == "/configz"


def test_port_forward_to_a_service(cluster: Cluster) -> None:
    create_pod(cluster.server, "served", "n", served="yes")
    cluster.kubectl("create", "service", "clusterip", "served", "--tcp=80:9090")
    cluster.kubectl("set", "selector", "service", "served", "served=yes")
    forwarder = cluster.kubectl.start("port-forward", "service/served", ":80")
    try:
        assert forwarder.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+) -> 9090", forwarder.stdout.readline())
        assert found is not None
        assert _asked(int(found.group(1)), b"through") == b"port 9090: THROUGH"
    finally:
        forwarder.terminate()
        assert _ended(forwarder)


@TRANSPORTS
def test_a_terminal(cluster: Cluster, websockets: str, pod: str, seen: str) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = [*cluster.kubectl.flags, "exec", "-it", pod, "-c", "a", "--", "size"]
    environment = os.environ | {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    told = b""
    try:
        while b"}" not in told and select.select([ours], [], [], 20)[0]:
            told += os.read(ours, 1000)
        assert b'{"Width":80,"Height":24}' in told
        assert process.wait(20) == 0
        assert cluster.kubelet.headers[-1]["upgrade"] == seen
        assert "tty=1" in cluster.kubelet.requests[-1] and "error=1" not in cluster.kubelet.requests[-1]
    finally:
        process.kill()
        process.wait(10)
        os.close(ours)


def _asked(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.sendall(data)
        connection.settimeout(10)
        return connection.recv(1000)


def _ended(process: subprocess.Popen[str]) -> bool:
    process.wait(10)
    return True


def test_a_policy_changes_the_command_of_an_exec(cluster: Cluster) -> None:
    api, kind = "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods/exec"], "operations": ["CONNECT"]}
    expression = (
        "[JSONPatch{op: 'replace', path: '/command', value: ['echo', 'instead of', string(object.command[0])]}]"
    )
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "whoami", "expression": "object.command == ['whoami']"}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        "reinvocationPolicy": "Never",
    }
    made = [
        {"apiVersion": api, "kind": kind, "metadata": {"name": "exec"}, "spec": spec},
        {"apiVersion": api, "kind": f"{kind}Binding", "metadata": {"name": "exec"}, "spec": {"policyName": "exec"}},
    ]
    cluster.kubectl("apply", "-f", "-", stdin="\n---\n".join(map(json.dumps, made)))
    try:
        assert cluster.kubectl("exec", "p", "-c", "a", "--", "whoami") == "instead of whoami\n"
        assert cluster.kubectl("exec", "p", "-c", "a", "--", "echo", "kept") == "kept\n"
    finally:
        cluster.kubectl("delete", f"{kind.lower()}binding/exec", f"{kind.lower()}/exec")
