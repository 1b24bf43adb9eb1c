"""Certificates of a running server: the loopback one, and files that are replaced on disk under load."""

import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiserver_supervisor.certificates import Pair, Pki, Subject
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.conftest import ADMIN_TOKEN, TOKENS
from tests.running import RunningServer, wait_for
from tests.serving.conftest import OpenServer, shown_certificate
from tests.storage.etcd_process import free_port
from tests.subresources.conftest import create_node, create_pod
from tests.subresources.kubelet import FakeKubelet

pytestmark = pytest.mark.e2e


class Material:
    """The certificate files of a server, and how they are made anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._number = 0
        self.serving = self.put("serving", self.pair("first", server=True))
        self.named = self.put("named", self.pair("named-first", server=True))
        self.clients = self.authority("clients-first")
        self.client_ca = folder / "client-ca.crt"
        self.client_ca.write_bytes(self.clients.certificate.read_bytes())
        self.proxies = self.authority("proxies-first")
        self.proxy_ca = folder / "proxy-ca.crt"
        self.proxy_ca.write_bytes(self.proxies.certificate.read_bytes())

    def pki(self) -> Pki:
        self._number += 1
        return Pki(self.folder / f"pki{self._number}")

    def authority(self, name: str) -> Pair:
        return self.pki().authority(name)

    def pair(self, name: str, *, authority: Pair | None = None, server: bool = False) -> Pair:
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = Subject(name, ("system:masters",), ("localhost", "127.0.0.1") if server else (), (usage,))
        pki = self.pki()
        return pki.leaf("leaf", authority or pki.authority("ca"), subject)

    def put(self, name: str, pair: Pair) -> Pair:
        """Replace the pair of files, one half after the other."""
        files = Pair(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        for new, old in ((pair.certificate, files.certificate), (pair.key, files.key)):
            temporary = old.with_suffix(".new")
            temporary.write_bytes(new.read_bytes())
            os.replace(temporary, old)
        return files


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return Material(tmp_path_factory.mktemp("material"))


@pytest.fixture(scope="module")
def renewing(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("renewing")
    tokens = folder / "tokens.csv"
    tokens.write_text(TOKENS)
    flags = (
        "--advertise-address=192.0.2.10",
        "--aggregator-workers=2",
        f"--token-auth-file={tokens}",
        f"--tls-cert-file={material.serving.certificate}",
        f"--tls-private-key-file={material.serving.key}",
        f"--tls-sni-cert-key={material.named.certificate},{material.named.key}:named.test",
        f"--client-ca-file={material.client_ca}",
        f"--requestheader-client-ca-file={material.proxy_ca}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
    )
    with RunningServer(folder, *flags) as server:
        yield server


def address(server: RunningServer) -> tuple[str, int]:
    host, _, port = server.url.removeprefix("https://").partition(":")
    return host, int(port)


def common_name(certificate: bytes) -> str:
    return x509.load_der_x509_certificate(certificate).subject.rfc4514_string().partition(",")[0]


class Clients:
    """Threads that each open one connection after the other, and what they saw."""

    def __init__(self, server: RunningServer, *, name: str = "localhost", threads: int = 4) -> None:
        self._server, self._name = server, name
        self.seen: list[str] = []
        self.failures: list[str] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        while not self._over.is_set():
            try:
                with (
                    socket.create_connection(address(self._server), timeout=20) as plain,
                    context.wrap_socket(plain, server_hostname=self._name) as connection,
                ):
                    self.seen.append(common_name(connection.getpeercert(binary_form=True) or b""))
                    token = f"Authorization: Bearer {ADMIN_TOKEN}\r\nConnection: close\r\n\r\n"
                    connection.sendall(f"GET /api/v1/namespaces/default HTTP/1.1\r\nHost: h\r\n{token}".encode())
                    answer = connection.recv(12)
                    if answer != b"HTTP/1.1 200":
                        self.failures.append(repr(answer))
            except OSError as error:
                self.failures.append(repr(error))


def test_replaced_under_load_new_connections_see_the_new_pair_and_none_fails(
    renewing: RunningServer, material: Material
) -> None:
    with Clients(renewing) as clients:
        wait_for(lambda: len(clients.seen) > 10, 20)
        for name in ("second", "third"):
            material.put("serving", material.pair(name, server=True))
            seen = len(clients.seen)
            wait_for(lambda seen=seen, name=name: set(clients.seen[-10:]) == {f"CN={name}"}, 20, f"{name} everywhere")
            assert len(clients.seen) > seen
    assert clients.failures == []
    assert set(clients.seen) <= {"CN=first", "CN=second", "CN=third"}


def test_a_bad_file_leaves_what_was_served_and_is_logged_once_a_worker(
    renewing: RunningServer, material: Material
) -> None:
    before = common_name(shown_certificate(renewing, "localhost"))
    log = renewing.run_dir / "logs" / "aggregator.log"
    bad = log.read_text().count("serving.key changed but cannot be used")
    kept = material.serving.key.read_bytes()
    material.serving.key.write_bytes(b"not a key")
    with Clients(renewing, threads=2) as clients:
        wait_for(lambda: log.read_text().count("serving.key changed but cannot be used") >= bad + 2, 20)
        # the other files are followed all the same
        material.put("named", material.pair("named-second", server=True))
        wait_for(lambda: common_name(shown_certificate(renewing, "named.test")) == "CN=named-second", 20)
    assert clients.failures == [] and set(clients.seen) == {before}
    assert log.read_text().count("serving.key changed but cannot be used") == bad + 2
    assert "not a key" not in log.read_text()
    material.serving.key.write_bytes(kept)


def test_a_pair_for_a_server_name_is_renewed_too(renewing: RunningServer, material: Material) -> None:
    with Clients(renewing, name="named.test", threads=2) as clients:
        wait_for(lambda: len(clients.seen) > 5, 20)
        material.put("named", material.pair("named-last", server=True))
        wait_for(lambda: set(clients.seen[-6:]) == {"CN=named-last"}, 20)
    assert clients.failures == []


def client_status(server: RunningServer, pair: Pair, token: str = "", **named: str) -> int:
    """What an administrator with that client certificate is answered; 0 if the connection is refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(pair.certificate, pair.key)
    connection = http.client.HTTPSConnection(*address(server), timeout=20, context=context)
    headers = {name.replace("_", "-"): value for name, value in named.items()}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", "/api/v1/namespaces", headers=headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_a_new_client_authority_counts_without_a_restart(renewing: RunningServer, material: Material) -> None:
    old = material.pair("old-admin", authority=material.clients)
    assert client_status(renewing, old) == 200
    fresh = material.authority("clients-second")
    new = material.pair("new-admin", authority=fresh)
    assert client_status(renewing, new) != 200
    both = material.clients.certificate.read_bytes() + fresh.certificate.read_bytes()
    with Clients(renewing, threads=2) as clients:
        material.client_ca.write_bytes(both)
        wait_for(lambda: [client_status(renewing, new) for _ in range(6)] == [200] * 6, 20)
        assert client_status(renewing, old) == 200
        material.client_ca.write_bytes(fresh.certificate.read_bytes())
        wait_for(lambda: 200 not in [client_status(renewing, old) for _ in range(6)], 20)
        wait_for(lambda: [client_status(renewing, new) for _ in range(6)] == [200] * 6, 20)
    assert clients.failures == []


