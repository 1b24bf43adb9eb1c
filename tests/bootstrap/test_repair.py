"""Repair of cluster IPs and node ports, on a real etcd."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from apiserver_workers.core.bootstrap import address_repair, system
from apiserver_workers.core.bootstrap.address_repair import AddressRepair
from apiserver_workers.core.bootstrap.objects import Objects
from apiserver_workers.core.bootstrap.port_repair import PortRepair, node_ports_of
from apiserver_workers.registry.node_ports import KEY, NodePorts
from apiserver_workers.registry.service_ip import ip_address_object
from apiserver_workers.server.backend import Backend
from apiserver_workers.server.config import ServerConfig

from tests.bootstrap.test_bootstrap import run

Object = dict[str, Any]
NETWORKING = "networking.k8s.io"
pytestmark = pytest.mark.seed("S97")


def service(name: str, **spec: Any) -> Object:
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"type": "NodePort" if "ports" in spec else "ClusterIP", **spec},
    }


def at(ip: str) -> Object:
    return {"clusterIP": ip, "clusterIPs": [ip]}


async def put(backend: Backend, config: ServerConfig, obj: Object, resource: str = "services/specs") -> None:
    """Write an object past the server."""
    metadata = obj["metadata"]
    place = f"{metadata['namespace']}/{metadata['name']}" if "namespace" in metadata else metadata["name"]
    await backend.storage.create(f"{config.etcd_prefix}/{resource}/{place}", json.dumps(obj).encode())


async def begin(objects: Objects, config: ServerConfig) -> None:
    await system.ensure_namespaces(objects)
    await system.ensure_service_cidr(objects, config)


async def settled(objects: Objects) -> None:
    for group, resource in (("", "services"), ("", "events"), (NETWORKING, "ipaddresses")):
        await objects.fresh(group, resource)


def events(objects: Objects) -> dict[tuple[str, str], Object]:
    return {(event["involvedObject"]["name"], event["reason"]): event for event in objects.list("", "events")}


def addresses(objects: Objects) -> dict[str, str]:
    found = objects.list(NETWORKING, "ipaddresses")
    return {one["metadata"]["name"]: one["spec"]["parentRef"]["name"] for one in found}


def test_every_cluster_ip_gets_its_address_and_conflicts_are_told(config, monkeypatch):
    monkeypatch.setattr(address_repair, "GRACE", -1.0)

    async def scenario(backend: Backend, objects: Objects) -> None:
        await begin(objects, config)
        for made in (
            service("first", **at("10.0.0.9")),
            service("second", **at("10.0.0.9")),
            service("outside", **at("10.9.0.9")),
            service("headless", clusterIP="None", clusterIPs=["None"]),
        ):
            await put(backend, config, made)
        await settled(objects)
        repair = AddressRepair(objects)
        await repair.round()
        await settled(objects)
        assert addresses(objects) == {"10.0.0.9": "first"}
        monkeypatch.setattr(address_repair, "RESYNC", 0.0)
        await repair.round()
        await repair.round()
        await settled(objects)
        told = events(objects)
        assert set(told) == {
            ("first", "ClusterIPNotAllocated"),
            ("second", "ClusterIPAlreadyAllocated"),
            ("outside", "ClusterIPOutOfRange"),
        }
        first = told["first", "ClusterIPNotAllocated"]
        assert first["message"] == "Cluster IP [IPv4]: 10.0.0.9 is not allocated; repairing"
        assert first["reportingComponent"] == "ipallocator-repair-controller" and first["type"] == "Warning"
        assert first["action"] == "ClusterIPAllocation" and first["eventTime"]
        assert told["outside", "ClusterIPOutOfRange"]["series"]["count"] == 3

    run(config, scenario)


def test_a_round_without_changes_looks_at_nothing_and_one_that_waits_looks_again(config, monkeypatch):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await begin(objects, config)
        await put(backend, config, service("mine", **at("10.0.0.9")))
        await settled(objects)
        repair = AddressRepair(objects)
        walks = 0
        go_through = repair._go_through

        async def counted() -> None:
            nonlocal walks
            walks += 1
            await go_through()

        monkeypatch.setattr(repair, "_go_through", counted)
        for expected in (1, 2, 2, 2):  # the second sees the address that the first has made
            await repair.round()
            await settled(objects)
            assert walks == expected
        ref = {"resource": "services", "namespace": "default", "name": "coming"}
        await objects.create(NETWORKING, "ipaddresses", ip_address_object("10.0.0.8", ref))
        await settled(objects)
        for expected in (3, 4):
            await repair.round()
            assert walks == expected

    run(config, scenario)


def test_addresses_that_belong_to_nobody_go_and_wrong_ones_are_made_anew(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await begin(objects, config)
        await put(backend, config, service("mine", **at("10.0.0.9")))
        await put(backend, config, service("unlabelled", **at("10.0.0.10")))
        old = {"creationTimestamp": "2026-01-01T00:00:00Z"}
        labels = {
            "ipaddress.kubernetes.io/ip-family": "IPv4",
            "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
        }

        async def address(ip: str, parent: str, resource: str = "services", **metadata: Any) -> None:
            ref = {"resource": resource, "namespace": "default", "name": parent}
            held = {"name": ip, "uid": f"uid-{ip}", "labels": labels} | old | metadata
            obj = {"kind": "IPAddress", "apiVersion": "networking.k8s.io/v1", "metadata": held}
            await put(backend, config, obj | {"spec": {"parentRef": ref}}, "ipaddresses")

        await address("10.0.0.9", "gone")  # another's that is no more
        await address("10.0.0.10", "unlabelled", labels={"ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"})
        await address("10.0.0.11", "leaked")
        await address("10.0.0.12", "coming", creationTimestamp=system.time.strftime("%Y-%m-%dT%H:%M:%SZ"))
        await address("10.0.0.13", "mine")  # of a service that has another
        await address("10.0.0.14", "x", resource="gateways")
        await address("10.0.0.15", "theirs", labels={"ipaddress.kubernetes.io/managed-by": "somebody-else"})
        await settled(objects)
        await AddressRepair(objects).round()
        await settled(objects)
        kept = {"10.0.0.9": "mine", "10.0.0.10": "unlabelled", "10.0.0.12": "coming", "10.0.0.15": "theirs"}
        assert addresses(objects) == kept
        repaired = objects.get(NETWORKING, "ipaddresses", "10.0.0.10")
        assert repaired is not None and repaired["metadata"]["labels"] == labels
        told = events(objects)
        assert told["10.0.0.11", "IPAddressNotAllocated"]["metadata"]["namespace"] == "default"
        assert ("10.0.0.13", "IPAddressWrongReference") in told

    run(config, scenario)


def test_the_bitmap_is_made_and_follows_the_services(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await begin(objects, config)
        ports = NodePorts(backend.registry, "30000-32767")
        repair = PortRepair(objects, ports)
        await repair.round()
        entry = await backend.storage.get(f"{config.etcd_prefix}/{KEY}")
        assert entry is not None, "it is there although no port is taken"
        one = {"port": 80, "protocol": "TCP", "nodePort": 30080}
        await put(backend, config, service("a", **at("10.0.0.9"), ports=[one]))
        await put(backend, config, service("b", **at("10.0.0.10"), ports=[one]))
        await put(backend, config, service("c", **at("10.0.0.11"), ports=[one | {"nodePort": 80}]))
        for _ in range(2):
            await repair.round()
        assert await ports.allocated() == {30080}
        await settled(objects)
        told = events(objects)
        assert set(told) == {("a", "PortNotAllocated"), ("b", "PortAlreadyAllocated"), ("c", "PortOutOfRange")}
        assert told["b", "PortAlreadyAllocated"]["count"] == 2
        assert told["a", "PortNotAllocated"]["message"] == "Port 30080 is not allocated; repairing"

    run(config, scenario)


def test_a_leaked_port_is_freed_in_the_third_round_and_one_in_use_is_not(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await begin(objects, config)
        ports = NodePorts(backend.registry, "30000-32767")
        repair = PortRepair(objects, ports)
        await ports.allocate(30001, dry_run=False)
        await ports.allocate(30002, dry_run=False)
        await repair.round()
        await repair.round()
        assert await ports.allocated() == {30001, 30002}
        in_time = service("in-time", **at("10.0.0.9"), ports=[{"port": 80, "protocol": "TCP", "nodePort": 30002}])
        await put(backend, config, in_time)
        await repair.round()
        assert await ports.allocated() == {30002}

    run(config, scenario)


def test_a_port_taken_while_a_round_goes_on_is_not_lost(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        await begin(objects, config)
        ports = NodePorts(backend.registry, "30000-32767")
        rounds = 0

        async def slow(stored: frozenset[int]) -> frozenset[int]:
            nonlocal rounds
            rounds += 1
            if rounds == 1:
                await ports.allocate(30005, dry_run=False)
            return stored

        await ports.rebuild(slow)
        assert rounds == 2 and await ports.allocated() == {30005}

    run(config, scenario)


def test_another_range_keeps_the_ports_that_are_in_both(config):
    async def scenario(backend: Backend, objects: Objects) -> None:
        before = NodePorts(backend.registry, "30000-30100")
        for port in (30000, 30050, 30100):
            await before.allocate(port, dry_run=False)
        assert await NodePorts(backend.registry, "30050-30200").allocated() == {30050, 30100}
        assert await NodePorts(backend.registry, "29000-30060").allocated() == {30000, 30050}

    run(config, scenario)


def test_a_port_counts_once_for_two_protocols_and_twice_for_one():
    tcp, udp = {"nodePort": 1, "protocol": "TCP"}, {"nodePort": 1, "protocol": "UDP"}
    assert node_ports_of({"ports": [tcp, udp]}) == [1]
    assert node_ports_of({"ports": [tcp, copy.copy(tcp)]}) == [1, 1]
    assert node_ports_of({"ports": [tcp], "healthCheckNodePort": 2}) == [1, 2]
