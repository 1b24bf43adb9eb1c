"""What stands before the first process: certificates, the kubeconfig, and what the workers are told."""

from __future__ import annotations

import dataclasses
import ipaddress
import secrets
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apiserver_workers.server.config import ServerConfig

from apiserver_supervisor.completion import OWN_KEY
from apiserver_supervisor.options.parsing import CompletedOptions

_FIELDS = {field.name for field in dataclasses.fields(ServerConfig)}
KEY_FILES = (
    *("tls_private_key_file", "service_account_signing_key_file", "proxy_client_key_file"),
    *("etcd_keyfile", "kubelet_client_key", "encryption_provider_config", "token_auth_file"),
)
# beside the pair that identifies it, a front proxy needs the names of its headers
_OWN_FRONT_PROXY: dict[str, Any] = {
    "requestheader_allowed_names": ("front-proxy-client",),
    "requestheader_username_headers": ("X-Remote-User",),
    "requestheader_group_headers": ("X-Remote-Group",),
    "requestheader_extra_headers_prefix": ("X-Remote-Extra-",),
}


def with_certificates(options: CompletedOptions) -> CompletedOptions:
    """Options in which every certificate and key that is to be made has been made. Raises OSError."""
    if options.pair_from_cert_dir:
        from apiserver_supervisor.self_signed import provide_serving_pair

        provide_serving_pair(options)
    return _with_own_certificates(options) if options.profile.provides else options


def open_keys(options: CompletedOptions) -> list[str]:
    """The key files of the options that others than their owner can read."""
    from apiserver_supervisor.certificates import keys_open_to_others

    given = [getattr(options, name, "") for name in KEY_FILES]
    return keys_open_to_others([path for one in given for path in ([one] if isinstance(one, str) else one)])


def keep_encryption_config(options: CompletedOptions) -> None:
    """Keep what --encryption-provider-config says now for all workers of this start. Raises OSError."""
    if options.encryption_provider_config:
        from apiserver_workers.storage.encryption.kept import keep_file

        keep_file(options)


def _with_own_certificates(options: CompletedOptions) -> CompletedOptions:
    """What was not given is of our own authorities in the data folder."""
    from apiserver_supervisor.certificates import PROXY_CLIENT, Pki, serving_subject

    pki = Pki(Path(options.data_dir, "pki"))
    changes: dict[str, Any] = {}
    if not options.tls_cert_file:
        subject = serving_subject(
            options.advertise_address, options.service_ip, options.bind_address, options.external_hostname
        )
        pair = pki.leaf("apiserver", pki.authority("ca"), subject)
        changes |= {"tls_cert_file": str(pair.certificate), "tls_private_key_file": str(pair.key)}
    if not options.client_ca_file:
        changes["client_ca_file"] = str(pki.authority("client-ca").certificate)
    if not options.requestheader_client_ca_file:
        authority = pki.authority("front-proxy-ca")
        changes["requestheader_client_ca_file"] = str(authority.certificate)
        changes |= {name: value for name, value in _OWN_FRONT_PROXY.items() if not getattr(options, name)}
        if not options.proxy_client_cert_file:
            pair = pki.leaf("front-proxy-client", authority, PROXY_CLIENT)
            changes |= {"proxy_client_cert_file": str(pair.certificate), "proxy_client_key_file": str(pair.key)}
    if options.service_account_signing_key_file == str(pki.folder / OWN_KEY):
        pki.service_account_key(OWN_KEY)
    return options.with_values(**changes)


def write_kubeconfig(options: CompletedOptions, path: Path, token: str) -> None:
    """The administrator's kubeconfig: a client certificate of our own authority, else the loopback token."""
    from apiserver_supervisor import kubeconfig
    from apiserver_supervisor.certificates import ADMIN, Pki

    own = Path(options.data_dir, "pki")
    pki = Pki(own) if options.profile.provides else None
    trusts_us = pki is not None and options.client_ca_file == str(own / "client-ca.crt")
    signed_by_us = Path(options.tls_cert_file) == own / "apiserver.crt" and (own / "ca.crt").exists()
    document = kubeconfig.document(
        kubeconfig.context_name(options.instance),
        local_url(options),
        own / "ca.crt" if signed_by_us else Path(options.tls_cert_file),
        client=pki.leaf("admin", pki.authority("client-ca"), ADMIN) if pki and trusts_us else None,
        token=token,
    )
    kubeconfig.write(path, document)


def server_config(options: CompletedOptions) -> ServerConfig:
    """What the workers need of the completed options, and this start's own secrets."""
    from apiserver_supervisor.certificates import loopback_pair

    values = {name: value for name, value in vars(options).items() if name in _FIELDS}
    if options.allow_metric_labels_manifest:
        from apiserver_supervisor.options.files import document

        values["allow_metric_labels"] = document(options.allow_metric_labels_manifest) | options.allow_metric_labels
    for field in ("enable_admission_plugins", "disable_admission_plugins"):
        absent = absent_plugins(values[field])
        values[field] = tuple(plugin for plugin in values[field] if plugin not in absent)
    for field, value in values.items():
        if isinstance(value, dict):
            values[field] = tuple(f"{name}={text}" for name, text in value.items())
    if options.admission_control_config_file:
        from apiserver_workers.admission.configuration import load_configuration

        values["admission_configuration"] = load_configuration(options.admission_control_config_file)
    certificate, key = loopback_pair()
    return ServerConfig(
        **values,
        loopback_token=secrets.token_urlsafe(32),
        loopback_certificate=certificate,
        loopback_key=key,
        started=time.monotonic(),
    )


def absent_plugins(names: Sequence[str]) -> list[str]:
    """Those of the plugins that upstream has and this server does not."""
    if not names:
        return []
    from apiserver_workers.admission.chain import unknown_plugins  # loads every plugin: only when asked for

    return unknown_plugins(names)


def local_host(options: CompletedOptions) -> str:
    """The address by which this machine reaches the server."""
    address = ipaddress.ip_address(options.bind_address or "0.0.0.0")
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "::1"
    return str(address)


def local_url(options: CompletedOptions) -> str:
    """The server's URL for clients on this machine."""
    host = local_host(options)
    return f"https://{f'[{host}]' if ':' in host else host}:{options.secure_port}"