def test_a_new_front_proxy_authority_counts_without_a_restart(renewing: RunningServer, material: Material) -> None:
    old = material.pair("old-proxy", authority=material.proxies)
    fresh = material.authority("proxies-second")
    new = material.pair("new-proxy", authority=fresh)

    def statuses(pair: Pair) -> set[int]:
        user = {"X_Remote_User": "jane", "X_Remote_Group": "system:masters"}
        return {client_status(renewing, pair, **user) for _ in range(6)}

    assert (statuses(old), statuses(new)) == ({200}, {401})
    material.proxy_ca.write_bytes(fresh.certificate.read_bytes())
    wait_for(lambda: statuses(new) == {200}, 20)
    wait_for(lambda: statuses(old) == {401}, 20)


@pytest.mark.seed("S17")
def test_a_client_certificate_of_an_unknown_authority_is_answered_and_a_token_beside_it_counts(
    renewing: RunningServer, material: Material
) -> None:
    stranger = material.pair("stranger")
    assert client_status(renewing, stranger) == 401
    assert client_status(renewing, stranger, token=ADMIN_TOKEN) == 200
    assert client_status(renewing, stranger, token="wrong") == 401


@pytest.mark.seed("S67")
def test_the_server_s_own_name_has_a_certificate_that_is_in_no_file_and_the_same_in_all_workers(
    opened: OpenServer,
) -> None:
    server = opened.server
    usual = shown_certificate(server, "localhost")
    shown = {shown_certificate(server, "apiserver-loopback-client") for _ in range(12)}
    server.command("restart", "aggregator")
    shown |= {shown_certificate(server, "apiserver-loopback-client") for _ in range(6)}
    assert len(shown) == 1 and usual not in shown
    certificate = x509.load_der_x509_certificate(shown.pop())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["apiserver-loopback-client"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.seed("S15")
def test_old_tls_is_refused_and_client_certificates_are_not_required(server: RunningServer) -> None:
    def version(highest: ssl.TLSVersion) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = highest
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            socket.create_connection(address(server), timeout=10) as plain,
            context.wrap_socket(plain) as connection,
        ):
            assert connection.selected_alpn_protocol() == "h2"
            return connection.version() or ""

    assert version(ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    assert version(ssl.TLSVersion.TLSv1_3) == "TLSv1.3"
    with pytest.raises(ssl.SSLError):
        version(ssl.TLSVersion.TLSv1_1)


@pytest.mark.skipif(hasattr(ssl.SSLContext, "set_groups"), reason="this Python can")
@pytest.mark.parametrize(("curves", "why"), [("23,24", "Python 3.15"), ("7", "the curves are 23, 24, 25, 29")])
def test_curves_that_cannot_be_chosen_are_refused_before_the_start(tmp_path: Path, curves: str, why: str) -> None:
    command = [sys.executable, "-m", "apiserver_supervisor.cli", "start", f"--tls-curve-preferences={curves}"]
    refused = subprocess.run([*command, f"--data-dir={tmp_path}/d"], capture_output=True, text=True, timeout=30)
    assert refused.returncode == 1 and "--tls-curve-preferences" in refused.stderr and why in refused.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.seed("S84")
def test_the_port_can_be_shared_when_both_say_so_and_only_then(tmp_path: Path) -> None:
    common = ("--advertise-address=192.0.2.10", "--bind-address=127.0.0.1")
    with RunningServer(tmp_path / "one", *common, "--permit-port-sharing") as one:
        port = address(one)[1]
        refused = subprocess.run(
            [
                *(sys.executable, "-m", "apiserver_supervisor.cli", "start", *common, f"--secure-port={port}"),
                *(f"--run-dir={tmp_path}/r", f"--data-dir={tmp_path}/d"),
            ],
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert refused.returncode == 1 and f"failed to listen on 127.0.0.1:{port}" in refused.stderr
        with RunningServer(tmp_path / "two", *common, "--permit-port-sharing", f"--secure-port={port}") as two:
            shown = {shown_certificate(two, "localhost") for _ in range(40)}
            assert len(shown) == 2  # of two servers, each with a certificate of its own


@pytest.mark.seed("S67")
def test_an_upgrade_in_place_keeps_all_doors_and_the_loopback_certificate(tmp_path: Path) -> None:
    port, debug = free_port(), tmp_path / "debug.sock"
    flags = ("--advertise-address=192.0.2.10", f"--insecure-port={port}", f"--debug-socket-path={debug}")
    with RunningServer(tmp_path, *flags) as server:
        opened = OpenServer(server, port, debug)
        loopback = shown_certificate(server, "apiserver-loopback-client")
        worker = server.processes("aggregator worker")
        over, statuses = threading.Event(), set()

        def look() -> None:
            while not over.is_set():
                statuses.add(opened.insecure("GET", "/healthz")[0])

        looking = threading.Thread(target=look)
        looking.start()
        try:
            server.command("reload")
            wait_for(lambda: server.processes("aggregator worker") not in ([], worker), 30)
            wait_for(lambda: server.status()["settled"], 30)
        finally:
            over.set()
            looking.join(20)
        assert statuses == {200}
        assert shown_certificate(server, "apiserver-loopback-client") == loopback
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(debug))
            client.sendall(b"GET /debug/pprof/ HTTP/1.0\r\n\r\n")
            assert client.recv(12) == b"HTTP/1.1 200"
        assert server.stop() == 0
        assert not debug.exists()


@pytest.mark.seed("S26", "S63")
def test_the_pair_that_kubelets_see_is_renewed_too(tmp_path: Path) -> None:
    material = Material(tmp_path)
    authority = material.authority("kubelets")
    client = material.put("kubelet-client", material.pair("first-client", authority=authority))
    serving = material.pair("kubelet", authority=authority, server=True)
    flags = (
        "--advertise-address=192.0.2.10",
        f"--kubelet-client-certificate={client.certificate}",
        f"--kubelet-client-key={client.key}",
        "--kubelet-preferred-address-types=InternalIP",
    )
    with (
        FakeKubelet(serving.certificate, serving.key, client_ca=authority.certificate) as kubelet,
        RunningServer(tmp_path, *flags) as server,
    ):
        create_node(server, "n", kubelet)
        create_pod(server, "p", "n")
        log = "/api/v1/namespaces/default/pods/p/log?container=a&tailLines=1"
        assert server.request("GET", log)[0] == 200 and kubelet.clients[-1] == "first-client"
        material.put("kubelet-client", material.pair("second-client", authority=authority))

        def renewed() -> bool:
            assert server.request("GET", log)[0] == 200
            return kubelet.clients[-1] == "second-client"

        wait_for(renewed, 20)
        client.key.write_bytes(b"broken")
        assert server.request("GET", log)[0] == 200 and kubelet.clients[-1] == "second-client"
