"""What kube-apiserver refuses, it refuses before anything is started or written: status 1, and the flag is named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from apiserver_supervisor import starting
from apiserver_supervisor.options.profile import KUBE_APISERVER

from tests.compatibility.files import Files
from tests.kube_apiserver import run

seed = pytest.mark.seed
Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Refused:
    """Runs the command in this process, which saves a new interpreter each time, and returns what it prints on stderr."""

    def started(*_: object) -> int:
        raise AssertionError("the options were not refused")

    monkeypatch.setattr(starting, "_serve", started)

    def call(*arguments: str) -> str:
        assert starting.command(arguments, KUBE_APISERVER) == 1
        printed = capsys.readouterr()
        assert not printed.out
        return printed.err

    return call


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Files:
    files = Files(tmp_path_factory.mktemp("refused"))
    files.token_keys("sa.key", "sa.pub")
    files.authority("ca")
    files.pair("serving", "ca", "localhost", serving=True)
    files.pair("other", "ca", "localhost", serving=True)
    files.path("junk").write_text("no PEM\n")
    return files


def base(pki: Files) -> list[str]:
    """Arguments that alone would start a server."""
    return [
        "--etcd-servers=http://127.0.0.1:1",
        "--advertise-address=192.0.2.10",
        "--service-account-issuer=https://issuer.example",
        f"--service-account-key-file={pki.folder}/sa.pub",
        f"--service-account-signing-key-file={pki.folder}/sa.key",
        f"--cert-dir={pki.folder}/none",
    ]


# row, arguments, what the message says beside the flags in the arguments
REFUSED = [
    ("S12", "--no-such-flag", "unknown flag: --no-such-flag"),
    ("S12", "word", '"kube-apiserver" does not take any arguments, got ["word"]'),
    ("S38", "--watch-cache-sizes=pods#x", "--watch-cache-sizes"),
    ("S41", "--apiserver-count=0", "should be a positive number, but value '0' provided"),
    ("S41", "--apiserver-count=-1", "--apiserver-count"),
    ("S42", "--storage-backend=etcd2", "--storage-backend"),
    ("S42", "--etcd-servers-overrides=events#http://x", "--etcd-servers-overrides invalid, must be of format"),
    ("S42", "--storage-media-type=text/plain", "--storage-media-type"),
    ("S42", "--encryption-provider-config-automatic-reload", "--encryption-provider-config"),
    ("S43", "--service-cluster-ip-range=10.0.0.0/24,10.1.0.0/24", "must be of different IP family"),
    ("S43", "--service-cluster-ip-range=10.0.0.0/24,fd00::/108,fd01::/108", "more than two entries"),
    ("S43", "--service-cluster-ip-range=fd00::/108", "--advertise-address"),
    ("S44", "--kubernetes-service-node-port=70000", "must be between 0 and 65535, inclusive"),
    ("S44", "--kubernetes-service-node-port=-1", "--kubernetes-service-node-port"),
    ("S44", "--kubernetes-service-node-port=20000", "doesn't contain 20000"),
    ("S45", "--secure-port=0", "must be between 1 and 65535, inclusive. It cannot be turned off with 0"),
    ("S45", "--secure-port=65536", "--secure-port 65536"),
    ("S46", "--oidc-issuer-url=https://x", "--oidc-client-id"),
    ("S46", "--service-account-issuer=", "--service-account-issuer"),
    ("S46", "--service-account-issuer=https://issuer.example", "is already specified"),
    ("S46", "--service-account-jwks-uri=http://x", "--service-account-jwks-uri requires https"),
    ("S46", "--requestheader-username-headers=,X", "--requestheader-username-headers"),
    (
        "S46",
        "--client-ca-file={pki}/ca.crt --requestheader-client-ca-file={pki}/ca.crt",
        "--requestheader-allowed-names",
    ),
    ("S47", "--authorization-mode=RBAC,RBAC", "has mode specified more than once"),
    ("S47", "--authorization-mode=ABAC", "--authorization-policy-file"),
    ("S47", "--authorization-mode=Webhook", "--authorization-webhook-config-file"),
    ("S47", "--authorization-mode=RBAC --authorization-policy-file={pki}/junk", "without mode ABAC"),
    ("S47", "--authorization-mode=", "at least one --authorization-mode must be passed"),
    ("S47", "--authorization-mode=Nope", '"Nope" is not a valid mode'),
    ("S48", "--audit-log-path=- --audit-log-mode=x", "--audit-log-mode"),
    ("S48", "--audit-log-path=- --audit-log-format=x", "--audit-log-format"),
    ("S48", "--audit-log-path=- --audit-log-maxage=-1", "--audit-log-maxage"),
    ("S48", "--audit-log-path=- --audit-log-version=audit.k8s.io/v1beta1", "--audit-log-version"),
    ("S48", "--audit-log-path=- --audit-log-truncate-max-event-size=0", "--audit-log-truncate-max-event-size"),
    (
        "S48",
        "--audit-log-path=- --audit-log-mode=batch --audit-log-batch-buffer-size=0",
        "--audit-log-batch-buffer-size",
    ),
    ("S48", "--audit-policy-file={pki}/junk", "--audit-policy-file"),
    ("S49", "--enable-admission-plugins=Nope", 'enable-admission-plugins plugin "Nope" is unknown'),
    ("S49", "--enable-admission-plugins=Priority --disable-admission-plugins=Priority", "Priority in both"),
    ("S49", "--admission-control=Priority --enable-admission-plugins=Priority", "mutually exclusive"),
    ("S50", "--insecure-port=65336", "must be between 0 and 65335"),
    ("S51", "--runtime-config=api/all=false", "--runtime-config"),
    ("S51", "--runtime-config=foo.example/v1=true", "--runtime-config"),
    ("S51", "--runtime-config=batch/v9=true", "--runtime-config"),
    ("S52a", "--max-requests-inflight=-1", "--max-requests-inflight can not be negative value"),
    ("S52a", "--request-timeout=-1s", "--request-timeout can not be negative value"),
    ("S52a", "--goaway-chance=0.5", "--goaway-chance"),
    ("S35", "--tls-cert-file={pki}/serving.crt", "--tls-private-key-file must be specified together"),
    ("S35", "--service-account-key-file={pki}/junk", "data does not contain any valid RSA or ECDSA public keys"),
    ("S31", "--service-cluster-ip-range=10.0.0.0/30", "must be at least 8 IP addresses"),
    ("S61", "--proxy-client-cert-file={pki}/serving.crt", "--proxy-client-key-file must be specified together"),
    (
        "S61",
        "--proxy-client-cert-file={pki}/serving.crt --proxy-client-key-file={pki}/other.key",
        "the private key does not match",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(arguments, message, marks=seed(row), id=f"{row} {arguments}".replace("{pki}", ""))
        for row, arguments, message in REFUSED
    ],
)
def test_it_is_refused_with_a_message_that_names_the_flag(
    arguments: str, message: str, pki: Files, refused: Refused
) -> None:
    told = refused(*base(pki), *arguments.format(pki=pki.folder).split(" "))
    assert told.startswith("error: ") and message in told
    assert any(argument.partition("=")[0] in told for argument in arguments.split(" "))
    assert not (pki.folder / "none").exists(), "nothing is written"


@seed("S10")
def test_all_faults_are_told_together_but_completing_comes_first(refused: Refused) -> None:
    told = refused("--etcd-servers=", "--secure-port=0", "--apiserver-count=0", "--advertise-address=192.0.2.10")
    assert told.startswith("error: [")
    assert all(flag in told for flag in ("--etcd-servers", "--secure-port", "--apiserver-count"))
    told = refused("--service-cluster-ip-range=10.0.0.0/30", "--apiserver-count=0")
    assert "--service-cluster-ip-range" in told and "--apiserver-count" not in told


@seed("S6")
def test_without_etcd_servers_the_flag_is_named() -> None:
    done = run()
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "--etcd-servers" in done.stderr


@seed("S35", "S46", "S52")
def test_the_three_service_account_flags_are_required(pki: Files, refused: Refused) -> None:
    told = refused("--etcd-servers=http://127.0.0.1:1", "--advertise-address=192.0.2.10")
    for flag in ("--service-account-issuer", "--service-account-key-file", "--service-account-signing-key-file"):
        assert flag in told
    alone = [argument for argument in base(pki) if "issuer" not in argument and "key-file=" not in argument]
    told = refused(*alone, f"--service-account-signing-key-file={pki.folder}/sa.key")
    assert "--service-account-issuer" in told


@pytest.mark.parametrize("flag", ["--client-ca-file", "--kubelet-certificate-authority", "--oidc-ca-file"])
@pytest.mark.parametrize("fault", ["missing", "junk", "expired"])
def test_a_bad_ca_file_is_named_with_its_flag(
    flag: str, fault: str, pki: Files, tmp_path: Path, refused: Refused
) -> None:
    path = expired(tmp_path) if fault == "expired" else pki.folder / fault
    told = refused(*base(pki), f"{flag}={path}")
    wanted = {"missing": "No such file", "junk": "holds no certificate", "expired": "the certificate expired at 20"}
    assert f"{flag}: {path}: {wanted[fault]}" in told


@seed("S32")
@pytest.mark.parametrize("fault", ["missing", "junk", "expired", "encrypted", "mismatched"])
def test_a_serving_pair_that_cannot_be_used_is_named_with_its_flag(
    fault: str, pki: Files, tmp_path: Path, refused: Refused
) -> None:
    certificate, key = pki.folder / "serving.crt", pki.folder / "serving.key"
    if fault == "expired":
        certificate = expired(tmp_path)
        key = certificate.with_suffix(".key")
    elif fault in ("missing", "junk"):
        certificate = pki.folder / fault
    elif fault == "mismatched":
        key = pki.folder / "other.key"
    else:
        key = encrypted(key, tmp_path)
    told = refused(*base(pki), f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}")
    wanted = {
        "missing": f"--tls-cert-file: {certificate}: No such file",
        "junk": f"--tls-cert-file: {certificate}: holds no certificate",
        "expired": f"--tls-cert-file: {certificate}: the certificate expired",
        "encrypted": f"--tls-private-key-file: {key}: the key is encrypted",
        "mismatched": f"--tls-private-key-file: {key}: the private key does not match",
    }
    assert wanted[fault] in told


@seed("S32")
def test_half_a_pair_in_the_cert_dir_is_never_completed(pki: Files, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "apiserver.crt").write_bytes((pki.folder / "serving.crt").read_bytes())
    told = refused(*base(pki)[:-1], f"--cert-dir={tmp_path}")
    assert "--cert-dir" in told and "certificate and key must be supplied as a pair" in told
    assert os.listdir(tmp_path) == ["apiserver.crt"]


@seed("S29")
@pytest.mark.skipif(os.getuid() != 0, reason="needs to make a network namespace")
def test_without_a_route_the_advertise_address_must_be_given(pki: Files) -> None:
    import subprocess

    from tests.kube_apiserver import BINARY

    arguments = [argument for argument in base(pki) if "advertise" not in argument]
    done = subprocess.run(["unshare", "--net", BINARY, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "Unable to find suitable network address" in done.stderr
    assert "--advertise-address" in done.stderr


def expired(folder: Path) -> Path:
    """A certificate that has been of no use for years, and its key."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(datetime.datetime(2020, 1, 1))
    certificate = builder.not_valid_after(datetime.datetime(2021, 1, 1)).sign(key, hashes.SHA256())
    path = folder / "old.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    path.with_suffix(".key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    )
    return path


def encrypted(key: Path, folder: Path) -> Path:
    """The same key behind a password."""
    from cryptography.hazmat.primitives import serialization

    secret = serialization.load_pem_private_key(key.read_bytes(), None)
    path = folder / "encrypted.key"
    form, cipher = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"password")
    path.write_bytes(secret.private_bytes(serialization.Encoding.PEM, form, cipher))
    return path
