"""Pods and nodes that name this host, in any spelling, are not reached through the server."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
from typing import Any
from urllib.parse import quote

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.server.proxy.connection import connect
from apiserver_workers.server.proxy.guard import checked, is_global_unicast, resolved
from apiserver_workers.server.proxy.location import Location

from tests.hostile.behind import others_go_on
from tests.running import RunningServer

INWARD = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::", "169.254.169.254",
          "::ffff:169.254.169.254", "fe80::1", "224.0.0.1", "ff02::1", "255.255.255.255"]  # fmt: skip
SPELLED = ["127.1", "0x7f000001", "2130706433", "017700000001", "0", "localhost", "localhost."]
OUTWARD = ["10.0.0.1", "192.168.1.1", "8.8.8.8", "::ffff:10.0.0.1", "2001:db8::1", "fd00::1", "100.64.0.1", "240.0.0.1"]


@pytest.mark.parametrize("address", INWARD)
def test_addresses_of_this_host_are_refused(address: str) -> None:
    with pytest.raises(ApiError, match="address not allowed"):
        checked(address)


@pytest.mark.parametrize("text", ["", "x", "127.1", "1.2.3.4.5", "::ffff:1.2.3", "10.0.0.1\n", "10.0.0.1:80", "[::1]"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ApiError, match="address not allowed"):
        checked(text)


@pytest.mark.parametrize("address", OUTWARD)
def test_others_are_dialled_as_what_they_are(address: str) -> None:
    ip = ipaddress.ip_address(checked(address))
    assert is_global_unicast(ip) and getattr(ip, "ipv4_mapped", None) is None


@pytest.mark.parametrize("host", [*INWARD, *SPELLED])
def test_hosts_that_resolve_to_this_one_are_refused(host: str) -> None:
    with pytest.raises(ApiError) as refused:
        asyncio.run(resolved(host))
    assert refused.value.code == 400


def resolver(answers: list[list[str]]) -> Any:
    """getaddrinfo that gives the next of the answers, and counts how often it was asked."""

    async def getaddrinfo(host: str, port: object, **_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answers.pop(0)]

    return getaddrinfo


def test_one_address_of_this_host_among_others_refuses_the_name() -> None:
    async def asked() -> None:
        asyncio.get_running_loop().getaddrinfo = resolver([["10.0.0.1", "127.0.0.1"]])  # type: ignore[method-assign]
        await resolved("twofold.example")

    with pytest.raises(ApiError, match="address not allowed"):
        asyncio.run(asked())


def test_what_was_checked_is_dialled_and_no_name_is_asked_for_again() -> None:
    async def asked() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        loop.getaddrinfo = resolver([])  # type: ignore[method-assign]
        connection = await connect(Location("http", "rebinding.example", port, addresses=("127.0.0.1",)))
        answer = await connection.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", method="GET")
        connection.close()
        server.close()
        return answer.head

    assert asyncio.run(asked()).startswith(b"HTTP/1.1 204")


class Listener:
    """Counts the connections that reach loopback."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def reached(self) -> bool:
        self.socket.setblocking(False)
        try:
            self.socket.accept()
        except BlockingIOError:
            return False
        return True


def test_no_proxy_reaches_loopback(server: RunningServer) -> None:
    listener = Listener()
    with others_go_on(server):
        for number, address in enumerate([*INWARD, *SPELLED]):
            make_node(server, f"inward-{number}", address, listener.port)
            for identifier in (
                f"inward-{number}",
                f"inward-{number}:{listener.port}",
                f"http:inward-{number}:{listener.port}",
            ):
                code, told = ask(server, f"/api/v1/nodes/{identifier}/proxy/x")
                no_name = address.endswith(".") and told["message"].endswith("no such host")
                assert code == 400 and (told["message"] == "address not allowed" or no_name), address
        for number, address in enumerate(INWARD):
            if not make_pod(server, f"inward-{number}", address):
                continue  # validation refuses the address already
            for identifier in (f"inward-{number}:{listener.port}", f"https:inward-{number}:{listener.port}"):
                code, told = ask(server, f"/api/v1/namespaces/default/pods/{identifier}/proxy/x")
                assert (code, told["message"]) == (400, "address not allowed"), address
    assert not listener.reached()


@pytest.mark.parametrize(
    ("port", "code"), [("\u00b2", 503), ("9" * 5000, 503), ("99999", 503), ("-1", 503), ("+80", 503)]
)
def test_ports_are_ascii_digits(server: RunningServer, port: str, code: int) -> None:
    make_node(server, "outward", "192.0.2.1", 10250)
    make_service(server, "ported")
    for path in (f"nodes/outward:{quote(port)}", f"namespaces/default/services/ported:{quote(port)}"):
        found, told = ask(server, f"/api/v1/{path}/proxy/x")
        assert (found, told["reason"]) == (code, "ServiceUnavailable") or found == 404, told


def ask(server: RunningServer, path: str) -> tuple[int, dict[str, Any]]:
    code, body = server.request("GET", path)
    return code, json.loads(body)


def make_node(server: RunningServer, name: str, address: str, port: int) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    code, body = server.request("POST", "/api/v1/nodes", {"metadata": {"name": name}, "status": status})
    assert code in (201, 409), body


def make_pod(server: RunningServer, name: str, address: str) -> bool:
    """Whether the server takes a pod with that address."""
    spec = {"containers": [{"name": "c", "image": "i"}], "automountServiceAccountToken": False, "nodeName": "inward-0"}
    pods = "/api/v1/namespaces/default/pods"
    server.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
    code, body = server.request("POST", pods, {"metadata": {"name": name}, "spec": spec})
    assert code == 201, body
    told = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
    merge = "application/merge-patch+json"
    return server.request("PATCH", f"{pods}/{name}/status", told, Content_Type=merge)[0] == 200


def make_service(server: RunningServer, name: str) -> None:
    spec = {"ports": [{"port": 80}]}
    code, body = server.request(
        "POST", "/api/v1/namespaces/default/services", {"metadata": {"name": name}, "spec": spec}
    )
    assert code in (201, 409), body
