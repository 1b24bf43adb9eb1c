"""The transport: against a real etcd for what is usual, against a scripted server for what is not."""

import asyncio
import datetime
import signal
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from apiserver_workers.storage import etcdrpc_pb2 as rpc
from apiserver_workers.storage.etcd import EtcdStorage
from apiserver_workers.storage.etcd_api import RANGE, TXN
from apiserver_workers.storage.interface import Unavailable
from apiserver_workers.storage.transport import connection as connection_module
from apiserver_workers.storage.transport import frames
from apiserver_workers.storage.transport.channel import Channel, Endpoint, client_tls
from apiserver_workers.storage.transport.streams import RpcError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.storage.etcd_process import EtcdProcess
from tests.storage.objects import value
from tests.storage.test_recovery import in_thread


@pytest.mark.parametrize(
    ("url", "endpoint", "authority"),
    [
        ("http://127.0.0.1:2379", Endpoint("127.0.0.1", 2379, False), "127.0.0.1:2379"),
        ("https://etcd.example:4001", Endpoint("etcd.example", 4001, True), "etcd.example:4001"),
        ("localhost:1", Endpoint("localhost", 1, False), "localhost:1"),
        ("http://[::1]:2379", Endpoint("::1", 2379, False), "[::1]:2379"),
        ("unix:///run/x/client:0", Endpoint("localhost", 0, False, "/run/x/client:0"), "localhost"),
        ("unixs://etcd.sock", Endpoint("localhost", 0, True, "etcd.sock"), "localhost"),
    ],
)
def test_endpoints(url, endpoint, authority):
    assert Endpoint.parse(url) == endpoint
    assert endpoint.authority == authority


async def test_large_messages_and_many_calls_share_a_connection_within_the_windows(etcd, root):
    storage = EtcdStorage([etcd.url])
    values = {f"{root}/{number:02}": value(str(number), str(number % 10) * 400_000) for number in range(24)}
    await asyncio.gather(*(storage.create(key, stored) for key, stored in values.items()))
    lists = await asyncio.gather(*(storage.list(f"{root}/") for _ in range(4)))
    for listing in lists:
        assert {entry.key: entry.value for entry in listing.entries} == values
    assert len(storage.channel._connections) == 1
    await storage.close()


async def test_a_cancelled_call_leaves_the_connection_in_order(etcd, root):
    storage = EtcdStorage([etcd.url])
    await storage.create(f"{root}/a", value())
    for _ in range(20):
        call = asyncio.create_task(storage.get(f"{root}/a"))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert (await storage.get(f"{root}/a")).value == value()
    (connection,) = storage.channel._connections
    assert not connection._streams
    await storage.close()


async def test_a_unix_socket(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    process = EtcdProcess(
        tmp_path, flags=("--listen-client-urls=unix://client:0", "--advertise-client-urls=unix://client:0")
    )
    process._wait_for_port = lambda: None
    process.start()
    try:
        storage = EtcdStorage([f"unix://{tmp_path}/client:0"])
        assert await storage.create("/a", value()) == 2
        await storage.close()
    finally:
        process.kill()


@pytest.mark.parametrize("fault", ["refused", "paused"])
async def test_calls_fail_over_to_another_endpoint(etcd, own_etcd, root, fault):
    """Two single members stand for a cluster: it only matters who answers."""
    storage = EtcdStorage([own_etcd.url, etcd.url], timeout=2.0, probe_timeout=2.0)
    await EtcdStorage([etcd.url]).create(f"{root}/a", value("from the second"))
    await storage.create(f"{root}/a", value("from the first"))
    watch = storage.watch_stream(b"\x00", b"\x00", 0)
    await anext(watch)
    if fault == "refused":
        await in_thread(own_etcd.kill)
    else:
        own_etcd.signal(signal.SIGSTOP)
    assert (await storage.get(f"{root}/a")).value == value("from the second")
    with pytest.raises(Unavailable):
        await anext(watch)
    assert await storage.create(f"{root}/b", value()) > 1
    await storage.close()


async def test_no_call_is_given_to_a_full_connection(etcd, root):
    storage = EtcdStorage([etcd.url])
    await storage.current_revision()
    storage.channel._connections[0]._max_streams = 3
    watches = [storage.watch_stream(b"a", b"b", 0) for _ in range(5)]
    for watch in watches:
        assert (await anext(watch)).created
    assert len(storage.channel._connections) == 2
    await storage.close()


@asynccontextmanager
async def scripted(*scripts):
    """A server that answers the n-th connection by the n-th script; its URL."""
    turns = iter(scripts)

    async def serve(reader, writer):
        writer.write(frames.settings({}))
        try:
            await reader.readexactly(len(frames.PREFACE))
            await next(turns)(reader, writer)
        except (StopIteration, ConnectionError, asyncio.IncompleteReadError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def next_call(reader):
    """The stream id of the next call, all of whose frames have been read."""
    while True:
        high, low, kind, flags, stream_id = frames.frame_head.unpack(await reader.readexactly(9))
        await reader.readexactly(high << 16 | low)
        if kind == frames.DATA and flags & frames.END_STREAM:
            return stream_id


def answer(stream_id: int, message: bytes = b"") -> bytes:
    """A whole successful answer, its trailers split over two frames."""
    trailers = b"\x00\x0bgrpc-status\x010"
    return (
        frames.frame(frames.HEADERS, frames.END_HEADERS, stream_id, b"\x20\x88")
        + frames.frame(
            frames.DATA,
            frames.PADDED,
            stream_id,
            b"\x02" + frames.message_head.pack(0, len(message)) + message + b"\0\0",
        )
        + frames.frame(frames.HEADERS, frames.END_STREAM, stream_id, trailers[:4])
        + frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream_id, trailers[4:])
    )


async def answering(reader, writer):
    while True:
        writer.write(answer(await next_call(reader), rpc.RangeResponse(count=7).SerializeToString()))


async def going_away(reader, writer):
    await next_call(reader)
    writer.write(frames.frame(frames.GOAWAY, 0, 0, b"\0" * 8))
    await reader.read()


async def refusing(reader, writer):
    stream_id = await next_call(reader)
    writer.write(frames.frame(frames.RST_STREAM, 0, stream_id, frames.word.pack(frames.REFUSED_STREAM)))
    await answering(reader, writer)


async def dropping(reader, writer):
    await next_call(reader)


async def silent(reader, writer):
    await reader.read()


async def talking_nonsense(reader, writer):
    stream_id = await next_call(reader)
    writer.write(frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, b"\xff\xff\xff"))
    await reader.read()


