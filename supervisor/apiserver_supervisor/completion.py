"""Complete(): every default that depends on another option or on the host.

The order is upstream's: addresses first, because certificates and discovery need them. Nothing is written here.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from apiserver_supervisor.options import api_enablement
from apiserver_supervisor.options.parsing import CompletedOptions, Options, OptionsError
from apiserver_supervisor.watch_cache_sizes import deserialization_cache_size, watch_cache_sizes

OWN_ISSUER = "https://kubernetes.default.svc.cluster.local"
MINIMUM_SERVICE_ADDRESSES = 8
LONGEST_SOCKET_NAME = "/extensions.sock.12345"
SOCKET_PATH_LIMIT = 107  # sun_path, without its NUL
JSON = "application/json"
OWN_KEY = "sa.key"


def complete(options: Options) -> CompletedOptions:
    """Options with nothing left to derive, and what is derived beside them: `service_ip`, `pair_from_cert_dir`.

    Raises OptionsError for what cannot be derived.
    """
    errors: list[str] = []
    changes: dict[str, Any] = {
        **_folders(options, errors),
        "service_cluster_ip_range": options.service_cluster_ip_range or "10.0.0.0/24",
        "service_node_port_range": options.service_node_port_range or "30000-32767",
        "endpoint_reconciler_type": options.endpoint_reconciler_type or "lease",
        "etcd_prefix": f"/{options.etcd_prefix.strip('/')}".rstrip("/"),
        **api_enablement.completed(options),
    }
    changes["advertise_address"] = advertise_address(options, errors)
    changes["service_ip"] = service_ip(changes["service_cluster_ip_range"], errors)
    if errors:
        raise OptionsError(errors)
    changes |= _serving(options, changes["data_dir"])
    changes["external_hostname"] = options.external_hostname or changes["advertise_address"] or socket.gethostname()
    changes |= _authentication(options, changes["data_dir"])
    changes |= _admission(options)
    changes["watch_cache_sizes"] = watch_cache_sizes(options)
    changes["deserialization_cache_size"] = options.deserialization_cache_size or deserialization_cache_size(
        options.target_ram_mb
    )
    if options.profile.provides and not options.etcd_servers and "storage_media_type" not in options.given:
        changes["storage_media_type"] = JSON  # nobody else reads that etcd, and JSON is quicker
    return CompletedOptions(vars(options), options.sources, options.used, options.profile).with_values(**changes)


def _folders(options: Options, errors: list[str]) -> dict[str, str]:
    if options.profile.provides:
        run, data = default_run_dir(options.instance), state_dir(options.instance) / "data"
    else:
        run = Path(tempfile.gettempdir(), f"kube-apiserver-{os.getuid()}-{options.secure_port}")
        data = run / "data"
    folders = {
        "run_dir": os.path.abspath(options.run_dir or run),
        "data_dir": os.path.abspath(options.data_dir or data),
    }
    if len(os.fsencode(folders["run_dir"]) + LONGEST_SOCKET_NAME.encode()) > SOCKET_PATH_LIMIT:
        errors.append(f"--run-dir: {folders['run_dir']} is too long for Unix sockets, choose a shorter one")
    return folders


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
    addresses = [options.bind_address]
    if options.insecure_port:
        addresses.append(options.insecure_bind_address)
    for address in addresses:
        bind = ipaddress.ip_address(address or "0.0.0.0")
        if not (bind.is_unspecified or bind.is_loopback):
            return str(bind)
    found = default_route_address()
    if found is None:
        # with its own etcd the server is for this machine alone, which reaches it without any network
        if options.profile.provides and not options.etcd_servers:
            return "127.0.0.1"
        bind = ipaddress.ip_address(options.bind_address or "0.0.0.0")
        if bind.is_loopback:
            return str(bind)  # nobody else can reach the server anyway
        errors.append(
            "Unable to find suitable network address.error='no default routes found'. "
            "Try to set the AdvertiseAddress directly (--advertise-address) or provide a valid BindAddress (--bind-address) to fix this."
        )
        return ""
    return found


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
        errors.append(
            "--service-cluster-ip-range: error determining service IP ranges for primary service cidr: "
            f"the service cluster IP range must be at least {MINIMUM_SERVICE_ADDRESSES} IP addresses, not {first}"
        )
        return ""
    return str(first[1])


def _serving(options: Options, data_dir: str) -> dict[str, Any]:
    """Where the serving pair is. Ours is in the data folder unless --cert-dir names another place."""
    if options.tls_cert_file or options.tls_private_key_file or not options.cert_dir:
        return {"pair_from_cert_dir": False, "cert_dir": options.cert_dir or os.path.join(data_dir, "pki")}
    folder = os.path.abspath(options.cert_dir)
    return {
        "pair_from_cert_dir": True,
        "cert_dir": folder,
        "tls_cert_file": os.path.join(folder, "apiserver.crt"),
        "tls_private_key_file": os.path.join(folder, "apiserver.key"),
    }


def _authentication(options: Options, data_dir: str) -> dict[str, Any]:
    """Upstream: ApplyAuthorization, and where tokens come from. With AlwaysAllow nobody may be anonymous."""
    allowing = "AlwaysAllow" in options.authorization_mode and not options.authorization_config
    changes: dict[str, Any] = {"anonymous_auth": options.anonymous_auth and not allowing}
    if options.authorization_config and "authorization_mode" not in options.given:
        changes["authorization_mode"] = ()
    issuers = options.service_account_issuer
    if not issuers and options.profile.provides:
        issuers = (OWN_ISSUER,)
    changes["service_account_issuer"] = issuers
    changes["api_audiences"] = options.api_audiences or issuers
    if options.profile.provides and not options.service_account_signing_endpoint:
        signing, verifying = options.service_account_signing_key_file, options.service_account_key_file
        if not verifying:
            signing = signing or os.path.join(data_dir, "pki", OWN_KEY)
            changes |= {"service_account_signing_key_file": signing, "service_account_key_file": (signing,)}
    return changes


def _admission(options: Options) -> dict[str, Any]:
    """--admission-control is the complete list, so that whatever else is on by default goes."""
    if "admission_control" not in options.given:
        return {}
    from apiserver_supervisor.options.admission import KNOWN_PLUGINS

    wanted = options.admission_control
    return {
        "enable_admission_plugins": wanted,
        "disable_admission_plugins": tuple(name for name in KNOWN_PLUGINS if name not in wanted),
    }
