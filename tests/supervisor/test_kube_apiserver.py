"""The kube-apiserver command as its users see it: help, version, log, certificates, defaults and its end."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from apiserver_supervisor.options import FLAGS, GROUPS
from cryptography import x509

from tests.compatibility.files import Files
from tests.kube_apiserver import KubeApiserver, ask, run
from tests.storage.etcd_process import EtcdProcess, free_port

seed = pytest.mark.seed
ADDRESS = "192.0.2.10"
POD = {
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "c", "image": "i"}]},
}


class Installation:
    """An etcd, keys and an empty --cert-dir: what servers of these tests are started with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = Files(folder / "pki")
        self.files.token_keys("sa.key", "sa.pub")
        for authority in ("client-ca", "front-proxy-ca"):
            self.files.authority(authority)
        self.certificate = folder / "certs" / "apiserver.crt"
        self.etcd = EtcdProcess(folder)
        self.etcd.start()

    def arguments(self) -> list[str]:
        pki = self.files.folder
        return [
            f"--etcd-servers={self.etcd.url}",
            "--bind-address=127.0.0.1",
            f"--advertise-address={ADDRESS}",
            f"--cert-dir={self.certificate.parent}",
            f"--client-ca-file={pki}/client-ca.crt",
            f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
            "--requestheader-username-headers=X-Remote-User",
            "--service-account-issuer=https://issuer.example",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
        ]

    def admin(self) -> ssl.SSLContext:
        """The administrator, who does not know the throw-away authority of the serving certificate."""
        pair = self.files.pair("admin", "client-ca", "admin", "system:masters")
        context = ssl._create_unverified_context()
        context.load_cert_chain(pair, pair.with_suffix(".key"))
        return context


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    made = Installation(tmp_path_factory.mktemp("installation"))
    yield made
    made.etcd.kill()


class Served(KubeApiserver):
    """A server that is ready, and how its administrator asks it."""

    url: str
    admin: ssl.SSLContext

    def ask(self, path: str, method: str = "GET", body: object = None, **headers: str) -> tuple[int, dict]:
        status, answer = ask(self.url + path, method, body, context=self.admin, **headers)
        return status, json.loads(answer)


def served(installation: Installation, name: str, *more: str, port: int | None = None) -> Served:
    port = port or free_port()
    server = Served(installation.folder / name, *installation.arguments(), f"--secure_port={port}", *more)
    server.url, server.admin = f"https://127.0.0.1:{port}", installation.admin()
    return server


@pytest.fixture(scope="module")
def first(installation: Installation) -> Iterator[Served]:
    """A server with the default modes, on a fresh etcd and an empty --cert-dir."""
    with served(
        installation,
        "first",
        "--v=1",
        "--external-hostname=api.example",
        "--service-cluster-ip-range=10.3.0.0/29",
        "--kubernetes-service-node-port=30443",
        "--allow-privileged=true",
        "--default-not-ready-toleration-seconds=5",
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-log-path={installation.folder / 'audit.log'}",
        "--ssh-user=",
        "--cloud-provider=",
        "--repair-malformed-updates=true",
    ) as server:
        server.wait_until_answers(f"{server.url}/readyz", context=server.admin)
        yield server
        assert server.stop() == 0
        assert "Traceback" not in server.output


@seed("S7", "S11")
def test_help_is_sectioned_in_upstreams_order_and_goes_to_stdout() -> None:
    done = run("--help")
    assert done.returncode == 0 and not done.stderr
    assert "Usage:\n  kube-apiserver [flags]" in done.stdout
    assert done.stdout.startswith("The Kubernetes API server validates and configures data")
    headings = re.findall(r"(?m)^(.*) flags:$", done.stdout)
    assert headings == [group.name for group in GROUPS]
    modern = "Generic, Etcd, Secure serving, Auditing, Features, Authentication, Authorization, API enablement, Egress selector, Admission, Metrics, Logs, Traces, Misc, Global"
    dropped = ("Insecure serving", "Cloud provider", "Storage", "Supervisor")
    assert [heading for heading in headings if heading not in dropped] == modern.split(", ")


