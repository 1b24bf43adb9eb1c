"""A network interface of our own, so that servers on one machine have addresses that endpoints may hold.

Validation refuses loopback addresses there. A TUN interface needs root, and is gone with the process that opened it
however that ends. Packets to its addresses never leave the machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Sequence

_DEVICE = "/dev/net/tun"
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


def possible() -> bool:
    """Whether `open_interface` can be expected to work: root, the kernel's TUN and iproute2."""
    return os.geteuid() == 0 and os.access(_DEVICE, os.R_OK | os.W_OK) and shutil.which("ip") is not None


def open_interface(addresses: Sequence[str]) -> int:
    """Open an interface that has these addresses, until the returned descriptor is closed. Raises OSError."""
    descriptor = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    try:
        answer = fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", b"apiserver%d", _IFF_TUN | _IFF_NO_PI))
        name = answer[:16].rstrip(b"\0").decode()
        for address in addresses:
            _ip("address", "add", f"{address}/32", "dev", name)
        _ip("link", "set", name, "up")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.returncode, done.stderr.strip(), " ".join(("ip", *arguments)))
