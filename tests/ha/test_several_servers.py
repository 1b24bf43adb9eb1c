"""Correctness over servers: what one of them was asked, the others know at once. Three whole servers on one etcd."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.connection import Client, Watcher
from tests.ha.control_plane import Reached
from tests.running import wait_for

pytestmark = pytest.mark.e2e
SERVICES = "/api/v1/namespaces/default/services"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"


@pytest.fixture
def configmaps(servers: list[Reached]) -> str:
    """The path of configmaps in a namespace of its own."""
    name = f"ns-{uuid4().hex[:8]}"
    assert servers[0].request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})[0] == 201
    return f"/api/v1/namespaces/{name}/configmaps"


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"generateName": "race-"}, "spec": {"ports": [{"port": 80}], **spec}}


def at_once(servers: list[Reached], count: int, body: Any) -> list[tuple[int, Any]]:
    """Create `count` services at the same time, each through the next server."""

    def create(n: int) -> tuple[int, Any]:
        return Client(servers[n % len(servers)]).ask("POST", SERVICES, body)  # type: ignore[arg-type]

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(create, range(count)))


def remove(server: Reached, answers: list[tuple[int, Any]]) -> None:
    for status, made in answers:
        if status == 201:
            server.request("DELETE", f"{SERVICES}/{made['metadata']['name']}")


def test_one_of_many_gets_a_cluster_ip_that_all_ask_for(servers: list[Reached]) -> None:
    answers = at_once(servers, 12, service(clusterIP="10.0.0.77"))
    assert Counter(status for status, _ in answers) == {201: 1, 422: 11}
    refused = next(answer for status, answer in answers if status == 422)
    assert "provided IP is already allocated" in refused["message"]
    remove(servers[1], answers)
    again = at_once(servers, 1, service(clusterIP="10.0.0.77"))
    assert again[0][0] == 201, "it was given back"
    remove(servers[2], again)


def test_one_of_many_gets_a_node_port_that_all_ask_for(servers: list[Reached]) -> None:
    answers = at_once(servers, 12, service(type="NodePort", ports=[{"port": 80, "nodePort": 30077}]))
    assert Counter(status for status, _ in answers) == {201: 1, 422: 11}
    refused = next(answer for status, answer in answers if status == 422)
    assert "provided port is already allocated" in refused["message"]
    remove(servers[1], answers)


def test_addresses_and_ports_given_at_the_same_time_are_all_different(servers: list[Reached]) -> None:
    answers = at_once(servers, 30, service(type="NodePort"))
    assert [status for status, _ in answers] == [201] * 30
    specs = [made["spec"] for _, made in answers]
    assert len({spec["clusterIP"] for spec in specs}) == 30
    assert len({spec["ports"][0]["nodePort"] for spec in specs}) == 30
    remove(servers[0], answers)


def test_what_was_written_through_one_server_is_read_through_the_others_at_once(
    servers: list[Reached], configmaps: str
) -> None:
    clients = [Client(server) for server in servers]  # type: ignore[arg-type]
    for n in range(30):
        writer, reader, lister = (clients[(n + k) % 3] for k in range(3))
        status, made = writer.ask("POST", configmaps, {"metadata": {"name": f"cm-{n}"}})
        assert status == 201
        assert reader.ask("GET", f"{configmaps}/cm-{n}")[0] == 200
        assert len(lister.ask("GET", configmaps)[1]["items"]) == n + 1
        status, changed = reader.ask("PUT", f"{configmaps}/cm-{n}", {**made, "data": {"n": str(n)}})
        assert status == 200
        assert lister.ask("GET", f"{configmaps}/cm-{n}")[1] == changed
        assert writer.ask("PUT", f"{configmaps}/cm-{n}", {**made, "data": {}})[0] == 409


def test_a_watch_through_one_server_sees_the_writes_through_all_in_their_order(
    servers: list[Reached], configmaps: str
) -> None:
    start = json.loads(servers[0].request("GET", configmaps)[1])["metadata"]["resourceVersion"]
    watchers = [Watcher(server, f"{configmaps}?watch=true&resourceVersion={start}") for server in servers]  # type: ignore[arg-type]
    clients = [Client(server) for server in servers]  # type: ignore[arg-type]
    versions = []
    _, live = clients[0].ask("POST", configmaps, {"metadata": {"name": "watched"}})
    versions.append(int(live["metadata"]["resourceVersion"]))
    for n in range(40):
        status, live = clients[n % 3].ask("PUT", f"{configmaps}/watched", {**live, "data": {"n": str(n)}})
        assert status == 200
        versions.append(int(live["metadata"]["resourceVersion"]))
    for watcher in watchers:
        wait_for(lambda watcher=watcher: len(watcher.seen) >= len(versions), 10, "all events have come")
        assert watcher.revisions() == versions
        watcher.close()


def test_of_two_candidates_through_two_servers_one_becomes_the_leader(servers: list[Reached]) -> None:
    name = f"leader-{uuid4().hex[:8]}"
    candidates = {"a": Client(servers[0]), "b": Client(servers[1])}  # type: ignore[arg-type]
    status, lease = candidates["a"].ask("POST", LEASES, {"metadata": {"name": name}, "spec": {}})
    assert status == 201
    wins: Counter[str] = Counter()
    with ThreadPoolExecutor(2) as pool:
        for turn in range(25):

            def acquire(who: str, seen: Any = lease, turn: int = turn) -> tuple[int, Any]:
                spec = {"holderIdentity": who, "leaseTransitions": turn}
                return candidates[who].ask("PUT", f"{LEASES}/{name}", {**seen, "spec": spec})

            answers = dict(zip(candidates, pool.map(acquire, candidates), strict=True))
            assert sorted(status for status, _ in answers.values()) == [200, 409]
            winner = next(who for who, (status, _) in answers.items() if status == 200)
            lease = answers[winner][1]
            wins[winner] += 1
            for server in servers:
                held = json.loads(server.request("GET", f"{LEASES}/{name}")[1])
                assert held["spec"]["holderIdentity"] == winner
    assert sum(wins.values()) == 25
