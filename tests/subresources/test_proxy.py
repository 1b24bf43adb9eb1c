"""Requests to pods, services and nodes go through to the servers there, and their answers come back."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import json
import ssl
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from apiserver_supervisor.certificates import Pki, serving_subject

from tests.running import wait_for
from tests.storage.etcd_process import free_port
from tests.subresources.backend import Backend, own_address
from tests.subresources.conftest import Cluster, create_pod

ADDRESS = own_address()
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not ADDRESS, reason="this host has no address but loopback's, which is never proxied to"),
]
NAMESPACE = "/api/v1/namespaces/default"
MEGA = 1 << 20


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with Backend(ADDRESS) as backend:
        yield backend


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend with a certificate that nobody vouches for, and for another name."""
    pki = Pki(tmp_path_factory.mktemp("own"))
    leaf = pki.leaf("web", pki.authority("own-ca"), serving_subject("127.0.0.1", "127.0.0.1", "127.0.0.1", "elsewhere"))
    with Backend(ADDRESS, (leaf.certificate, leaf.key)) as backend:
        yield backend


@pytest.fixture(scope="module")
def web(cluster: Cluster, backend: Backend, secure: Backend) -> Cluster:
    """Pod `web` has the backends' address, and service `web` leads there."""
    create_pod(cluster.server, "web")
    running = {"status": {"podIP": ADDRESS, "podIPs": [{"ip": ADDRESS}]}}
    merge(cluster, f"{NAMESPACE}/pods/web/status", running)
    ports = [{"name": "plain", "port": 80}, {"name": "secure", "port": 443}, {"name": "closed", "port": 81}]
    make(cluster, "services", {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": ports}})
    numbers = {"plain": backend.port, "secure": secure.port, "closed": free_port(ADDRESS)}
    slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
    endpoint = {"addresses": [ADDRESS], "targetRef": {"kind": "Pod", "namespace": "default", "name": "web"}}
    body = {
        "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": [endpoint],
        "ports": [{"name": name, "port": number} for name, number in numbers.items()],
    }
    code, answer = cluster.server.request("POST", slices, body)
    assert code == 201, answer
    return cluster


def make(cluster: Cluster, resource: str, body: dict[str, Any]) -> None:
    code, answer = cluster.server.request("POST", f"{NAMESPACE}/{resource}", {"apiVersion": "v1"} | body)
    assert code == 201, answer


def merge(cluster: Cluster, path: str, patch: dict[str, Any]) -> None:
    code, answer = cluster.server.request("PATCH", path, patch, Content_Type="application/merge-patch+json")
    assert code == 200, answer


def connection(cluster: Cluster) -> http.client.HTTPSConnection:
    host, _, port = cluster.server.url.removeprefix("https://").partition(":")
    return http.client.HTTPSConnection(host, int(port), context=cluster.server.admin_tls(), timeout=5)


def ask(
    cluster: Cluster, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    one = connection(cluster)
    try:
        one.request(method, path, body, headers or {})
        answer = one.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        one.close()


def pod_path(port: int, rest: str = "") -> str:
    return f"{NAMESPACE}/pods/web:{port}/proxy/{rest}"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method_goes_through(web: Cluster, backend: Backend, method: str) -> None:
    body = b"some body" if method != "OPTIONS" else None
    status, headers, answer = ask(web, method, pod_path(backend.port, "echo/a%20b/?x=1&y=a%2Fb"), body)
    told = json.loads(answer)
    assert (status, told["method"], told["path"]) == (200, method, "/echo/a%20b/?x=1&y=a%2Fb")
    assert told["body"] == (body or b"").decode()
    assert headers["X-Own"] == "yes" and "Access-Control-Allow-Origin" not in headers


def test_head_tells_the_length_of_what_does_not_come(web: Cluster, backend: Backend) -> None:
    status, headers, body = ask(web, "HEAD", pod_path(backend.port, "status?code=200"))
    assert (status, headers["Content-Length"], headers["Content-Type"], body) == (200, "7", "text/plain", b"")


def test_the_backend_learns_who_asks_but_gets_no_credentials(web: Cluster, backend: Backend) -> None:
    sent = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Uri": "/made/up", "X-Remote-User": "root", "Cookie": "a=b"}
    sent["X-Apiserver-Internal-Client"] = "203.0.113.9"
    _, _, answer = ask(web, "GET", pod_path(backend.port, "echo/"), headers=sent)
    headers = json.loads(answer)["headers"]
    assert headers["x-forwarded-for"] == "198.51.100.7, 127.0.0.1"
    assert headers["x-forwarded-uri"] == pod_path(backend.port, "echo/")
    assert headers["cookie"] == "a=b" and headers["host"] == web.server.url.removeprefix("https://")
    assert not {name for name in headers if name.startswith(("x-remote", "x-apiserver", "authorization"))}


def test_a_token_never_reaches_the_backend(web: Cluster, backend: Backend) -> None:
    account = f"{NAMESPACE}/serviceaccounts/default/token"
    token = json.loads(web.server.request("POST", account, {"spec": {}})[1])["status"]["token"]
    rules = {"kind": "ClusterRoleBinding", "metadata": {"name": "proxying"}}
    rules["roleRef"] = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    rules["subjects"] = [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}]
    web.server.request("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", rules)
    host, _, port = web.server.url.removeprefix("https://").partition(":")
    anonymous = ssl.create_default_context(cafile=str(web.server.data_dir / "pki" / "ca.crt"))
    one = http.client.HTTPSConnection(host, int(port), context=anonymous, timeout=5)

    def answered() -> Any:
        one.request("GET", pod_path(backend.port, "echo"), headers={"Authorization": f"Bearer {token}"})
        answer = one.getresponse()
        body = answer.read()
        return answer.status == 200 and body

    assert token not in wait_for(answered).decode()
    one.close()


def test_the_root_has_a_slash(web: Cluster, backend: Backend) -> None:
    path = pod_path(backend.port).rstrip("/")
    for method in ("GET", "HEAD"):
        status, headers, _ = ask(web, method, f"{path}?a=b")
        assert (status, headers["Location"]) == (301, f"{path}/?a=b")
    status, _, answer = ask(web, "POST", path, b"x")
    assert (status, json.loads(answer)["path"]) == (200, "/")


def test_what_the_backend_refuses_is_passed_on(web: Cluster, backend: Backend) -> None:
    status, headers, body = ask(web, "GET", pod_path(backend.port, "status?code=418"))
    assert (status, headers["Content-Type"], body) == (418, "text/plain", b"told so")


@pytest.mark.parametrize(
    ("to", "location"),
    [
        ("/b/?q=1", "{prefix}/b/?q=1"),
        ("b", "b"),
        ("https://elsewhere/b", "https://elsewhere/b"),
        ("http://{backend}/b", "{prefix}/b"),
        ("https://{server}/b", "https://{server}{prefix}/b"),
        ("{prefix}/b", "{prefix}/b"),
    ],
)
def test_redirects_lead_back_through_the_proxy(web: Cluster, backend: Backend, to: str, location: str) -> None:
    names = {"prefix": pod_path(backend.port).rstrip("/"), "backend": f"{ADDRESS}:{backend.port}"}
    names["server"] = web.server.url.removeprefix("https://")
    status, headers, _ = ask(web, "GET", pod_path(backend.port, f"redirect?to={quote(to.format(**names), safe='')}"))
    assert (status, headers["Location"]) == (302, location.format(**names))


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_links_of_pages_lead_back_through_the_proxy(web: Cluster, backend: Backend, encoding: str) -> None:
    status, headers, body = ask(web, "GET", pod_path(backend.port, f"page?{encoding}=1"))
    if encoding:
        assert headers["Content-Encoding"] == "gzip"
        body = gzip.decompress(body)
    prefix, host = pod_path(backend.port).rstrip("/"), web.server.url.removeprefix("https://")
    text = body.decode()
    for link in (
        f'href="{prefix}/style.css"',
        f'src="{prefix}/s.js"',
        f'HREF="{prefix}/a/b/?q=1&amp;r=2#f"',
        'href="c"',
        'href="http://elsewhere/d"',
        f'src="http://{host}{prefix}/e.png"',
        f'action="{prefix}/post"',
        '<!-- <a href="/no"> -->',
        "var a = '<a href=\"/no\">';",
        '<title><a href="/t"></title>',
    ):
        assert link in text
    assert status == 200 and text.endswith("1 < 2</body></html>")


def test_bodies_of_any_size_go_in(web: Cluster, backend: Backend) -> None:
    size = 24 * MEGA
    data = bytes(range(256)) * (size // 256)
    status, _, answer = ask(web, "PUT", pod_path(backend.port, "digest"), data)
    assert (status, json.loads(answer)) == (200, {"size": size, "sha256": hashlib.sha256(data).hexdigest()})


def test_chunked_bodies_of_any_size_go_in(web: Cluster, backend: Backend) -> None:
    def pieces() -> Iterator[bytes]:
        for number in range(160):
            yield bytes([number]) * 50_000

    whole = b"".join(pieces())
    one = connection(web)
    one.request("POST", pod_path(backend.port, "digest"), pieces(), encode_chunked=True)
    assert json.loads(one.getresponse().read()) == {"size": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    one.request("POST", pod_path(backend.port, "echo"), b"and the connection goes on")
    assert json.loads(one.getresponse().read())["body"] == "and the connection goes on"
    one.close()


def test_a_client_is_held_back_while_its_body_is_not_taken(web: Cluster, backend: Backend) -> None:
    backend.go_on.clear()
    size = 64 * MEGA
    one = connection(web)
    one.putrequest("POST", pod_path(backend.port, "digest?wait=1"))
    one.putheader("Content-Length", str(size))
    one.endheaders()
    assert one.sock is not None
    one.sock.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < size:
            sent += one.sock.send(b"z" * MEGA)
    assert sent < 32 * MEGA
    one.close()
    backend.go_on.set()


def test_a_backend_is_held_back_while_its_answer_is_not_taken(web: Cluster, backend: Backend) -> None:
    size, before = 64 * MEGA, backend.taken[0]
    one = connection(web)
    one.request("GET", pod_path(backend.port, f"much?size={size}"))
    answer = one.getresponse()
    time.sleep(1)
    assert backend.taken[0] - before < 32 * MEGA
    read = 0
    while piece := answer.read(MEGA):
        read += len(piece)
    assert read == size
    one.close()


def test_a_refusal_comes_before_the_body_has_gone(web: Cluster, backend: Backend) -> None:
    one = connection(web)
    one.putrequest("POST", pod_path(backend.port, "refuse"))
    one.putheader("Content-Length", str(64 * MEGA))
    one.endheaders()
    one.send(b"the first bytes")
    answer = one.getresponse()
    assert (answer.status, answer.read(), answer.headers["Connection"]) == (413, b"too much", "close")
    one.close()


def test_a_client_that_asks_first_is_told_to_go_on(web: Cluster, backend: Backend) -> None:
    one = connection(web)
    one.putrequest("POST", pod_path(backend.port, "echo"))
    one.putheader("Content-Length", "5")
    one.putheader("Expect", "100-continue")
    one.endheaders()
    assert one.sock is not None
    assert one.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    one.send(b"hello")
    assert json.loads(one.getresponse().read())["body"] == "hello"
    one.close()


def test_who_may_not_proxy_is_refused_before_the_body(web: Cluster, backend: Backend) -> None:
    one = connection(web)
    one.putrequest("POST", pod_path(backend.port, "echo"))
    one.putheader("Content-Length", str(64 * MEGA))
    one.putheader("Impersonate-User", "nobody")
    one.endheaders()
    answer = one.getresponse()
    assert (answer.status, json.loads(answer.read())["reason"]) == (403, "Forbidden")
    one.close()


@pytest.mark.seed("S66")
def test_tls_of_backends_is_not_verified(web: Cluster, secure: Backend) -> None:
    for path in (f"pods/https:web:{secure.port}", "services/https:web:secure", "services/https:web:443"):
        status, _, answer = ask(web, "GET", f"{NAMESPACE}/{path}/proxy/echo")
        assert (status, json.loads(answer)["path"]) == (200, "/echo"), path


@pytest.mark.parametrize("port", [":plain", ":80", "http:web:plain"])
def test_a_service_is_reached_by_the_name_or_number_of_its_port(web: Cluster, port: str) -> None:
    name = port if "web" in port else f"web{port}"
    status, _, answer = ask(web, "GET", f"{NAMESPACE}/services/{name}/proxy/echo/x")
    assert (status, json.loads(answer)["path"]) == (200, "/echo/x")


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("services/web:99", 503, 'no service port 99 found for service "web"'),
        ("services/web:nothing", 503, 'no endpoints available for service "web:nothing"'),
        ("services/web", 503, 'no endpoints available for service "web"'),
        ("services/absent", 404, 'services "absent" not found'),
        ("services/ftp:web:80", 400, 'invalid service request "ftp:web:80"'),
        ("services/web:closed", 503, "error trying to reach service: dial tcp {address}:{closed}: connect: connection refused"),
        ("pods/absent", 404, 'pods "absent" not found'),
        ("pods/p", 400, "address not allowed"),
        ("pods/a:b:c:d", 400, 'invalid pod request "a:b:c:d"'),
        ("pods/web:{closed}", 503, "error trying to reach service: dial tcp {address}:{closed}: connect: connection refused"),
    ],
)  # fmt: skip
def test_what_cannot_be_reached(web: Cluster, path: str, code: int, message: str) -> None:
    slices = json.loads(
        web.server.request("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-1")[1]
    )
    closed = next(one["port"] for one in slices["ports"] if one["name"] == "closed")
    names = {"closed": closed, "address": ADDRESS}
    status, _, answer = ask(web, "GET", f"{NAMESPACE}/{path.format(**names)}/proxy/x")
    assert (status, json.loads(answer)["message"]) == (code, message.format(**names))


def test_a_service_of_endpoints_written_by_hand(web: Cluster, backend: Backend) -> None:
    ports = [{"port": 80}]
    make(web, "services", {"kind": "Service", "metadata": {"name": "by-hand"}, "spec": {"ports": ports}})
    reference = {"kind": "Pod", "namespace": "default", "name": "web"}
    subsets = [{"addresses": [{"ip": ADDRESS, "targetRef": reference}], "ports": [{"port": backend.port}]}]
    make(web, "endpoints", {"kind": "Endpoints", "metadata": {"name": "by-hand"}, "subsets": subsets})
    status, _, answer = ask(web, "GET", f"{NAMESPACE}/services/by-hand/proxy/echo")
    assert (status, json.loads(answer)["path"]) == (200, "/echo")


def test_addresses_that_are_no_pods_are_not_reached(web: Cluster, backend: Backend) -> None:
    make(web, "services", {"kind": "Service", "metadata": {"name": "forged"}, "spec": {"ports": [{"port": 80}]}})
    subsets = [{"addresses": [{"ip": ADDRESS}], "ports": [{"port": backend.port}]}]
    make(web, "endpoints", {"kind": "Endpoints", "metadata": {"name": "forged"}, "subsets": subsets})
    status, _, answer = ask(web, "GET", f"{NAMESPACE}/services/forged/proxy/echo")
    assert (status, json.loads(answer)["message"]) == (503, 'no endpoints available for service "forged"')


def test_an_answer_that_is_no_http(web: Cluster, backend: Backend) -> None:
    status, _, answer = ask(web, "GET", pod_path(backend.port, "broken"))
    told = json.loads(answer)
    assert (status, told["reason"]) == (503, "ServiceUnavailable")
    assert told["message"].startswith("error trying to reach service: malformed HTTP response")


def test_websockets_go_through(web: Cluster, backend: Backend) -> None:
    one = connection(web)
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    one.request("GET", pod_path(backend.port, "shout"), headers=headers)
    assert one.sock is not None
    head = b""
    while b"\r\n\r\n" not in head:
        head += one.sock.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ") and b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in head
    for word in (b"first", b"second" * 50_000):
        one.sock.sendall(word)
        came = b""
        while len(came) < len(word):
            came += one.sock.recv(MEGA)
        assert came == word.upper()
    one.close()


@pytest.mark.parametrize("identifier", ["n", "n:{port}", "https:n:{port}"])
def test_a_nodes_kubelet_is_reached_by_its_port(cluster: Cluster, identifier: str) -> None:
    path = f"/api/v1/nodes/{identifier.format(port=cluster.kubelet.port)}/proxy/stats/summary?a=b"
    status, _, answer = ask(cluster, "POST", path, b"x")
    assert (status, json.loads(answer)) == (200, {"method": "POST", "path": "/stats/summary?a=b", "body": "x"})
    assert cluster.kubelet.clients[-1] == "kube-apiserver-kubelet-client"


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        ("nodes/absent", 404, 'nodes "absent" not found'),
        ("nodes/a:b:c:d", 400, 'invalid node request "a:b:c:d"'),
        ("nodes/bare", 500, "no preferred addresses found; known addresses: []"),
        ("nodes/inward", 400, "address not allowed"),
    ],
)
def test_nodes_that_cannot_be_reached(cluster: Cluster, path: str, code: int, message: str) -> None:
    for name, addresses in (("bare", []), ("inward", [{"type": "InternalIP", "address": "127.0.0.1"}])):
        node = {"metadata": {"name": name}, "status": {"addresses": addresses}}
        assert cluster.server.request("POST", "/api/v1/nodes", node)[0] in (201, 409)
    status, _, answer = ask(cluster, "GET", f"/api/v1/{path}/proxy/x")
    assert (status, json.loads(answer)["message"]) == (code, message)


