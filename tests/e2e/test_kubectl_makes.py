"""Everything that kubectl makes without a file, and what it makes of what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.running import RunningServer

pytestmark = needs_kubectl

# What follows `kubectl create`, and how the thing is called then.
CREATED = (
    ("configmap cm --from-literal=a=b", "configmap/cm"),
    ("secret generic s --from-literal=a=b", "secret/s"),
    ("secret docker-registry d --docker-username=u --docker-password=p --docker-server=r.example.com", "secret/d"),
    ("serviceaccount sa", "serviceaccount/sa"),
    ("deployment dep --image=i:1 --replicas=2 --port=80", "deployment.apps/dep"),
    ("job j --image=i -- echo x", "job.batch/j"),
    ("cronjob cj --image=i --schedule=@hourly -- echo x", "cronjob.batch/cj"),
    ("job by-hand --from=cronjob/cj", "job.batch/by-hand"),
    ("service clusterip ci --tcp=80:8080", "service/ci"),
    ("service nodeport np --tcp=80", "service/np"),
    ("service loadbalancer lb --tcp=80", "service/lb"),
    ("service externalname en --external-name=example.com", "service/en"),
    ("ingress ing --rule=example.com/a*=ci:80 --class=x", "ingress.networking.k8s.io/ing"),
    ("quota q --hard=count/widgets.example.com=1", "resourcequota/q"),
    ("poddisruptionbudget pdb --selector=app=dep --min-available=1", "poddisruptionbudget.policy/pdb"),
    ("priorityclass made-by-kubectl --value=5 --description=low", "priorityclass.scheduling.k8s.io/made-by-kubectl"),
    ("role r --verb=get --resource=pods", "role.rbac.authorization.k8s.io/r"),
    ("rolebinding rb --role=r --user=u", "rolebinding.rbac.authorization.k8s.io/rb"),
    ("clusterrole made-by-kubectl --verb=get --non-resource-url=/x", "clusterrole.rbac.authorization.k8s.io/made-by-kubectl"),
    ("clusterrolebinding made-by-kubectl --clusterrole=view --group=g",
     "clusterrolebinding.rbac.authorization.k8s.io/made-by-kubectl"),
)  # fmt: skip


@pytest.fixture(scope="module")
def kubectl(server: RunningServer) -> Iterator[Kubectl]:
    Kubectl(server, "default")("create", "namespace", "making")
    found = Kubectl(server, "making")
    yield found
    found("delete", "priorityclass,clusterrole,clusterrolebinding", "made-by-kubectl", "--ignore-not-found")
    found("delete", "namespace", "making", "--wait=false")


def test_everything_that_create_makes(kubectl: Kubectl) -> None:
    for text, name in CREATED:
        words = text.split()
        end = words.index("--") if "--" in words else len(words)
        tried = kubectl("create", *words[:end], "--dry-run=server", "-o", "name", *words[end:])
        assert tried == f"{name}\n"
        assert kubectl("create", *words) == f"{name} created\n"
        assert "already exists" in kubectl.fails("create", *words)
    kinds = ",".join(sorted({name.partition("/")[0] for _, name in CREATED}))
    listed = json.loads(kubectl("get", kinds, "-o", "json"))["items"]
    assert len({one["kind"] for one in listed}) == len({name.partition("/")[0] for _, name in CREATED})


def test_what_is_there_is_exposed_scaled_and_run(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "shown", "--image=i:1", "--port=8080")
    kubectl("expose", "deployment", "shown", "--port=80", "--name=shown-service")
    service = json.loads(kubectl("get", "service", "shown-service", "-o", "json"))
    assert service["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert service["spec"]["selector"] == {"app": "shown"}
    kubectl("autoscale", "deployment", "shown", "--min=2", "--max=5", "--cpu=70%")
    scaler = json.loads(kubectl("get", "hpa", "shown", "-o", "json"))
    assert scaler["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    old = json.loads(kubectl("get", "horizontalpodautoscalers.v1.autoscaling", "shown", "-o", "json"))
    assert old["spec"]["targetCPUUtilizationPercentage"] == 70
    kubectl("scale", "deployment", "shown", "--replicas=3", "--current-replicas=1")
    assert "Expected replicas to be 1, was 3" in kubectl.fails(
        "scale", "deployment", "shown", "--replicas=4", "--current-replicas=1"
    )


def test_files_are_replaced_by_force_and_kustomized(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "cm.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: forced}\nimmutable: true\ndata: {a: b}\n"
    )
    kubectl("create", "-f", str(tmp_path / "cm.yaml"), "--save-config")
    uid = kubectl("get", "configmap", "forced", "-o", "jsonpath={.metadata.uid}")
    changed = (tmp_path / "cm.yaml").read_text().replace("a: b", "a: c")
    assert "field is immutable when `immutable` is set" in kubectl.fails("replace", "-f", "-", stdin=changed)
    kubectl("replace", "--force", "-f", "-", stdin=changed)
    assert kubectl("get", "configmap", "forced", "-o", "jsonpath={.metadata.uid}") != uid
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [cm.yaml]\nnamePrefix: k-\ncommonLabels: {made: by-kustomize}\n"
    )
    kubectl("apply", "-k", str(tmp_path))
    assert kubectl("get", "-k", str(tmp_path), "-o", "name") == "configmap/k-forced\n"
    kubectl("delete", "-k", str(tmp_path))
    assert kubectl("get", "configmaps", "-l", "made=by-kustomize", "-o", "name") == ""


def test_nodes_are_cordoned_tainted_and_labelled(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin='{"apiVersion":"v1","kind":"Node","metadata":{"name":"handled"}}')
    assert kubectl("cordon", "handled") == "node/handled cordoned\n"
    assert "SchedulingDisabled" in kubectl("get", "node", "handled")
    kubectl("uncordon", "handled")
    kubectl("taint", "node", "handled", "dedicated=x:NoSchedule")
    assert "already has" in kubectl.fails("taint", "node", "handled", "dedicated=y:NoSchedule")
    kubectl("taint", "node", "handled", "dedicated-")
    kubectl("label", "node", "handled", "zone=a")
    assert "--overwrite" in kubectl.fails("label", "node", "handled", "zone=b")
    kubectl("label", "node", "handled", "zone=b", "--overwrite")
    assert kubectl("get", "nodes", "-l", "zone in (b,c)", "-o", "name") == "node/handled\n"
    kubectl("delete", "node", "handled")


def test_a_watch_in_every_form(kubectl: Kubectl) -> None:
    for flags in (("-o", "name"), ("-o", "json"), ("-o", "wide"), ("--output-watch-events",)):
        watching = kubectl.start("get", "configmaps", "--watch-only", "-l", "watched=yes", *flags)
        kubectl("create", "configmap", "seen")
        kubectl("label", "configmap", "seen", "watched=yes")
        kubectl("delete", "configmap", "seen")
        assert watching.stdout is not None
        told = watching.stdout.readline()
        if told.split()[:1] in (["NAME"], ["EVENT"]):
            told = watching.stdout.readline()
        watching.terminate()
        rest = told + watching.stdout.read()
        assert "seen" in rest, flags


def test_the_dump_of_a_cluster(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl("cluster-info", "dump", "--namespaces=making", f"--output-directory={tmp_path}")
    assert {"nodes.json", "making"} <= {path.name for path in tmp_path.iterdir()}
    assert {"pods.json", "deployments.json", "services.json"} <= {path.name for path in (tmp_path / "making").iterdir()}
