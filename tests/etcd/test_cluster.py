"""An etcd cluster of three members behind TLS: members go away and come back, and with them the whole of it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.etcd.outside import ask, config_map, merge
from tests.reconcilers.members import Certificates, EtcdCluster
from tests.running import RunningServer, wait_for

PATH = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[EtcdCluster]:
    made = EtcdCluster(tmp_path_factory.mktemp("members"), certificates)
    yield made
    made.kill()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, cluster: EtcdCluster, certificates: Certificates
) -> Iterator[RunningServer]:
    flags = (f"--etcd-servers={','.join(cluster.urls)}", *certificates.of_servers, "--advertise-address=192.0.2.10")
    with RunningServer(tmp_path_factory.mktemp("server"), *flags) as running:
        yield running


def works(server: RunningServer, name: str) -> None:
    """Reads and writes succeed, each within the time that a client gives them."""
    made = ask(server, "POST", PATH, config_map(name), timeout=30)
    assert ask(server, "GET", f"{PATH}/{name}", timeout=30) == made
    assert merge(server, f"{PATH}/{name}", {"data": {"n": "1"}}, timeout=30)["data"]["n"] == "1"
    names = [item["metadata"]["name"] for item in ask(server, "GET", PATH, timeout=30)["items"]]
    assert name in names


def test_any_member_may_go_away_and_come_back(server: RunningServer, cluster: EtcdCluster) -> None:
    for number, member in enumerate(cluster.members):
        member.kill()
        try:
            works(server, f"killed-{number}")
            status, checks = server.request("GET", "/readyz")
            assert status == 200, checks.decode()
        finally:
            member.start()  # also for the tests that follow
        works(server, f"back-{number}")
        time.sleep(2)  # until it has caught up: two of three must always be there


def test_a_member_that_hangs_is_passed_over(server: RunningServer, cluster: EtcdCluster) -> None:
    for number, member in enumerate(cluster.members):
        member.signal(signal.SIGSTOP)
        try:
            works(server, f"hung-{number}")
        finally:
            member.signal(signal.SIGCONT)
        time.sleep(2)


@pytest.mark.seed("S79")
def test_without_a_majority_reads_that_may_be_old_go_on_and_all_else_fails_in_time(
    server: RunningServer, cluster: EtcdCluster
) -> None:
    works(server, "before")
    for member in cluster.members[:2]:
        member.kill()
    try:
        _without_etcd(server)
    finally:
        for member in cluster.members[:2]:
            member.start()
    wait_for(lambda: server.request("GET", "/readyz")[0] == 200, 20, "recovery without a restart")
    works(server, "after")


def _without_etcd(server: RunningServer) -> None:
    old = ask(server, "GET", f"{PATH}?resourceVersion=0")
    assert "before" in [item["metadata"]["name"] for item in old["items"]]
    assert ask(server, "GET", f"{PATH}/before?resourceVersion=0")["metadata"]["name"] == "before"
    began = time.monotonic()
    status, answer = server.request("GET", f"{PATH}/before", timeout=20)
    assert status in (500, 503, 504), answer
    assert orjson.loads(answer)["kind"] == "Status"
    assert time.monotonic() - began < 8
    began = time.monotonic()
    status, answer = server.request("POST", PATH, config_map("lost"), timeout=40)
    assert status in (500, 503, 504), answer
    said = orjson.loads(answer)
    # etcd's own refusals have no reason, as upstream: "etcdserver: request timed out"
    known = ("Timeout", "InternalError", "ServiceUnavailable", "ServerTimeout")
    assert said.get("reason") in known or said["message"].startswith("etcdserver: "), said
    assert time.monotonic() - began < 25
    status, answer = server.request("GET", "/readyz", timeout=20)
    assert status == 500
    assert b"[-]etcd failed: reason withheld\n" in answer
    assert b"[-]etcd-readiness failed: reason withheld\n" in answer
    assert server.request("GET", "/healthz/ping")[0] == server.request("GET", "/livez/ping")[0] == 200


def test_a_client_certificate_is_needed(cluster: EtcdCluster, certificates: Certificates, tmp_path: Path) -> None:
    """The check of the checks: without it these members would not have answered."""
    from tests.reconcilers.members import healthy

    assert healthy(cluster.urls[2], certificates.context())
    import ssl

    assert not healthy(cluster.urls[2], ssl.create_default_context(cafile=certificates.ca))
