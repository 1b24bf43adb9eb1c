"""Client certificates that OpenSSL does not trust are answered 401, as upstream, instead of a broken handshake.

Clients need the answer: kubectl asks its credential plugin again at a 401, and whoever has a token besides is let in by
that. The ssl module cannot ask for a certificate without refusing those that do not verify, but OpenSSL can: its verify
callback may let the handshake go on. OpenSSL verifies as before and its verdict counts; only its consequence is ours.

The callback is set by ctypes on the context inside of the Python object, whose layout is not documented. So it is tried
first in a process that may crash; where that does not work, handshakes break as the ssl module has it.
"""

from __future__ import annotations

import _ssl
import ctypes
import datetime
import functools
import logging
import os
import signal
import ssl
import threading
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apiserver_workers.server.tls.pem import Authorities, Pair
from apiserver_workers.server.tls.plain_http import PlainHttpConnection

TRIAL_WITHIN = 5  # seconds
_PEER = 1  # SSL_VERIFY_PEER

log = logging.getLogger(__name__)


class _Verdict(threading.local):
    refused = False


_verdict = _Verdict()


class ClientConnection(PlainHttpConnection):
    """`trusted` is false if the client has shown a certificate that OpenSSL does not trust."""

    trusted = True

    def do_handshake(self) -> None:
        """One step. The callback runs within, so what it says is about this connection."""
        _verdict.refused = False
        try:
            super().do_handshake()
        finally:
            if _verdict.refused:
                self.trusted = False


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
def _go_on(good: int, _: int | None) -> int:
    if not good:
        _verdict.refused = True
    return 1


def accept_untrusted(context: ssl.SSLContext) -> bool:
    """Let handshakes of a listening context go on with whatever certificate; false, and nothing done, where we cannot."""
    if not can_accept():
        log.warning("client certificates of unknown authorities will break the handshake instead of getting a 401")
        return False
    _set_callback(context)
    return True


@functools.cache
def can_accept() -> bool:
    """Whether it works with this Python and this OpenSSL, tried in a process of its own."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    status = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(TRIAL_WITHIN)
        status = 0 if _trial() else 1
    finally:
        os._exit(status)


def _set_callback(context: ssl.SSLContext) -> None:
    """Raises AttributeError where OpenSSL's functions are not to be had."""
    library = ctypes.CDLL(_ssl.__file__)
    set_verify: Callable[..., None] = library.SSL_CTX_set_verify
    set_verify.argtypes = [ctypes.c_void_p, ctypes.c_int, type(_go_on)]  # type: ignore[attr-defined]
    set_verify.restype = None  # type: ignore[attr-defined]
    inside = ctypes.c_void_p.from_address(
        id(context) + object.__basicsize__
    )  # the first field behind the object's head
    set_verify(inside, _PEER, _go_on)
    context.sslobject_class = ClientConnection


def _trial() -> bool:
    """Handshakes with a trusted, an untrusted and no client certificate, in memory."""
    pairs = [_self_signed("trusted"), _self_signed("untrusted")]
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_OPTIONAL
    server.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    pairs[0].into(server)
    Authorities(pairs[0].certificate).into(server)
    _set_callback(server)
    return [_handshake(server, pair) for pair in (*pairs, None)] == [(True, True), (True, False), (False, True)]


def _handshake(server: ssl.SSLContext, pair: Pair | None) -> tuple[bool, bool]:
    """Whether the server got a certificate, and whether it trusts it."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if pair is not None:
        pair.into(client)
    upwards, downwards = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(downwards, upwards)
    answering = server.wrap_bio(upwards, downwards, server_side=True)
    for _ in range(3):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
    assert isinstance(answering, ClientConnection)
    return answering.getpeercert(True) is not None, answering.trusted


def _self_signed(name: str) -> Pair:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    day = datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now - day, now + day)
    plain = serialization.NoEncryption()
    return Pair(
        builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain),
    )
