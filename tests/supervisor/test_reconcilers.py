"""The endpoints of the kubernetes service: decisions on plain data, and reconcilers on a real etcd."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apiserver_supervisor import reconcilers
from apiserver_supervisor.etcd import find
from apiserver_supervisor.reconcilers.endpoints import (
    ENDPOINTS_KEY,
    SLICE_KEY,
    addresses,
    endpoints_update,
    lease_value,
    slice_update,
    within_count,
)
from apiserver_supervisor.reconcilers.reconcilers import LeaseReconciler, MasterCountReconciler, ReconcileError
from apiserver_supervisor.reconcilers.store import Conflict, Store
from apiserver_workers.apimachinery import protobuf, types
from apiserver_workers.storage.formats import Formats
from apiserver_workers.storage.serializer import PROTOBUF

from tests.running import wait_for

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.10"
PROCESS = """\
import sys
from apiserver_supervisor import reconcilers
from apiserver_supervisor.completion import complete
from apiserver_supervisor.options.parsing import parse
reconcilers.run(complete(parse(sys.argv[2:])), int(sys.argv[1]), reconcilers.Heartbeat(-1), serving=False)
"""


@pytest.fixture(scope="module")
def etcd_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="et-") as folder:
        etcd = find(folder=Path(folder, "s"), data=Path(folder, "d"), log=Path(folder, "log"))
        pid = etcd.start()
        wait_for(etcd.healthy, 10, "etcd")
        yield etcd.url
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.fixture
def store(etcd_url: str, request: pytest.FixtureRequest) -> Iterator[Store]:
    opened = Store((etcd_url,), f"/test/{request.node.name}")
    yield opened
    opened.close()


def listed(store: Store) -> tuple[list[str], list[str]]:
    endpoints, _ = store.get(ENDPOINTS_KEY)
    mirrored, _ = store.get(SLICE_KEY)
    return addresses(endpoints), [e["addresses"][0] for e in (mirrored or {}).get("endpoints") or []]


def test_right_endpoints_are_left_alone_and_ports_count_only_when_asked() -> None:
    made = endpoints_update(None, [C, A], 6443, ports=False)
    assert made is not None and addresses(made) == [A, C]
    assert list(made) == ["kind", "apiVersion", "metadata", "subsets"]
    assert endpoints_update(made, [A, C], 6443, ports=True) is None
    assert endpoints_update(made, [A, C], 7443, ports=False) is None
    fewer = endpoints_update(made, [A], 7443, ports=False)
    assert fewer is not None and fewer["subsets"][0]["ports"][0]["port"] == 6443
    assert endpoints_update(made, [A, C], 7443, ports=True) is not None


def test_a_lost_label_is_restored_and_the_identity_kept() -> None:
    made = endpoints_update(None, [A], 6443, ports=False)
    assert made is not None
    bare = made | {"metadata": {k: v for k, v in made["metadata"].items() if k != "labels"}}
    again = endpoints_update(bare, [A], 6443, ports=False)
    assert again is not None and again["metadata"]["uid"] == made["metadata"]["uid"]
    assert again["metadata"]["labels"] == {"endpointslice.kubernetes.io/skip-mirror": "true"}


def test_without_servers_the_endpoints_stay_without_subsets() -> None:
    made = endpoints_update(None, [A], 6443, ports=True)
    emptied = endpoints_update(made, [], 6443, ports=True)
    assert emptied is not None and "subsets" not in emptied
    assert endpoints_update(emptied, [], 6443, ports=True) is None
    mirrored = slice_update(None, emptied)
    assert mirrored is not None and mirrored["endpoints"] is None


def test_the_slice_follows_and_counts_its_generation() -> None:
    first = slice_update(None, endpoints_update(None, [A], 6443, ports=True) or {})
    assert first is not None and first["metadata"]["generation"] == 1
    assert slice_update(first, endpoints_update(None, [A], 6443, ports=True) or {}) is None
    second = slice_update(first, endpoints_update(None, [A, B], 6443, ports=True) or {})
    assert second is not None and second["metadata"]["generation"] == 2
    other_family = slice_update(second, endpoints_update(None, ["2001:db8::1"], 6443, ports=True) or {})
    assert other_family is not None and other_family["addressType"] == "IPv6"
    assert other_family["metadata"]["uid"] != first["metadata"]["uid"]


@pytest.mark.parametrize(
    ("present", "own", "count", "kept"),
    [([], A, 1, [A]), ([A], B, 1, [B]), ([A], B, 2, [A, B]), ([A, B], C, 2, [A, C]), ([A, B, C], A, 2, [A, B])],
)
def test_master_count_keeps_so_many(present: list[str], own: str, count: int, kept: list[str]) -> None:
    assert within_count(present, own, count) == kept


def test_a_lease_value_rises_at_each_refresh() -> None:
    assert lease_value(A, lease_value(A, None))["metadata"] == {"generation": 2}


def test_two_servers_are_listed_and_one_that_stops_goes_at_once(store: Store) -> None:
    first, second = LeaseReconciler(store, A, 6443), LeaseReconciler(store, B, 6443)
    for reconciler in (first, second):
        reconciler.remove(stopping=False)
        reconciler.reconcile()
    assert listed(store) == ([A, B], [A, B])
    first.remove(stopping=True)
    assert listed(store) == ([B], [B])
    second.remove(stopping=True)
    assert listed(store) == ([], [])
    assert store.get(ENDPOINTS_KEY)[0] is not None


def test_a_server_that_leaves_meanwhile_is_not_listed_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = LeaseReconciler(store, A, 6443), LeaseReconciler(store, B, 6443)
    for reconciler in (first, second):
        reconciler.reconcile()
    store.put_for(f"masterleases/{C}", lease_value(C, None), 15)
    leases = store.list

    def slowly(prefix: str) -> list[dict[str, Any]]:
        monkeypatch.setattr(store, "list", leases)
        found = leases(prefix)
        first.remove(stopping=True)
        return found

    monkeypatch.setattr(store, "list", slowly)
    second.reconcile()
    assert listed(store) == ([C, B], [C, B])


def test_a_start_empties_no_endpoints(store: Store) -> None:
    first = LeaseReconciler(store, A, 6443)
    first.remove(stopping=False)
    assert store.get(ENDPOINTS_KEY)[0] is None
    first.reconcile()
    with pytest.raises(ReconcileError, match="refusing to erase all endpoints"):
        first.remove(stopping=False)
    assert listed(store) == ([A], [A])
    first.remove(stopping=False)  # there is nothing stale any more
    assert listed(store) == ([A], [A])


def test_a_lease_made_by_hand_is_listed_and_one_without_addresses_is_not(store: Store) -> None:
    reconciler = LeaseReconciler(store, A, 6443)
    store.put_for(f"masterleases/{C}", lease_value(C, None), 15)
    store.put_for(f"masterleases/{B}", lease_value(B, None) | {"subsets": []}, 15)
    reconciler.reconcile()
    assert listed(store)[0] == [A, C]


def test_the_lease_key_expires(store: Store, etcd_url: str) -> None:
    LeaseReconciler(store, A, 6443).reconcile()
    _, metadata = store._client.get(f"{store._prefix}masterleases/{A}")
    assert store._client.get_lease_info(metadata.lease_id).grantedTTL == 15


def test_loopback_addresses_are_refused(store: Store) -> None:
    with pytest.raises(ReconcileError, match=r"127\.0\.0\.1"):
        LeaseReconciler(store, "127.0.0.1", 6443).reconcile()
    assert store.get(ENDPOINTS_KEY)[0] is None


def test_master_count_on_a_real_etcd(store: Store) -> None:
    MasterCountReconciler(store, A, 6443, 2).reconcile()
    last = MasterCountReconciler(store, B, 6443, 2)
    last.reconcile()
    assert listed(store) == ([A, B], [A, B])
    last.remove(stopping=True)
    assert listed(store) == ([A], [A])


@pytest.mark.parametrize("kind", ["lease", "master-count"])
@pytest.mark.parametrize("told", [reconcilers.STOP, b""], ids=["stopped", "killed"])
def test_what_is_listed_goes_at_a_stop_and_stays_when_the_master_was_killed(
    store: Store, etcd_url: str, kind: str, told: bytes
) -> None:
    flags = [f"--etcd-servers={etcd_url}", f"--etcd-prefix={store._prefix}", f"--advertise-address={A}"]
    reading, writing = os.pipe()
    command = [sys.executable, "-c", PROCESS, str(reading), *flags, f"--endpoint-reconciler-type={kind}"]
    with subprocess.Popen(command, pass_fds=[reading]) as process:
        os.close(reading)
        os.write(writing, reconcilers.SERVING)
        wait_for(lambda: listed(store) == ([A], [A]), 10, "it is listed")
        os.write(writing, told)
        os.close(writing)
        assert process.wait(10) == 0
    assert listed(store) == (([], []) if told else ([A], [A]))
    assert len(store.list("masterleases/")) == (kind == "lease" and not told)


def test_writes_are_compare_and_swap(store: Store) -> None:
    store.write("k", {"kind": "K"}, 0)
    with pytest.raises(Conflict):
        store.write("k", {"kind": "K"}, 0)
    _, revision = store.get("k")
    store.write("k", {"kind": "L"}, revision)
    assert store.get("k")[0] == {"kind": "L"}


def test_objects_lie_in_etcd_as_those_of_the_workers_do(store: Store, etcd_url: str) -> None:
    prefix = store._prefix.rstrip("/")
    protobuf_store = Store((etcd_url,), prefix, formats=Formats(prefix, media_type=PROTOBUF))
    protobuf_store.put_for("masterleases/192.0.2.1", lease_value("192.0.2.1", None), 15)
    store.put_for("masterleases/192.0.2.2", lease_value("192.0.2.2", None), 15)
    stored = [value[:4] for value, _ in store._client.get_prefix(f"{store._prefix}masterleases/")]
    assert stored == [b"k8s\0", b'{"ki']
    assert [addresses(lease) for lease in protobuf_store.list("masterleases/")] == [["192.0.2.1"], ["192.0.2.2"]]
    protobuf_store.close()


def test_a_lease_that_another_server_wrote_as_protobuf_is_listed(store: Store) -> None:
    endpoints = types.model().kind("", "v1", "Endpoints")
    value = protobuf.encode_object(endpoints, lease_value(B, None))
    store._client.put(f"{store._prefix}masterleases/{B}", value)
    LeaseReconciler(store, A, 6443).reconcile()
    assert listed(store)[0] == [A, B]