@seed("S8")
def test_the_version_needs_nothing_else() -> None:
    done = run("--version")
    assert done.returncode == 0 and re.fullmatch(r"Kubernetes v1\.36\.\d+\n", done.stdout)
    raw = run("--version=raw").stdout
    assert raw.startswith("version.Info{") and 'GitVersion:"v1.36.' in raw and 'Major:"1"' in raw


@pytest.mark.e2e
@seed("S3")
def test_underscores_in_a_flags_name_read_as_dashes(first: Served) -> None:
    assert any(argument.startswith("--secure_port=") for argument in first.arguments)
    assert ask(first.url + "/livez", context=first.admin)[0] == 200


@pytest.mark.e2e
@seed("S4", "S9", "S25", "S64")
def test_every_flag_is_logged_once_as_it_was_typed_then_the_version(first: Served) -> None:
    lines = [line for line in first.output.splitlines() if "FLAG: --" in line]
    names = [re.search(r'FLAG: --([a-z0-9-]+)="', line)[1] for line in lines]  # type: ignore[index]
    assert names == sorted(FLAGS)
    values = dict(re.search(r'FLAG: --([a-z0-9-]+)="(.*)"', line).groups() for line in lines)  # type: ignore[union-attr]
    assert values["external-hostname"] == "api.example" and values["v"] == "1"
    assert values["tls-cert-file"] == "", "before the defaults are derived"
    defaults = {
        "event-ttl": "1h0m0s",
        "apiserver-count": "1",
        "endpoint-reconciler-type": "lease",
        "enable-logs-handler": "false",
        "enable-aggregator-routing": "false",
        "authorization-mode": "[AlwaysAllow]",
    }
    assert {name: values[name] for name in defaults} == defaults
    after = first.output.splitlines()[first.output.splitlines().index(lines[-1]) + 1]
    assert "version: apiserver-supervisor" in after and "Kubernetes 1.36" in after


@pytest.mark.e2e
@seed("S22", "S54", "S55")
def test_deprecated_flags_work_and_are_warned_of_once(first: Served) -> None:
    for flag in ("ssh-user", "cloud-provider", "repair-malformed-updates"):
        assert first.output.count(f"Flag --{flag} has been deprecated, ") == 1


@pytest.mark.e2e
@seed("S19")
def test_a_log_path_without_a_policy_records_nothing(first: Served, installation: Installation) -> None:
    first.ask("/api/v1/namespaces")
    log = installation.folder / "audit.log"
    assert not log.exists() or not log.read_bytes()


@pytest.mark.e2e
@seed("S21")
def test_admission_is_on_by_default(first: Served) -> None:
    status, refused = first.ask("/api/v1/namespaces/none/pods", "POST", POD)
    assert (status, refused["message"]) == (404, 'namespaces "none" not found')
    assert first.ask("/api/v1/namespaces/kube-system", "DELETE")[0] == 403
    pod = dict(POD, metadata={"name": "tolerating"})
    assert first.ask("/api/v1/namespaces/default/serviceaccounts", "POST", {"metadata": {"name": "default"}})[0] in (
        201,
        409,
    )
    status, made = first.ask("/api/v1/namespaces/default/pods", "POST", pod)
    assert status == 201, made
    seconds = {each["key"]: each["tolerationSeconds"] for each in made["spec"]["tolerations"]}
    assert seconds == {"node.kubernetes.io/not-ready": 5, "node.kubernetes.io/unreachable": 300}


@pytest.mark.e2e
@seed("S31", "S44", "S89")
def test_the_kubernetes_service_has_the_first_address_and_the_node_port(first: Served) -> None:
    _, service = first.ask("/api/v1/namespaces/default/services/kubernetes")
    assert service["spec"]["clusterIP"] == "10.3.0.1"
    assert service["spec"]["type"] == "NodePort" and service["spec"]["ports"][0]["nodePort"] == 30443


@pytest.mark.e2e
@seed("S33")
def test_discovery_tells_the_external_host_and_insiders_the_service_ip(first: Served) -> None:
    port = first.url.rpartition(":")[2]
    everywhere = {"clientCIDR": "0.0.0.0/0", "serverAddress": f"api.example:{port}"}
    assert first.ask("/api")[1]["serverAddressByClientCIDRs"] == [everywhere]
    inside = first.ask("/api", X_Forwarded_For="10.3.0.5")[1]["serverAddressByClientCIDRs"]
    assert inside == [everywhere, {"clientCIDR": "10.3.0.0/29", "serverAddress": "10.3.0.1:443"}]


