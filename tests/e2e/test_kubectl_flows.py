"""What people do with kubectl beside the usual: server-side apply, migrations to it, rollouts, certificates, tokens."""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.manifests import certificate_request
from tests.running import RunningServer, wait_for

pytestmark = needs_kubectl
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: main
        image: web:v1
        env: [{name: A, value: a}]
"""


@pytest.fixture
def kubectl(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a namespace of the test's own."""
    name = re.sub("[^a-z0-9]+", "-", request.node.name.lower())[:50].strip("-")
    Kubectl(server, "default")("create", "namespace", name)
    yield Kubectl(server, name)
    Kubectl(server, "default")("delete", "namespace", name, "--wait=false")


def get(kubectl: Kubectl, *names: str) -> Any:
    return json.loads(kubectl("get", *names, "-o", "json", "--show-managed-fields"))


def managers(obj: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Who owns fields of the object: manager, operation, subresource."""
    entries = obj["metadata"].get("managedFields", [])
    return sorted((one["manager"], one["operation"], one.get("subresource", "")) for one in entries)


# ---- apply


def test_server_side_apply_shares_an_object_between_managers(kubectl: Kubectl) -> None:
    def apply(text: str, *flags: str) -> subprocess.CompletedProcess[str]:
        return kubectl.run("apply", "--server-side", *flags, "-f", "-", stdin=text)

    assert apply(DEPLOYMENT, "--field-manager=one").stdout == "deployment.apps/web serverside-applied\n"
    assert managers(get(kubectl, "deployment", "web")) == [("one", "Apply", "")]
    other = DEPLOYMENT.replace("replicas: 2", "replicas: 5").replace("web:v1", "web:v2")
    refused = apply(other, "--field-manager=two")
    assert refused.returncode == 1
    assert 'Apply failed with 2 conflicts: conflicts with "one"' in refused.stderr
    assert "- .spec.replicas" in refused.stderr
    assert '- .spec.template.spec.containers[name="main"].image' in refused.stderr
    assert "--force-conflicts" in refused.stderr

    assert apply(other, "--field-manager=two", "--force-conflicts").returncode == 0
    found = get(kubectl, "deployment", "web")
    assert found["spec"]["replicas"] == 5 and found["spec"]["template"]["spec"]["containers"][0]["image"] == "web:v2"
    assert managers(found) == [("one", "Apply", ""), ("two", "Apply", "")]

    # What one no longer applies stays while two still does; what nobody applies goes.
    alone = DEPLOYMENT.replace("  replicas: 2\n", "").replace("        env: [{name: A, value: a}]\n", "")
    assert apply(alone.replace("web:v1", "web:v2"), "--field-manager=one").returncode == 0
    container = get(kubectl, "deployment", "web")["spec"]["template"]["spec"]["containers"][0]
    assert container["env"] == [{"name": "A", "value": "a"}]
    assert apply(alone.replace("web:v1", "web:v2"), "--field-manager=two").returncode == 0
    found = get(kubectl, "deployment", "web")
    assert "env" not in found["spec"]["template"]["spec"]["containers"][0] and found["spec"]["replicas"] == 1


def test_a_dry_run_of_server_side_apply_changes_nothing(kubectl: Kubectl) -> None:
    assert "(server dry run)" in kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=DEPLOYMENT)
    assert "NotFound" in kubectl.fails("get", "deployment", "web")


def test_client_side_apply_migrates_to_server_side_apply(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert managers(get(kubectl, "deployment", "web")) == [("kubectl-client-side-apply", "Update", "")]
    kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert managers(get(kubectl, "deployment", "web")) == [
        ("kubectl", "Apply", ""),
        ("kubectl-last-applied", "Apply", ""),
    ]
    # What was applied before by the client is gone when the server's apply no longer has it.
    kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT.replace("  replicas: 2\n", ""))
    found = get(kubectl, "deployment", "web")
    assert found["spec"]["replicas"] == 1
    assert "kubectl.kubernetes.io/last-applied-configuration" in found["metadata"]["annotations"]


def test_scaling_takes_the_field_from_who_applied_it(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    kubectl("scale", "deployment/web", "--replicas=7")
    found = get(kubectl, "deployment", "web")
    assert found["spec"]["replicas"] == 7 and ("kubectl", "Update", "scale") in managers(found)
    said = kubectl.fails("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert 'conflict with "kubectl" with subresource "scale"' in said and ".spec.replicas" in said


def test_diff_of_server_side_apply(kubectl: Kubectl) -> None:
    kubectl("apply", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    same = kubectl.run("diff", "--server-side", "-f", "-", stdin=DEPLOYMENT)
    assert (same.returncode, same.stdout) == (0, "")
    done = kubectl.run("diff", "--server-side", "-f", "-", stdin=DEPLOYMENT.replace("web:v1", "web:v9"))
    assert done.returncode == 1 and "+        image: web:v9" not in done.stdout.split("image: web:v1")[0]
    assert re.search(r"^-\s+- ?.*image: web:v1|^-\s+image: web:v1", done.stdout, re.M)
    assert re.search(r"^\+\s+image: web:v9", done.stdout, re.M)


def test_what_is_not_applied_any_more_is_pruned(kubectl: Kubectl, tmp_path: Path) -> None:
    maps = [f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: m{n}, labels: {{set: a}}}}\n" for n in (1, 2)]
    kubectl("apply", "-f", "-", "-l", "set=a", "--prune", stdin="---\n".join(maps))
    pruned = kubectl("apply", "-f", "-", "-l", "set=a", "--prune", "--prune-allowlist=core/v1/ConfigMap", stdin=maps[0])
    assert "configmap/m2 pruned" in pruned
    assert kubectl("get", "configmaps", "-l", "set=a", "-o", "name") == "configmap/m1\n"


# ---- writing


def test_set_changes_images_environment_and_resources(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl("set", "image", "deployment/web", "main=web:v3")
    kubectl("set", "env", "deployment/web", "B=b", "A-")
    kubectl("set", "resources", "deployment/web", "--limits=cpu=200m,memory=64Mi")
    kubectl("set", "serviceaccount", "deployment/web", "robot")
    spec = get(kubectl, "deployment", "web")["spec"]["template"]["spec"]
    assert spec["containers"][0]["image"] == "web:v3" and spec["serviceAccountName"] == "robot"
    assert spec["containers"][0]["env"] == [{"name": "B", "value": "b"}]
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": "200m", "memory": "64Mi"}}
    kubectl("create", "service", "clusterip", "web", "--tcp=80")
    kubectl("set", "selector", "service", "web", "app=other")
    assert get(kubectl, "service", "web")["spec"]["selector"] == {"app": "other"}


def test_rollouts(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl("rollout", "pause", "deployment/web")
    assert get(kubectl, "deployment", "web")["spec"]["paused"] is True
    assert "already paused" in kubectl.fails("rollout", "pause", "deployment/web")
    kubectl("rollout", "resume", "deployment/web")
    assert "paused" not in get(kubectl, "deployment", "web")["spec"]
    kubectl("rollout", "restart", "deployment/web")
    annotations = get(kubectl, "deployment", "web")["spec"]["template"]["metadata"]["annotations"]
    assert list(annotations) == ["kubectl.kubernetes.io/restartedAt"]
    assert "No rollout history found" in kubectl("rollout", "history", "deployment/web")
    waiting = kubectl.start("rollout", "status", "deployment/web", "--timeout=20s")
    status = {"observedGeneration": get(kubectl, "deployment", "web")["metadata"]["generation"]}
    status |= dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
    kubectl("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))
    assert waiting.wait(20) == 0
    assert waiting.stdout is not None and "successfully rolled out" in waiting.stdout.read()


def test_subresources_are_read_and_written(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    kubectl("patch", "deployment", "web", "--subresource=scale", "--type=merge", "-p", '{"spec":{"replicas":4}}')
    scale = json.loads(kubectl("get", "deployment", "web", "--subresource=scale", "-o", "json"))
    assert (scale["kind"], scale["apiVersion"], scale["spec"]) == ("Scale", "autoscaling/v1", {"replicas": 4})
    header, row = kubectl("get", "deployment", "web", "--subresource=scale").splitlines()
    assert header.split() == ["NAME", "DESIRED", "AVAILABLE", "AGE"] and row.split()[1] == "4"
    # A patch of the status changes nothing else.
    both = {"spec": {"replicas": 9}, "status": {"replicas": 3, "observedGeneration": 1}}
    kubectl("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", json.dumps(both))
    found = json.loads(kubectl("get", "deployment", "web", "--subresource=status", "-o", "json"))
    assert found["spec"]["replicas"] == 4 and found["status"] == {"replicas": 3, "observedGeneration": 1}
    replaced = found | {"status": found["status"] | {"readyReplicas": 2}}
    kubectl("replace", "--subresource=status", "-f", "-", stdin=json.dumps(replaced))
    assert get(kubectl, "deployment", "web")["status"]["readyReplicas"] == 2
    kubectl("edit", "deployment", "web", "--subresource=status", EDITOR="sed -i 's/readyReplicas: 2/readyReplicas: 1/'")
    assert get(kubectl, "deployment", "web")["status"]["readyReplicas"] == 1


def test_wait_for_conditions_values_and_creation(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    conditions = {"status": {"conditions": [{"type": "Available", "status": "True"}], "replicas": 2}}
    waiting = kubectl.start("wait", "deployment/web", "--for=condition=Available", "--timeout=20s")
    value = kubectl.start("wait", "deployment/web", "--for=jsonpath={.status.replicas}=2", "--timeout=20s")
    made = kubectl.start("wait", "configmap/later", "--for=create", "--timeout=20s")
    kubectl("patch", "deployment", "web", "--subresource=status", "--type=merge", "-p", json.dumps(conditions))
    kubectl("create", "configmap", "later")
    assert [one.wait(20) for one in (waiting, value, made)] == [0, 0, 0]
    assert "timed out" in kubectl.fails("wait", "deployment/web", "--for=condition=Other", "--timeout=1s")


def test_events_are_watched_while_they_come(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "subject")
    uid = get(kubectl, "configmap", "subject")["metadata"]["uid"]
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "subject.1"},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "subject",
            "namespace": kubectl.namespace,
            "uid": uid,
        },
        "type": "Normal",
        "reason": "Touched",
        "message": "somebody touched it",
        "firstTimestamp": "2024-01-02T03:04:05Z",
        "lastTimestamp": "2024-01-02T03:04:05Z",
        "count": 3,
    }
    watching = kubectl.start("events", "--for=configmap/subject", "--watch")
    kubectl("create", "-f", "-", stdin=json.dumps(event))
    assert watching.stdout is not None
    watching.stdout.readline()
    assert "Touched" in watching.stdout.readline()
    watching.terminate()
    watching.wait(10)
    assert "Touched" in kubectl("describe", "configmap", "subject")
    assert "Touched" in kubectl("get", "events", "--field-selector=involvedObject.name=subject,type=Normal")


# ---- who one is and what one may


def test_whoami_and_what_one_may(kubectl: Kubectl, server: RunningServer) -> None:
    who = json.loads(kubectl("auth", "whoami", "-o", "json"))
    assert "system:masters" in who["status"]["userInfo"]["groups"]
    assert kubectl("auth", "can-i", "create", "pods", "--subresource=exec") == "yes\n"
    as_nobody = ("--as=nobody", "--as-group=nothing")
    assert kubectl.run("auth", "can-i", "delete", "nodes", *as_nobody).stdout == "no\n"
    kubectl("create", "role", "reader", "--verb=get,list", "--resource=pods,deployments.apps", "--resource-name=web")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--user=nobody")
    listed = wait_for(lambda: "deployments.apps" in (said := kubectl("auth", "can-i", "--list", *as_nobody)) and said)
    assert re.search(r"^deployments\.apps\s+\[\]\s+\[web\]\s+\[get list\]$", listed, re.M)
    assert re.search(r"^selfsubjectreviews\.authentication\.k8s\.io\s+\[\]\s+\[\]\s+\[create\]$", listed, re.M)
    assert "Username" in kubectl("auth", "whoami", *as_nobody) and "nobody" in kubectl("auth", "whoami", *as_nobody)
    reconciled = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: reader, namespace: {namespace}}}\nrules:\n"
    reconciled = reconciled.format(namespace=kubectl.namespace)
    reconciled += '- {apiGroups: [""], resources: [pods], verbs: [watch]}\n'
    assert "reconciled" in kubectl("auth", "reconcile", "-f", "-", stdin=reconciled)
    assert len(get(kubectl, "role", "reader")["rules"]) == 3


def test_a_service_accounts_token(kubectl: Kubectl) -> None:
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "secret", "generic", "bound")
    token = kubectl(
        "create", "token", "robot", "--duration=2h", "--bound-object-kind=Secret", "--bound-object-name=bound"
    )
    claims = jwt.decode(token.strip(), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200 and claims["kubernetes.io"]["secret"]["name"] == "bound"
    who = json.loads(
        kubectl("auth", "whoami", "-o", "json", f"--token={token.strip()}", "--client-certificate=", "--client-key=")
    )
    assert who["kind"] == "SelfSubjectReview"
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token.strip()}}
    told = json.loads(kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"]
    assert told["authenticated"] and told["user"]["username"] == f"system:serviceaccount:{kubectl.namespace}:robot"
    kubectl("delete", "secret", "bound")
    refused = wait_for(
        lambda: (
            "error"
            in (status := json.loads(kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review)))["status"])
            and status
        )
    )
    assert not refused.get("authenticated")
    assert 'serviceaccounts "absent" not found' in kubectl.fails("create", "token", "absent")


def test_certificates_are_approved_and_denied(kubectl: Kubectl, server: RunningServer) -> None:
    def request(name: str) -> str:
        spec = {"signerName": "example.com/sample", "usages": ["client auth"], "request": certificate_request()}
        body = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
        return json.dumps(body | {"metadata": {"name": name}, "spec": spec})

    for name in ("good", "bad"):
        kubectl("create", "-f", "-", stdin=request(name))
    kubectl("certificate", "approve", "good")
    kubectl("certificate", "deny", "bad")
    conditions = {name: get(kubectl, "csr", name)["status"]["conditions"] for name in ("good", "bad")}
    assert [one["type"] for one in conditions["good"]] == ["Approved"]
    assert [one["type"] for one in conditions["bad"]] == ["Denied"]
    rows = {line.split()[0]: line.split()[-1] for line in kubectl("get", "csr").splitlines()}
    assert rows["good"] == "Approved" and rows["bad"] == "Denied"
    assert "already Approved" in kubectl.fails("certificate", "deny", "good")
    both = {"status": {"conditions": [*conditions["good"], conditions["bad"][0]]}}
    approval = "/apis/certificates.k8s.io/v1/certificatesigningrequests/good/approval"
    code, said = server.request("PATCH", approval, both, Content_Type="application/merge-patch+json")
    assert code == 422 and b"Approved and Denied conditions are mutually exclusive" in said

    # What is approved is signed through the status, and only there.
    def issue(certificate: bytes) -> subprocess.CompletedProcess[str]:
        issued = {"status": {"certificate": base64.b64encode(certificate).decode()}}
        return kubectl.run("patch", "csr", "good", "--subresource=status", "--type=merge", "-p", json.dumps(issued))

    certificate = Path(server.data_dir, "pki", "ca.crt").read_bytes()
    assert "must contain at least one CERTIFICATE PEM block" in issue(b"none").stderr
    assert "only CERTIFICATE PEM blocks are allowed" in issue(certificate.replace(b"CERTIFICATE", b"KEY")).stderr
    assert issue(certificate).returncode == 0
    assert "updates may not modify existing certificate content" in issue(certificate + b"\n").stderr
    assert kubectl("get", "csr", "good").split()[-1] == "Approved,Issued"
    kubectl("delete", "csr", "good", "bad")


# ---- what there is


EXPLAINED = (
    *("pods.spec.containers", "services.spec.ports", "nodes.status", "secrets", "configmaps", "persistentvolumes.spec"),
    *("deployments.spec.strategy", "statefulsets.spec", "daemonsets.spec.updateStrategy", "replicasets", "jobs.spec"),
    *("cronjobs.spec.jobTemplate", "ingresses.spec.rules", "networkpolicies.spec.ingress", "roles.rules"),
    *("clusterrolebindings.subjects", "storageclasses", "poddisruptionbudgets.spec", "leases.spec"),
    *("horizontalpodautoscalers.spec.metrics", "certificatesigningrequests.spec", "endpointslices.endpoints"),
    *("validatingadmissionpolicies.spec.validations", "flowschemas.spec", "resourceclaims.spec.devices"),
)


@pytest.mark.parametrize("path", EXPLAINED)
def test_explain(server: RunningServer, path: str) -> None:
    text = Kubectl(server, "default")("explain", path)
    head, fields = text.split("FIELDS:\n")
    assert re.search(r"^KIND:\s+\w+$", head, re.M) and re.search(r"^VERSION:\s+v\d$", head, re.M)
    assert "<empty>" not in head
    assert re.search(r"^  \w+\t<[\w\[\]\.-]+>( -required-)?$", fields, re.M)
    plain = Kubectl(server, "default")("explain", path, "--output=plaintext-openapiv2")
    assert "FIELDS:" in plain


def test_what_is_served(server: RunningServer) -> None:
    kubectl = Kubectl(server, "default")
    versions = kubectl("api-versions").split()
    assert {"v1", "apps/v1", "batch/v1", "autoscaling/v1", "autoscaling/v2", "resource.k8s.io/v1"} <= set(versions)
    rows = kubectl("api-resources", "--no-headers").splitlines()
    assert any(re.match(r"pods\s+po\s+v1\s+true\s+Pod$", row) for row in rows)
    assert "deployments.apps" in kubectl("api-resources", "--api-group=apps", "-o", "name").split()
    assert "get,list" in kubectl("api-resources", "-o", "wide").replace(" ", "") or "delete" in kubectl(
        "api-resources", "-o", "wide"
    )
    assert "pods" in kubectl("api-resources", "--categories=all", "-o", "name").split()
    assert f"Kubernetes control plane is running at {server.url}" in re.sub(
        "\x1b\\[[0-9;]*m", "", kubectl("cluster-info")
    )
    version = json.loads(kubectl("version", "-o", "json"))
    assert version["serverVersion"]["minor"] == "36"
    assert "ok" in kubectl("get", "--raw", "/readyz")


def test_proxy_on_a_port_and_on_a_unix_socket(server: RunningServer, tmp_path: Path) -> None:
    kubectl = Kubectl(server, "default")
    proxy = kubectl.start("proxy", "--port=0")
    assert proxy.stdout is not None
    port = int(proxy.stdout.readline().rpartition(":")[2])
    assert b'"kind":"NamespaceList"' in asked(socket.create_connection(("127.0.0.1", port), 10), "/api/v1/namespaces")
    path = str(tmp_path / "p.sock")
    other = kubectl.start("proxy", f"--unix-socket={path}")
    assert other.stdout is not None and path in other.stdout.readline()
    unix = socket.socket(socket.AF_UNIX)
    unix.connect(path)
    assert b'"major":"1"' in asked(unix, "/version").replace(b" ", b"")
    for process in (proxy, other):
        process.terminate()
        process.wait(10)


def asked(connection: socket.socket, path: str) -> bytes:
    with connection:
        connection.settimeout(10)
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
        return data
