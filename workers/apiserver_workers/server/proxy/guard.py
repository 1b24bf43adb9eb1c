"""Which addresses requests may be passed on to: pods and nodes say where they are, and must not mean this host.

A name is resolved once and all of its addresses are judged; the connection is then made to those addresses, never to the
name, so that a name server cannot answer the second question differently. Upstream: isProxyableHostname of nodes and
ResourceLocation of pods. Webhooks, API services, issuers and kubelets' logs have no such rule there: whoever may
configure those may name this host.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from apiserver_workers.apimachinery.errors import ApiError, bad_request

BROADCAST = ipaddress.IPv4Address("255.255.255.255")
NOT_ALLOWED = "address not allowed"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def refused() -> ApiError:
    """400: the address is not to be reached through this server."""
    return bad_request(NOT_ALLOWED)


def unmapped(text: str) -> Address:
    """The address; an IPv4 address in IPv6's notation is the IPv4 address. Raises ValueError for what is none."""
    ip = ipaddress.ip_address(text)
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


def is_global_unicast(ip: Address) -> bool:
    """What net.IP.IsGlobalUnicast says of an unmapped address."""
    special = ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified
    return not special and ip != BROADCAST


def checked(address: str) -> str:
    """An address as it may be dialled. Raises ApiError 400 for what is no address or not allowed."""
    try:
        ip = unmapped(address)
    except ValueError:
        raise refused() from None
    if not is_global_unicast(ip):
        raise refused()
    return str(ip)


async def resolved(host: str) -> tuple[str, ...]:
    """The addresses of a host, all of which are allowed. Raises ApiError 400."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise bad_request(f"lookup {host}: no such host") from None
    return tuple(dict.fromkeys(checked(str(address[0])) for *_, address in found))
