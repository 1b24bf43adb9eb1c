"""TLS at the front: certificates by server name, client certificates, renewal on disk, protocol versions."""

import asyncio
import datetime
import os
import socket
import ssl

import pytest
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http.messages import text_response
from apiserver_workers.server.http.peer import UNTRUSTED
from apiserver_workers.server.http2.security import is_good
from apiserver_workers.server.tls.contexts import ServingTLS
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server.serving import read_answer, serving


class Pair:
    """A certificate and its key, on disk."""

    def __init__(self, folder, name, *, issuer=None, dns=("localhost",)):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(issuer.name if issuer else self.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if dns:
            builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, dns)), critical=False)
        certificate = builder.sign(issuer.key if issuer else self.key, hashes.SHA256())
        self.certificate_file, self.key_file = str(folder / f"{name}.crt"), str(folder / f"{name}.key")
        with open(self.certificate_file, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        with open(self.key_file, "wb") as file:
            plain = serialization.NoEncryption()
            file.write(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


async def handle(request):
    certificate = next(iter(request.peer_certificates), None)
    return text_response(
        x509.load_der_x509_certificate(certificate).subject.rfc4514_string() if certificate else "nobody"
    )


@pytest.fixture
def authority(tmp_path):
    return Pair(tmp_path, "ca", dns=())


@pytest.fixture
def make(tmp_path, authority):
    """ServingTLS for a serving pair `main`, client CA `ca`, and other options."""
    main = Pair(tmp_path, "main", issuer=authority)

    def make_tls(**options):
        config = ServerConfig(
            instance="", run_dir="", service_ip="", loopback_token="", tls_cert_file=main.certificate_file,
            tls_private_key_file=main.key_file, client_ca_file=authority.certificate_file, **options,
        )  # fmt: skip
        return ServingTLS(config)

    return make_tls


def connect(served, *, name="localhost", client=None, maximum=None, curve=None, ciphers="", protocols=("http/1.1",)):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    if client:
        context.load_cert_chain(client.certificate_file, client.key_file)
    if ciphers:
        context.set_ciphers(ciphers)
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if curve:
        context.set_ecdh_curve(curve)
    if maximum:
        context.maximum_version = maximum
    return context.wrap_socket(socket.create_connection(served.address, timeout=5), server_hostname=name)


def server_name(connection):
    certificate = x509.load_der_x509_certificate(connection.getpeercert(True))
    return certificate.subject.rfc4514_string()


def ask(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    return read_answer(connection)[2].decode()


def test_client_certificates_are_asked_for_but_not_required(make, authority, tmp_path):
    alice = Pair(tmp_path, "alice", issuer=authority)
    with serving(handle, tls=make().listening) as served:
        with connect(served, client=alice) as connection:
            assert ask(connection) == "CN=alice"
        with connect(served) as connection:
            assert ask(connection) == "nobody"


def test_a_client_certificate_of_another_authority_is_known_to_be_worth_nothing(make, tmp_path, authority):
    mallory, alice = Pair(tmp_path, "mallory"), Pair(tmp_path, "alice", issuer=authority)

    async def tell(request):
        return text_response(repr(request.peer_certificates == UNTRUSTED))

    with serving(tell, tls=make().listening) as served:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for client, untrusted in ((mallory, "True"), (alice, "False"), (None, "False"), (mallory, "True")):
                with connect(served, client=client, maximum=version) as connection:
                    assert ask(connection) == untrusted


def test_where_that_does_not_work_the_handshake_breaks(make, tmp_path, monkeypatch):
    monkeypatch.setattr("apiserver_workers.server.tls.untrusted.can_accept", lambda: False)
    mallory = Pair(tmp_path, "mallory")
    with serving(handle, tls=make().listening) as served:
        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)), connect(served, client=mallory) as connection:
            ask(connection)
        with connect(served) as connection:
            assert ask(connection) == "nobody"


def test_old_protocol_versions_are_refused(make):
    with serving(handle, tls=make(tls_min_version="VersionTLS13").listening) as served:
        with pytest.raises(ssl.SSLError):
            connect(served, maximum=ssl.TLSVersion.TLSv1_2)
        with connect(served) as connection:
            assert connection.version() == "TLSv1.3"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_protocol_versions_are_accepted_when_asked_for(make):
    old = ssl.TLSVersion.TLSv1_1
    everything = "ALL:@SECLEVEL=0"
    tls = make(tls_min_version="VersionTLS11").listening
    with serving(handle, tls=tls) as served, connect(served, maximum=old, ciphers=everything) as connection:
        assert connection.version() == "TLSv1.1" and ask(connection) == "nobody"
    with serving(handle, tls=make().listening) as served, pytest.raises(ssl.SSLError):
        connect(served, maximum=old, ciphers=everything)


def test_cipher_suites_by_their_go_names(make):
    suites = ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256")
    tls = make(tls_cipher_suites=suites).listening
    with serving(handle, tls=tls) as served, connect(served, maximum=ssl.TLSVersion.TLSv1_2) as connection:
        assert connection.cipher()[0] == "ECDHE-ECDSA-CHACHA20-POLY1305"


@pytest.mark.parametrize(
    "options, offered, chosen",
    [
        ({}, ("http/1.1", "h2"), "h2"),
        ({}, ("http/1.1",), "http/1.1"),
        ({"disable_http2_serving": True}, ("h2", "http/1.1"), "http/1.1"),
        ({"tls_cipher_suites": ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",)}, ("h2", "http/1.1"), "h2"),
        ({"tls_cipher_suites": ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",)}, ("h2", "http/1.1"), "http/1.1"),
    ],
)
def test_what_alpn_offers(make, options, offered, chosen):
    with serving(handle, tls=make(**options).listening) as served, connect(served, protocols=offered) as connection:
        assert connection.selected_alpn_protocol() == chosen


@pytest.mark.parametrize(
    "cipher, good",
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", True),
        ("ECDHE-ECDSA-CHACHA20-POLY1305", True),
        ("ECDHE-RSA-AES128-SHA256", False),
        ("AES128-GCM-SHA256", False),
        ("DES-CBC3-SHA", False),
    ],
)
def test_suites_that_are_good_enough_for_http2(cipher, good):
    assert is_good(cipher) is good


def test_the_server_name_chooses_the_certificate(make, tmp_path):
    one, two = Pair(tmp_path, "one", dns=("one.test", "*.wild.test")), Pair(tmp_path, "two", dns=())
    pairs = [f"{one.certificate_file},{one.key_file}", f"{two.certificate_file},{two.key_file}:two.test,three.test"]
    with serving(handle, tls=make(tls_sni_cert_key=tuple(pairs)).listening) as served:
        expected = {"one.test": "one", "A.wild.test": "one", "three.test": "two", "localhost": "main", None: "main"}
        for name, pair in expected.items():
            with connect(served, name=name) as connection:
                assert server_name(connection) == f"CN={pair}"


def test_renewed_certificates_are_served_to_new_connections(make, authority, tmp_path, monkeypatch):
    monkeypatch.setattr("apiserver_workers.server.tls.watched_files.CHECK_INTERVAL", 0.02)
    monkeypatch.setattr("apiserver_workers.server.tls.watched_files.SETTLED_AFTER", 0.05)
    tls = make()
    with serving(handle, tls=tls.listening) as served, connect(served) as old:
        watcher = asyncio.run_coroutine_threadsafe(tls.watch(), served.loop)
        assert server_name(old) == "CN=main"
        renewed = Pair(tmp_path, "renewed", issuer=authority)
        os.replace(renewed.certificate_file, tmp_path / "main.crt")  # for a moment the pair does not fit
        with connect(served) as connection:
            assert ask(connection) == "nobody"
        os.replace(renewed.key_file, tmp_path / "main.key")
        for _ in range(200):
            with connect(served) as connection:
                name = server_name(connection)
                assert ask(connection) == "nobody"
            if name == "CN=renewed":
                break
        assert name == "CN=renewed"
        assert ask(old) == "nobody"
        watcher.cancel()


def test_only_the_preferred_curve_is_agreed_on(make):
    with serving(handle, tls=make(tls_curve_preferences=(24,)).listening) as served:
        with connect(served, curve="secp384r1") as connection:
            assert ask(connection) == "nobody"
        with pytest.raises(ssl.SSLError):
            connect(served, curve="prime256v1")


@pytest.mark.parametrize("ids", [(7,), (23, 24)])
def test_curves_that_this_library_cannot_choose_are_named(make, ids):
    if len(ids) > 1 and hasattr(ssl.SSLContext, "set_groups"):
        pytest.skip("this Python can")
    with pytest.raises(ValueError, match="--tls-curve-preferences"):
        make(tls_curve_preferences=ids)


def test_an_encrypted_key_is_an_error_and_not_a_question(tmp_path, authority):
    pair = Pair(tmp_path, "locked", issuer=authority)
    with open(pair.key_file, "wb") as file:
        file.write(
            pair.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
    config = ServerConfig(
        instance="", run_dir="", service_ip="", loopback_token="", tls_cert_file=pair.certificate_file,
        tls_private_key_file=pair.key_file,
    )  # fmt: skip
    with pytest.raises((ValueError, OSError)):
        ServingTLS(config)
