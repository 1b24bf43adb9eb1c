"""A controller on the official Python client: shared informers, an elected leader, and writes that may conflict."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.informer.informer import ADDED, DELETED, MODIFIED, SharedInformer
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from tests.running import RunningServer, wait_for

NAMESPACE = "controllers"
LABELS = {"app": "controlled"}


class ReplicaSets:
    """Keeps as many pods as each replica set asks for, while it leads; says so in the status."""

    def __init__(self, api: client.ApiClient, name: str) -> None:
        self.name = name
        self.core, self.apps = client.CoreV1Api(api), client.AppsV1Api(api)
        self.conflicts = 0
        self.leads = threading.Event()
        self.failing = threading.Event()
        self._work: queue.Queue[str] = queue.Queue()
        self._sets = SharedInformer(self.apps.list_namespaced_replica_set, NAMESPACE)
        self._pods = SharedInformer(self.core.list_namespaced_pod, NAMESPACE, label_selector="app=controlled")
        for event in (ADDED, MODIFIED, DELETED):
            self._sets.add_event_handler(event, lambda one: self._work.put(one.metadata.name))
            self._pods.add_event_handler(event, self._owner_changed)

    def _owner_changed(self, pod: Any) -> None:
        for owner in pod.metadata.owner_references or ():
            self._work.put(owner.name)

    def run(self) -> None:
        """Wait for the lease, then lead until told to fail."""
        election = electionconfig.Config(
            LeaseLock("replica-sets", NAMESPACE, self.name),
            lease_duration=3,
            renew_deadline=2,
            retry_period=1,
            onstarted_leading=self._lead,
            onstopped_leading=self.leads.clear,
        )
        leaderelection.LeaderElection(election).run()

    def _lead(self) -> None:
        self.leads.set()
        self._sets.start()
        self._pods.start()
        while not self.failing.is_set():
            try:
                self._reconcile(self._work.get(timeout=0.1))
            except queue.Empty:
                continue
        raise RuntimeError("this leader fails")

    def _reconcile(self, name: str) -> None:
        """From the newest state: what the informers have may be older than what was written here."""
        found = self.apps.read_namespaced_replica_set(name, NAMESPACE)
        pods = self.core.list_namespaced_pod(NAMESPACE, label_selector="app=controlled").items
        missing = found.spec.replicas - len(pods)
        for _ in range(missing):
            self._make(found)
        for pod in pods[: max(0, -missing)]:
            self.core.delete_namespaced_pod(pod.metadata.name, NAMESPACE, grace_period_seconds=0)
        found.status.replicas = found.spec.replicas
        found.status.observed_generation = found.metadata.generation
        try:
            self.apps.replace_namespaced_replica_set_status(name, NAMESPACE, found)
        except client.ApiException as error:
            assert error.status == 409, error
            self.conflicts += 1
            self._work.put(name)

    def _make(self, owner: Any) -> None:
        reference = client.V1OwnerReference(
            api_version="apps/v1",
            kind="ReplicaSet",
            name=owner.metadata.name,
            uid=owner.metadata.uid,
            controller=True,
            block_owner_deletion=True,
        )
        metadata = client.V1ObjectMeta(
            generate_name=f"{owner.metadata.name}-", labels=LABELS, owner_references=[reference]
        )
        self.core.create_namespaced_pod(
            NAMESPACE, client.V1Pod(metadata=metadata, spec=owner.spec.template.spec), _request_timeout=10
        )

    def stop(self) -> None:
        self.failing.set()
        self._sets.stop()
        self._pods.stop()


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[client.ApiClient]:
    """A client that is the default one too: leases are held by that."""
    config.load_kube_config(str(server.kubeconfig))
    api = client.ApiClient()
    core = client.CoreV1Api(api)
    core.create_namespace({"metadata": {"name": NAMESPACE}})
    core.create_namespaced_service_account(NAMESPACE, {"metadata": {"name": "default"}})
    yield api
    core.delete_namespace(NAMESPACE)
    client.Configuration.set_default(None)


def test_two_controllers_of_which_one_leads(api: client.ApiClient) -> None:
    apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
    controllers = [ReplicaSets(api, name) for name in ("first", "second")]
    threads = [threading.Thread(target=one.run, daemon=True) for one in controllers]
    threads[0].start()
    assert controllers[0].leads.wait(10)
    threads[1].start()
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": LABELS}, "template": template}
    apps.create_namespaced_replica_set(NAMESPACE, {"metadata": {"name": "rs"}, "spec": spec})

    def pods() -> list[str]:
        return [one.metadata.name for one in core.list_namespaced_pod(NAMESPACE).items]

    def settled(count: int) -> bool:
        found = apps.read_namespaced_replica_set("rs", NAMESPACE)
        return (
            len(pods()) == count == found.status.replicas
            and found.status.observed_generation == found.metadata.generation
        )

    def scale(count: int) -> None:
        apps.patch_namespaced_replica_set_scale("rs", NAMESPACE, {"spec": {"replicas": count}})

    try:
        wait_for(lambda: settled(3), 15, "three pods")
        for count in (6, 2):
            scale(count)
            wait_for(lambda count=count: settled(count), 15, f"{count} pods")
        lost = pods()[0]
        core.delete_namespaced_pod(lost, NAMESPACE, grace_period_seconds=0)
        wait_for(lambda: settled(2) and lost not in pods(), 15, "another pod")

        # Others write the same object all the time; neither side loses anything.
        for number in range(40):
            apps.patch_namespaced_replica_set("rs", NAMESPACE, {"metadata": {"annotations": {f"n{number}": "x"}}})
        wait_for(lambda: settled(2), 15, "the status")
        assert len(apps.read_namespaced_replica_set("rs", NAMESPACE).metadata.annotations) == 40

        assert controllers[0].leads.is_set() and not controllers[1].leads.is_set()
        controllers[0].failing.set()
        assert controllers[1].leads.wait(15) and not controllers[0].leads.is_set()
        scale(5)
        wait_for(lambda: settled(5), 15, "five pods by the other leader")
        lease = client.CoordinationV1Api(api).read_namespaced_lease("replica-sets", NAMESPACE)
        assert lease.spec.holder_identity == "second"
    finally:
        for one in controllers:
            one.stop()


def test_of_writers_at_once_one_wins_each_round(api: client.ApiClient) -> None:
    core = client.CoreV1Api(api)
    core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "counter"}, "data": {"n": "0"}})
    refused = []

    def count() -> None:
        done = 0
        while done < 20:
            found = core.read_namespaced_config_map("counter", NAMESPACE)
            found.data["n"] = str(int(found.data["n"]) + 1)
            try:
                core.replace_namespaced_config_map("counter", NAMESPACE, found)
                done += 1
            except client.ApiException as error:
                assert error.status == 409
                refused.append(1)
                time.sleep(0.005)

    threads = [threading.Thread(target=count) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert core.read_namespaced_config_map("counter", NAMESPACE).data["n"] == "100"
    assert refused
