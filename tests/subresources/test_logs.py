"""Logs of containers: which kubelet is asked for what, and what it is trusted with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiserver_supervisor.certificates import Pki, serving_subject

from tests.subresources.conftest import POD, Cluster, create_node, create_pod
from tests.subresources.kubelet import FakeKubelet

pytestmark = pytest.mark.e2e
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def foreign(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeKubelet]:
    """A kubelet with a certificate of another authority; pod `elsewhere` runs there."""
    pki = Pki(Path(tmp_path_factory.mktemp("foreign")))
    leaf = pki.leaf("kubelet", pki.authority("foreign-ca"), serving_subject(cluster.kubelet.address, "", "", "f"))
    with FakeKubelet(leaf.certificate, leaf.key, address=cluster.kubelet.address) as kubelet:
        create_node(cluster.server, "foreign", kubelet)
        create_pod(cluster.server, "elsewhere", "foreign")
        yield kubelet


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("container=a", "/containerLogs/default/p/a"),
        ("container=b&tailLines=2&limitBytes=100", "/containerLogs/default/p/b?limitBytes=100&tailLines=2"),
        ("container=a&timestamps=true&follow=0", "/containerLogs/default/p/a?timestamps=true"),
        ("container=a&sinceSeconds=5", "/containerLogs/default/p/a?sinceSeconds=5"),
        (
            "container=a&sinceTime=2024-01-02T03:04:05Z",
            "/containerLogs/default/p/a?sinceTime=2024-01-02T03%3A04%3A05Z",
        ),
    ],
)
def test_the_kubelet_is_asked(cluster: Cluster, query: str, asked: str) -> None:
    assert cluster.server.request("GET", f"{POD}/log?{query}")[0] == 200
    assert cluster.kubelet.requests[-1] == asked
    assert "authorization" not in cluster.kubelet.headers[-1]


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("absent/log", 404, 'pods "absent" not found'),
        ("p/log", 400, "a container name must be specified for pod p, choose one of: [a b]"),
        ("p/log?container=c", 400, "container c is not valid for pod p"),
        ("p/log?container=a&previous=true", 400, 'previous terminated container "a" not found'),
        ("p/log?container=a&tailLines=-1", 422, "tailLines: Invalid value: -1: must be greater than or equal to 0"),
        ("p/log?container=a&limitBytes=x", 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
    ],
)
def test_what_is_refused(cluster: Cluster, path: str, code: int, message: str) -> None:
    found, body = cluster.server.request("GET", f"{PODS}/{path}")
    told = json.loads(body)
    assert (found, message in told["message"]) == (code, True), told


def test_a_pod_that_runs_nowhere_has_no_log(cluster: Cluster) -> None:
    create_pod(cluster.server, "unscheduled")
    assert cluster.server.request("GET", f"{PODS}/unscheduled/log?container=a") == (204, b"")


@pytest.mark.seed("S63")
def test_a_kubelet_that_nobody_vouches_for(cluster: Cluster, foreign: FakeKubelet) -> None:
    code, body = cluster.server.request("GET", f"{PODS}/elsewhere/log?container=a")
    assert code == 500 and "tls: failed to verify certificate: x509" in json.loads(body)["message"]
    assert not foreign.requests
    asked = f"{PODS}/elsewhere/log?container=a&insecureSkipTLSVerifyBackend=true"
    assert cluster.server.request("GET", asked)[0] == 200
    assert foreign.requests == ["/containerLogs/default/elsewhere/a"]