@pytest.mark.e2e
@seed("S34")
def test_where_everything_is_allowed_nobody_is_anonymous(first: Served) -> None:
    assert ask(first.url + "/api")[0] == 401


@pytest.mark.e2e
@seed("S61")
def test_the_front_proxys_authority_is_published(first: Served, installation: Installation) -> None:
    _, config = first.ask("/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")
    authority = installation.files.path("front-proxy-ca.crt").read_text()
    assert config["data"]["requestheader-client-ca-file"].strip() == authority.strip()
    assert config["data"]["requestheader-username-headers"] == '["X-Remote-User"]'


@pytest.mark.e2e
@seed("S56")
def test_privileged_pods_are_allowed_when_the_flag_is_on(first: Served) -> None:
    assert first.ask("/api/v1/namespaces/default/pods", "POST", privileged("allowed"))[0] == 201


def privileged(name: str) -> dict:
    container = {"name": "c", "image": "i", "securityContext": {"privileged": True}}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}


@pytest.mark.e2e
@seed("S84")
def test_a_port_that_is_taken_ends_the_second_server(first: Served, installation: Installation) -> None:
    port = first.url.rpartition(":")[2]
    for more in ([f"--run-dir={installation.folder / 'second'}"], []):  # also where its folder would be the first one's
        done = run(*installation.arguments(), f"--secure-port={port}", *more, TMPDIR="/tmp")
        assert done.returncode == 1
        assert f"failed to listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert first.ask("/api/v1/namespaces/default/configmaps")[0] == 200, "the first one goes on"


@pytest.mark.e2e
@seed("S32")
def test_the_serving_certificate_is_made_as_upstream_makes_it(first: Served, installation: Installation) -> None:
    leaf, authority = x509.load_pem_x509_certificates(installation.certificate.read_bytes())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = names.get_values_for_type(x509.DNSName)
    assert sorted(dns) == ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    assert sorted(map(str, names.get_values_for_type(x509.IPAddress))) == ["10.3.0.1", "127.0.0.1", ADDRESS]
    assert re.fullmatch(rf"CN={ADDRESS}@\d+", leaf.subject.rfc4514_string())
    assert leaf.public_key().key_size == 2048  # type: ignore[union-attr]
    assert (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days == 365
    leaf.verify_directly_issued_by(authority)
    assert installation.certificate.with_suffix(".key").stat().st_mode & 0o777 == 0o600
    host, _, port = first.url.removeprefix("https://").partition(":")
    assert x509.load_pem_x509_certificate(ssl.get_server_certificate((host, int(port))).encode()) == leaf


@pytest.mark.e2e
@seed("S5", "S32", "S56", "S34", "S9")
def test_a_second_server_keeps_the_certificate_and_logs_to_its_folder(
    first: Served, installation: Installation, tmp_path: Path
) -> None:
    before = installation.certificate.read_bytes()
    logs = tmp_path / "logs"
    with served(
        installation,
        "second-server",
        "--authorization-mode=RBAC",
        f"--log-dir={logs}",
        "--disable-admission-plugins=ServiceAccount",
    ) as server:
        server.wait_until_answers(f"{server.url}/readyz")  # with RBAC health is for everybody
        assert ask(server.url + "/api")[0] == 403
        assert installation.certificate.read_bytes() == before
        status, refused = server.ask("/api/v1/namespaces/default/pods", "POST", privileged("refused"))
        assert status == 422
        (cause,) = refused["details"]["causes"]
        assert cause["field"] == "spec.containers[0].securityContext.privileged"
        assert server.stop() == 0
    lines = (logs / "master.log").read_text().splitlines()
    assert lines[-1].endswith("stopped"), "the last line is there, and whole"
    assert not any("FLAG:" in line for line in lines), "not without --v=1"
    assert {"master.log", "core.log", "aggregator.log", "extensions.log"} <= {log.name for log in logs.iterdir()}
