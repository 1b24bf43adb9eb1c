"""Which server this is: a name that tells it from others, also from those on the same host, and lasts over restarts."""

from __future__ import annotations

import base64
import hashlib
import socket

from apiserver_workers.server.config import ServerConfig


def server_id(config: ServerConfig) -> str:
    """`apiserver-` and a hash of host, instance and address."""
    address = f"{config.advertise_address}:{config.secure_port}"
    digest = hashlib.sha256(f"{socket.gethostname()}/{config.instance}/{address}".encode()).digest()[:16]
    return "apiserver-" + base64.b32encode(digest).rstrip(b"=").decode().lower()


def server_id_hash(config: ServerConfig) -> str:
    """The name as metrics have it: labels shall not tell hosts."""
    return "sha256:" + hashlib.sha256(server_id(config).encode()).hexdigest()
