"""Helm 4, as a library (pip install helm-python-sdk): a chart's whole life by server-side apply and release secrets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.kubectl import Kubectl, needs_kubectl
from tests.running import RunningServer

helm = pytest.importorskip("helm_python", reason="the helm-python-sdk package is not installed")
pytestmark = needs_kubectl


def test_a_release_is_installed_upgraded_rolled_back_and_removed(server: RunningServer, tmp_path: Path) -> None:
    kubectl = Kubectl(server, "charts")
    kubectl("create", "namespace", "charts")
    helm.Chart.create("demo", tmp_path)
    chart = str(tmp_path / "demo")

    def deployment() -> Any:
        return json.loads(kubectl("get", "deployment", "demo", "-o", "json", "--show-managed-fields"))

    with helm.Config(kubeconfig_path=str(server.kubeconfig), namespace="charts") as config:
        assert config.install(chart, "demo", {"replicaCount": 3, "ingress": {"enabled": True}})["status"] == "deployed"
        assert deployment()["spec"]["replicas"] == 3 and "ingress.networking.k8s.io/demo" in names(kubectl)
        with pytest.raises(helm.HelmError, match="cannot reuse a name"):
            config.install(chart, "demo")
        assert config.upgrade(chart, "demo", {"replicaCount": 5, "service": {"type": "NodePort"}})["revision"] == 2
        assert deployment()["spec"]["replicas"] == 5 and "ingress.networking.k8s.io/demo" not in names(kubectl)
        config.upgrade(chart, "demo", {"replicaCount": 9}, dry_run="server")
        assert deployment()["spec"]["replicas"] == 5
        config.rollback("demo", version=1)
        assert deployment()["spec"]["replicas"] == 3 and "ingress.networking.k8s.io/demo" in names(kubectl)
        assert {entry["operation"] for entry in deployment()["metadata"]["managedFields"]} == {"Apply"}
        history = [(one["revision"], one["status"]) for one in config.history("demo")]
        assert history == [(1, "superseded"), (2, "superseded"), (3, "deployed")]
        assert kubectl("get", "secrets", "--field-selector=type=helm.sh/release.v1", "-o", "name").count("\n") == 3
        config.uninstall("demo")
    assert names(kubectl) == ""
    kubectl("delete", "namespace", "charts", "--wait=false")


def names(kubectl: Kubectl) -> str:
    return kubectl("get", "deployments,services,ingresses,serviceaccounts,secrets", "-o", "name")
