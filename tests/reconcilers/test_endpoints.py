"""Who is listed in the endpoints of the kubernetes service: whole servers on one etcd, seen from etcd.

The servers are real but for their small apps, which reconcilers do not need. All of them live through the same half
minute, which is recorded; each test then looks at a part of it.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from apiserver_supervisor.listeners import PORT_FILE

from tests.etcd_view import Change, EtcdView, ips, slice_ips
from tests.reconcilers.members import EtcdCluster
from tests.running import RunningServer, wait_for
from tests.storage.etcd_process import EtcdProcess
from tests.supervisor.test_master import SMALL

pytestmark = [pytest.mark.e2e]
ENDPOINTS, SLICE = "services/endpoints/default/kubernetes", "endpointslices/default/kubernetes"
A, B, C, BY_HAND = "192.0.2.10", "192.0.2.9", "192.0.2.20", "192.0.2.99"
# name: prefix in etcd, address, flags
SERVERS = {
    "first": ("/registry", A, ("--apiserver-count=1",)),
    "second": ("/registry", B, ("--apiserver-count=1",)),
    "third": ("/registry", C, ("--apiserver-count=1",)),
    "one-1": ("/one", A, ("--endpoint-reconciler-type=master-count", "--apiserver-count=1")),
    "one-2": ("/one", B, ("--endpoint-reconciler-type=master-count", "--apiserver-count=1")),
    "two-1": ("/two", A, ("--endpoint-reconciler-type=master-count", "--apiserver-count=2")),
    "two-2": ("/two", B, ("--endpoint-reconciler-type=master-count", "--apiserver-count=2")),
    "none": ("/none", A, ("--endpoint-reconciler-type=none",)),
    "loopback": ("/loopback", "127.0.0.1", ()),
}


class Recorded:
    """The servers by name, etcd by prefix, and when things were done to them."""

    def __init__(self, folder: Path, exits: ExitStack) -> None:
        self.folder, self.exits = folder, exits
        (folder / "etcd").mkdir()
        self.etcd = EtcdProcess(folder / "etcd")
        self.etcd.start()
        exits.callback(self.etcd.kill)
        self.views = {prefix: EtcdView(self.etcd.url, prefix) for prefix in {of[0] for of in SERVERS.values()}}
        self.cluster = EtcdCluster(folder / "cluster")
        exits.callback(self.cluster.kill)
        self.views["/cluster"] = EtcdView(self.cluster.urls[2], "/cluster")
        for view in self.views.values():
            exits.callback(view.close)
            view.follow()
        self.servers: dict[str, RunningServer] = {}
        self.done: dict[str, float] = {}

    def start(self, name: str) -> None:
        if name == "cluster":
            prefix, ip, flags, urls = "/cluster", A, (), ",".join(self.cluster.urls)
        else:
            (prefix, ip, flags), urls = SERVERS[name], self.etcd.url
        given = (f"--etcd-servers={urls}", f"--etcd-prefix={prefix}", f"--advertise-address={ip}", *flags)
        server = RunningServer(self.folder / name, *given, command=SMALL)
        self.exits.enter_context(server)
        self.servers[name] = server

    def mark(self, name: str) -> None:
        self.done[name] = time.monotonic()

    def changes(self, prefix: str, key: str) -> list[Change]:
        return self.views[prefix].of(key)

    def listed(self, prefix: str, since: float = 0.0) -> list[list[str]]:
        """The addresses that the endpoints have had since then."""
        return [ips(change.value) for change in self.changes(prefix, ENDPOINTS) if change.at >= since]

    def reconciler_log(self, name: str) -> str:
        return (self.servers[name].run_dir / "logs" / "reconciler.log").read_text()


def live_through(recorded: Recorded) -> None:
    """What happens in the half minute."""
    servers, view = recorded.servers, recorded.views["/registry"]
    recorded.start("one-1")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(recorded.start, [*(name for name in SERVERS if name != "one-1"), "cluster"]))
    wait_for(lambda: ips(view.get(ENDPOINTS)) == [A, C, B], 25, "all three are listed")
    wait_for(lambda: len(ips(recorded.views["/two"].get(ENDPOINTS))) == 2, 25, "both are listed")
    recorded.mark("begin")
    subset = [{"addresses": [{"ip": BY_HAND}]}]
    view.put(f"masterleases/{BY_HAND}", {"kind": "Endpoints", "apiVersion": "v1", "metadata": {}, "subsets": subset})
    view.put("masterleases/nobody", {"kind": "Endpoints", "apiVersion": "v1", "metadata": {}})
    servers["third"].process.kill()
    servers["two-1"].process.kill()
    recorded.cluster.members[0].kill()
    for role in ("aggregator", "core", "extensions"):
        servers["first"].command("restart", role)
    os.kill(servers["first"].processes("reconciler")[0], signal.SIGKILL)
    servers["second"].command("reload")
    time.sleep(max(0.0, recorded.done["begin"] + 11 - time.monotonic()))
    recorded.mark("hand")
    view.delete(f"masterleases/{BY_HAND}")
    stored = view.get(ENDPOINTS)
    assert stored is not None
    view.put(ENDPOINTS, {**stored, "metadata": {**stored["metadata"], "labels": {}}})
    view.delete(SLICE)
    recorded.views["/two"].delete(SLICE)
    recorded.cluster.members[0].start()
    recorded.cluster.members[1].signal(signal.SIGSTOP)
    time.sleep(max(0.0, recorded.done["begin"] + 26 - time.monotonic()))
    recorded.cluster.members[1].signal(signal.SIGCONT)
    recorded.mark("end")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    with ExitStack() as exits:
        found = Recorded(tmp_path_factory.mktemp("endpoints"), exits)
        live_through(found)
        yield found


@pytest.mark.seed("S92", "S95")
def test_each_server_has_a_key_that_says_its_address(recorded: Recorded) -> None:
    for ip in (A, B):
        value = recorded.changes("/registry", f"masterleases/{ip}")[-1].value
        assert value is not None and value["kind"] == "Endpoints" and value["apiVersion"] == "v1"
        assert set(value["metadata"]) <= {"generation", "creationTimestamp"}
        assert value["subsets"] == [{"addresses": [{"ip": ip}]}]


@pytest.mark.seed("S92")
def test_a_key_is_written_every_ten_seconds_with_a_new_lease_of_fifteen(recorded: Recorded) -> None:
    # of a server whose reconciler nobody started anew
    writes = [one for one in recorded.changes("/loopback", "masterleases/127.0.0.1") if one.value is not None]
    assert len(writes) >= 3
    for before, after in itertools.pairwise(writes):
        assert before.value is not None and after.value is not None
        assert after.value["metadata"]["generation"] == before.value["metadata"]["generation"] + 1
        assert after.revision > before.revision and after.lease not in (0, before.lease)
        assert 9 < after.at - before.at < 13
    granted, left = recorded.views["/loopback"].time_to_live(writes[-1].lease)
    assert granted == 15 and 0 < left <= 15


@pytest.mark.seed("S92")
@pytest.mark.parametrize("ip", [A, B], ids=["recycled", "reloaded"])
def test_recycled_workers_a_killed_reconciler_and_a_reload_never_remove_the_key(recorded: Recorded, ip: str) -> None:
    changes = [one for one in recorded.changes("/registry", f"masterleases/{ip}") if one.at < recorded.done["end"]]
    assert [one.value is None for one in changes[1:]] == [False] * (len(changes) - 1)
    generations = [one.value["metadata"]["generation"] for one in changes if one.value]
    assert generations == list(range(generations[0], generations[0] + len(generations)))
    assert all(ip in listed for listed in recorded.listed("/registry", recorded.done["begin"]))


@pytest.mark.seed("S92", "S88")
def test_endpoints_and_slice_hold_all_servers_sorted_as_text(recorded: Recorded) -> None:
    changes = recorded.changes("/registry", ENDPOINTS)
    full = next(one.value for one in changes if ips(one.value) == [A, C, B])
    assert full is not None
    assert full["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}
    ports = full["subsets"][0]["ports"]
    assert [(one["name"], one["protocol"]) for one in ports] == [("https", "TCP")]
    ours = {int(recorded.servers[name].url.rpartition(":")[2]) for name in ("first", "second", "third")}
    assert ports[0]["port"] in ours
    mirrored = next(one.value for one in recorded.changes("/registry", SLICE) if slice_ips(one.value) == [A, C, B])
    assert mirrored is not None
    assert mirrored["metadata"]["labels"] == {"kubernetes.io/service-name": "kubernetes"}
    assert mirrored["addressType"] == "IPv4" and mirrored["ports"] == ports
    assert all(one["conditions"]["ready"] is True for one in mirrored["endpoints"])


@pytest.mark.seed("S92")
def test_a_key_made_by_hand_is_listed_and_delisted_within_a_round(recorded: Recorded) -> None:
    began, deleted = recorded.done["begin"], recorded.done["hand"]
    changes = recorded.changes("/registry", ENDPOINTS)
    listed = next(one.at for one in changes if one.at > began and BY_HAND in ips(one.value))
    gone = next(one.at for one in changes if one.at > deleted and BY_HAND not in ips(one.value))
    assert listed - began < 11 and gone - deleted < 11


@pytest.mark.seed("S92")
def test_a_lost_skip_mirror_label_comes_back(recorded: Recorded) -> None:
    changes = recorded.changes("/registry", ENDPOINTS)
    stripped = next(i for i, one in enumerate(changes) if not one.value["metadata"].get("labels"))  # type: ignore[index]
    after = changes[stripped + 1]
    assert after.value is not None and after.at - changes[stripped].at < 11
    assert after.value["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}


@pytest.mark.seed("S92")
def test_a_lost_slice_comes_back_although_the_endpoints_are_right(recorded: Recorded) -> None:
    deleted = recorded.done["hand"]
    for prefix in ("/registry", "/two"):
        changes = [one for one in recorded.changes(prefix, SLICE) if one.at > deleted]
        assert changes[0].value is None
        assert len(slice_ips(changes[1].value)) >= 2 and changes[1].at - changes[0].at < 11


@pytest.mark.seed("S92", "S94")
def test_a_server_killed_hard_is_gone_within_25_seconds(recorded: Recorded) -> None:
    began = recorded.done["begin"]
    lease = [one for one in recorded.changes("/registry", f"masterleases/{C}") if one.at > began]
    assert [one.value for one in lease] == [None] and lease[0].at - began < 17
    changes = [one for one in recorded.changes("/registry", ENDPOINTS) if one.at > lease[0].at]
    gone = next(one.at for one in changes if C not in ips(one.value))
    assert gone - began < 26
    assert all(C not in ips(one.value) for one in changes if one.at >= gone)


@pytest.mark.seed("S91")
def test_with_a_count_of_one_the_last_server_wins_and_they_fight(recorded: Recorded) -> None:
    listed = recorded.listed("/one")
    assert {tuple(one) for one in listed} == {(A,), (B,)}
    first_of_other = listed.index([B])
    assert [A] in listed[first_of_other:], "the first takes it back in its next round"


@pytest.mark.seed("S91")
def test_with_a_count_of_two_both_stay_even_if_one_is_killed(recorded: Recorded) -> None:
    assert all(one == [A, B] for one in recorded.listed("/two", recorded.done["begin"]))
    stored = recorded.views["/two"].get(ENDPOINTS)
    assert ips(stored) == [A, B]
    assert stored is not None and len(stored["subsets"]) == 1
    assert [(one["name"], one["protocol"]) for one in stored["subsets"][0]["ports"]] == [("https", "TCP")]
    assert slice_ips(recorded.views["/two"].get(SLICE)) == [A, B]
    assert not recorded.views["/two"].keys("masterleases/")


@pytest.mark.seed("S93", "S90")
def test_none_never_touches_the_endpoints(recorded: Recorded) -> None:
    view = recorded.views["/none"]
    assert not view.changes and not view.keys("masterleases/") and view.get(ENDPOINTS) is None
    assert "endpoint reconciler: none" in recorded.reconciler_log("none")


@pytest.mark.seed("S90")
def test_the_type_in_use_is_logged(recorded: Recorded) -> None:
    assert "endpoint reconciler: lease" in recorded.reconciler_log("first")
    assert "endpoint reconciler: master-count" in recorded.reconciler_log("two-2")


@pytest.mark.seed("S90")
def test_an_unknown_type_ends_the_server(tmp_path: Path) -> None:
    flags = [f"--run-dir={tmp_path / 'r'}", f"--data-dir={tmp_path / 'd'}", "--secure-port=auto"]
    command = [*SMALL, "start", *flags, "--endpoint-reconciler-type=foo"]
    failed = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert failed.returncode == 1 and "foo" in failed.stderr and "Traceback" not in failed.stderr


@pytest.mark.seed("S92")
def test_a_loopback_address_is_not_listed_while_the_server_is_healthy(recorded: Recorded) -> None:
    assert recorded.views["/loopback"].get(ENDPOINTS) is None
    assert recorded.views["/loopback"].keys("masterleases/") == ["127.0.0.1"]
    errors = [line for line in recorded.reconciler_log("loopback").splitlines() if "127.0.0.1" in line]
    assert 3 <= len(errors) <= 6, "one a round"
    assert recorded.servers["loopback"].request("GET", "/readyz")[0] == 200


@pytest.mark.seed("S92")
def test_a_server_stays_listed_while_etcd_members_come_and_go(recorded: Recorded) -> None:
    changes = [one for one in recorded.changes("/cluster", f"masterleases/{A}") if one.at < recorded.done["end"]]
    written = [one for one in changes[1:] if one.value is not None]
    assert len(written) == len(changes) - 1 >= 2, "the key never ran out"
    assert all(after.at - before.at < 15 for before, after in itertools.pairwise(changes))
    assert ips(recorded.views["/cluster"].get(ENDPOINTS)) == [A]


def test_a_server_goes_on_when_etcd_has_a_quorum_again(recorded: Recorded) -> None:
    server, lost = recorded.servers["cluster"], recorded.cluster.members[:2]
    (reconciler,) = server.processes("reconciler")
    for member in lost:
        member.signal(signal.SIGSTOP)
    wait_for(lambda: "reconciling:" in recorded.reconciler_log("cluster"), 20, "it says that etcd does not answer")
    for member in lost:
        member.signal(signal.SIGCONT)
    back = time.monotonic()
    written = wait_for(
        lambda: [one for one in recorded.changes("/cluster", f"masterleases/{A}") if one.at > back], 15, "its key"
    )
    assert written[0].value is not None, "the key did not run out: without a leader no lease does"
    assert server.processes("reconciler") == [reconciler]


@pytest.mark.seed("S94")
def test_servers_that_stop_leave_at_once_and_the_last_one_empties_the_list(recorded: Recorded) -> None:
    view = recorded.views["/registry"]
    first, second = recorded.servers["first"], recorded.servers["second"]
    wait_for(lambda: ips(view.get(ENDPOINTS)) == [A, B], 10)
    told = time.monotonic()
    first.process.send_signal(signal.SIGTERM)
    wait_for(lambda: view.keys("masterleases/") == [B, "nobody"], 3, "its key is gone")
    assert first.process.wait(15) == 0
    assert ips(view.get(ENDPOINTS)) == [B] and slice_ips(view.get(SLICE)) == [B], "its address went before it exited"
    assert time.monotonic() - told < 10, "not by the other server's next round"
    assert second.stop() == 0
    assert view.keys("masterleases/") == ["nobody"]
    endpoints, mirrored = view.get(ENDPOINTS), view.get(SLICE)
    assert endpoints is not None and not endpoints.get("subsets")
    assert mirrored is not None and not mirrored.get("endpoints")


@pytest.mark.seed("S91", "S94")
def test_master_count_removes_its_own_address_at_the_stop(recorded: Recorded) -> None:
    assert recorded.servers["two-2"].stop() == 0
    assert ips(recorded.views["/two"].get(ENDPOINTS)) == [A]


@pytest.mark.seed("S94")
def test_a_restarted_server_is_delisted_until_it_is_ready_and_keeps_a_stale_port(recorded: Recorded) -> None:
    view = recorded.views["/cluster"]
    server = recorded.servers["cluster"]
    stored = view.get(ENDPOINTS)
    assert stored is not None
    server.process.kill()
    server.process.wait()
    (server.data_dir / PORT_FILE).unlink()  # else it takes the same port again
    restarted = time.monotonic()
    server.start()
    wait_for(lambda: [one for one in view.of(f"masterleases/{A}") if one.at > restarted and one.value], 20)
    after = [one for one in view.of(f"masterleases/{A}") if one.at > restarted]
    assert after[0].value is None and after[1].value is not None, "first its stale key goes"
    now = view.get(ENDPOINTS)
    assert now is not None and ips(now) == [A]
    assert now["subsets"][0]["ports"] == stored["subsets"][0]["ports"], "only a change of shape brings the new port"
    assert stored["subsets"][0]["ports"][0]["port"] != int(server.url.rpartition(":")[2])


@pytest.mark.seed("S94")
def test_a_server_whose_etcd_hangs_stops_all_the_same(recorded: Recorded) -> None:
    recorded.etcd.signal(signal.SIGSTOP)
    began = time.monotonic()
    assert recorded.servers["loopback"].stop(timeout=30) == 0
    assert time.monotonic() - began < 22, "it does not wait longer than two intervals"
    recorded.etcd.signal(signal.SIGCONT)