@pytest.mark.parametrize("fault", [going_away, refusing])
async def test_a_write_that_was_certainly_not_looked_at_is_repeated(fault):
    async with scripted(fault, answering) as url:
        channel = Channel([url])
        assert (await channel.call(TXN, rpc.TxnRequest(), 3)) is not None
        await channel.close()


@pytest.mark.parametrize("fault", [dropping, talking_nonsense])
async def test_a_read_is_repeated_and_a_write_is_not(fault):
    async with scripted(fault, answering) as url:
        channel = Channel([url])
        assert (await channel.call(RANGE, rpc.RangeRequest(), 3)).count == 7
        await channel.close()
    async with scripted(fault, answering) as url:
        channel = Channel([url])
        with pytest.raises(RpcError):
            await channel.call(TXN, rpc.TxnRequest(), 3)
        await channel.close()


async def test_a_silent_connection_is_pinged_and_then_given_up(monkeypatch):
    for name, seconds in (("TICK", 0.02), ("PATIENT", (0.1, 0.1))):
        monkeypatch.setattr(connection_module, name, seconds)
    async with scripted(silent) as url:
        channel = Channel([url])
        stream = await channel.open(RANGE, rpc.RangeRequest(), 1)
        with pytest.raises(RpcError, match="stopped answering"):
            await anext(stream)
        await channel.close()


async def test_a_write_leaves_a_member_that_hangs_for_another_one(etcd, root, monkeypatch):
    for name, seconds in (("TICK", 0.02), ("HASTY", (0.1, 0.1))):
        monkeypatch.setattr(connection_module, name, seconds)
    async with scripted(silent) as url:
        storage = EtcdStorage([url, etcd.url], timeout=5)
        began = asyncio.get_running_loop().time()
        assert await storage.create(f"{root}/a", value()) > 1
        assert asyncio.get_running_loop().time() - began < 3
        await storage.close()


async def test_pings_are_no_more_frequent_than_etcd_allows(etcd, root, monkeypatch):
    monkeypatch.setattr(connection_module, "TICK", 0.02)
    monkeypatch.setattr(connection_module, "HASTY", (0.05, 5.0))
    sent = []
    write = connection_module.Connection._write
    monkeypatch.setattr(
        connection_module.Connection, "_write", lambda self, data: (sent.append(data), write(self, data))
    )
    storage = EtcdStorage([etcd.url, etcd.url])
    etcd.signal(signal.SIGSTOP)
    try:
        call = asyncio.create_task(storage.get(f"{root}/a"))
        await asyncio.sleep(1)
    finally:
        etcd.signal(signal.SIGCONT)
    await call
    assert sum(b"liveness" in data for data in sent) <= 1
    await storage.close()


async def test_a_call_ends_at_its_deadline():
    async with scripted(silent) as url:
        channel = Channel([url])
        began = asyncio.get_running_loop().time()
        with pytest.raises(RpcError, match="deadline"):
            await channel.call(TXN, rpc.TxnRequest(), 0.3)
        assert asyncio.get_running_loop().time() - began < 1
        await channel.close()


def certificates(folder):
    """A CA, and one pair from it that serves 127.0.0.1 and is a client as well."""
    now = datetime.datetime.now(datetime.UTC)

    def issue(name, issuer, signer, extensions, key):
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "etcd")])
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    (folder / "ca.crt").write_bytes(issue(ca_name, ca_name, ca_key, [x509.BasicConstraints(True, None)], ca_key))
    (folder / "tls.crt").write_bytes(issue(name, ca_name, ca_key, [alternatives], key))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


async def test_mutual_tls(tmp_path):
    certificates(tmp_path)
    flags = ("--cert-file=tls.crt", "--key-file=tls.key", "--trusted-ca-file=ca.crt", "--client-cert-auth")
    process = EtcdProcess(tmp_path, scheme="https", flags=flags)
    process.start()
    try:
        files = {
            name: str(tmp_path / file)
            for name, file in (("cafile", "ca.crt"), ("certfile", "tls.crt"), ("keyfile", "tls.key"))
        }
        storage = EtcdStorage([process.url], tls=client_tls(**files))
        assert await storage.create("/a", value()) == 2
        stored = value("a", "x" * 1_000_000)
        await storage.create("/b", stored)
        assert (await storage.get("/b")).value == stored
        await storage.close()
        stranger = EtcdStorage([process.url], tls=client_tls(cafile=files["cafile"]), timeout=0.5)
        with pytest.raises(Unavailable):
            await stranger.get("/a")
        await stranger.close()
    finally:
        process.kill()
