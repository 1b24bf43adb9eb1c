"""Complete(): every default that depends on another option or on the host.

The order is upstream's: addresses first, because certificates and discovery need them. Nothing is written here.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

from supervisor.options import api_enablement
from supervisor.options.parsing import Options, OptionsError

OWN_ISSUER = "https://kubernetes.default.svc.cluster.local"
MINIMUM_SERVICE_ADDRESSES = 8
LONGEST_SOCKET_NAME = "/extensions.sock.12345"
SOCKET_PATH_LIMIT = 107  # sun_path, without its NUL


def complete(options: Options) -> Options:
    """Options with nothing left to derive, plus `service_ip`. Raises OptionsError for what cannot be derived."""
    errors: list[str] = []
    changes = {
        "run_dir": os.path.abspath(options.run_dir or default_run_dir(options.instance)),
        "data_dir": os.path.abspath(options.data_dir or state_dir(options.instance) / "data"),
        "advertise_address": advertise_address(options, errors),
        "service_ip": service_ip(options.service_cluster_ip_range, errors),
        "endpoint_reconciler_type": options.endpoint_reconciler_type or "lease",
        **api_enablement.completed(options),
    }
    if len(changes["run_dir"] + LONGEST_SOCKET_NAME) > SOCKET_PATH_LIMIT:
        errors.append(f"--run-dir: {changes['run_dir']} is too long for Unix sockets, choose a shorter one")
    if errors:
        raise OptionsError(errors)
    changes["external_hostname"] = options.external_hostname or changes["advertise_address"]
    changes["anonymous_auth"] = options.anonymous_auth and "AlwaysAllow" not in options.authorization_mode
    issuers = options.service_account_issuer or (OWN_ISSUER,)
    changes["service_account_issuer"] = issuers
    changes["api_audiences"] = options.api_audiences or issuers
    return options.with_values(**changes)


def state_dir(instance: str) -> Path:
    """The folder that keeps an instance's state over restarts of the machine."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base, "apiserver-supervisor", instance)


def default_run_dir(instance: str) -> Path:
    """A private folder under $XDG_RUNTIME_DIR, or in the state folder."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK):
        return Path(runtime, "apiserver-supervisor", instance)
    return state_dir(instance) / "run"


def advertise_address(options: Options, errors: list[str]) -> str:
    """The address to publish: as given, else a specific bind address, else that of the default route's interface."""
    given = options.advertise_address
    if given and not ipaddress.ip_address(given).is_unspecified:
        return given
    bind = ipaddress.ip_address(options.bind_address or "0.0.0.0")
    if not (bind.is_unspecified or bind.is_loopback):
        return str(bind)
    address = default_route_address()
    if address is None:
        # with its own etcd the server is for this machine alone, which reaches it without any network
        if not options.etcd_servers:
            return "127.0.0.1"
        errors.append("unable to find a suitable network address, set the IP directly: --advertise-address")
        return ""
    return address


def default_route_address() -> str | None:
    """This host's address on the interface of the default route; no packet is sent."""
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                address = ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            continue
        if not (address.is_loopback or address.is_link_local or address.is_unspecified):
            return str(address)
    return None


def service_ip(ranges: str, errors: list[str]) -> str:
    """The server's own service IP: the address at index 1 of the first range."""
    first = ipaddress.ip_network(ranges.split(",")[0])
    if first.num_addresses < MINIMUM_SERVICE_ADDRESSES:
        errors.append(f"error determining service IP ranges: the service cluster IP range {first} must have at least 8")
        return ""
    return str(first[1])