def begun(web: Cluster, backend: Backend, *lines: str) -> ssl.SSLSocket:
    """A connection on which an upload's head has gone."""
    one = connection(web)
    one.putrequest("POST", pod_path(backend.port, "digest"))
    for line in lines:
        name, _, value = line.partition(": ")
        one.putheader(name, value)
    one.endheaders()
    assert isinstance(one.sock, ssl.SSLSocket)
    return one.sock


@pytest.mark.parametrize("broken", [b"5\r\nhello\r\nzz\r\n", b"5\r\nhello world", b"-5\r\n", b"5\nhello\n0\n\n" * 2000])
def test_a_body_that_is_none_ends_the_connection(web: Cluster, backend: Backend, broken: bytes) -> None:
    one = begun(web, backend, "Transfer-Encoding: chunked")
    one.sendall(broken)
    answer = http.client.HTTPResponse(one)
    answer.begin()
    assert (answer.status, json.loads(answer.read())["reason"]) == (503, "ServiceUnavailable")
    assert answer.headers["Connection"] == "close"
    one.close()


def test_a_client_that_goes_away_takes_its_request_to_the_backend_with_it(web: Cluster, backend: Backend) -> None:
    broken, taken = backend.broken[0], backend.taken[0]
    one = begun(web, backend, f"Content-Length: {MEGA}")
    one.sendall(b"z" * 100_000)
    wait_for(lambda: backend.taken[0] > taken, 10, "the beginning of the body")
    one.close()
    wait_for(lambda: backend.broken[0] > broken, 10, "the end of the backend's connection")
    assert ask(web, "GET", pod_path(backend.port, "echo"))[0] == 200


def test_a_backend_that_goes_away_breaks_the_answer_off(web: Cluster, backend: Backend) -> None:
    one = connection(web)
    one.request("GET", pod_path(backend.port, "half"))
    with pytest.raises((http.client.IncompleteRead, OSError)):
        one.getresponse().read()
    one.close()
