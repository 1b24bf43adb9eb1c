"""TLS towards aggregated servers: whom an APIService trusts, and the certificate by which this server is known to them
(BuildTransportConfig of kube-aggregator/pkg/controllers/status/remote)."""

from __future__ import annotations

import ssl
from collections import OrderedDict

from apiserver_workers.server.aggregation.api_service import APIService
from apiserver_workers.server.client.tls import TlsConfig, WatchedTls
from apiserver_workers.server.config import ServerConfig

MAX_KEPT = 256  # contexts; one is needed for each authority and service
PEM = b"-----BEGIN CERTIFICATE-----"


class TransportError(Exception):
    """There can be no connection to the server; the message is client-go's."""


class BackendTls:
    """The contexts of this process, each made once and again when its files change."""

    def __init__(self, config: ServerConfig) -> None:
        self._certificate = config.proxy_client_cert_file
        self._key = config.proxy_client_key_file
        self._kept: OrderedDict[TlsConfig, WatchedTls] = OrderedDict()

    def context(self, service: APIService) -> ssl.SSLContext:
        """The context for connections to the service. Raises TransportError."""
        config = self._config(service)
        kept = self._kept.get(config)
        if kept is None:
            kept = self._kept[config] = _watched(config)
            if len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return kept.context

    def _config(self, service: APIService) -> TlsConfig:
        reference = service.service
        assert reference is not None
        return TlsConfig(
            ca_data=b"" if service.insecure else service.ca_bundle,
            cert_file=self._certificate,
            key_file=self._key,
            insecure=service.insecure,
            server_name=f"{reference.name}.{reference.namespace}.svc",
        )


def _watched(config: TlsConfig) -> WatchedTls:
    if config.ca_data and PEM not in config.ca_data:
        raise TransportError("unable to load root certificates: unable to parse bytes as PEM block")
    try:
        return WatchedTls(config)
    except (OSError, ValueError) as error:
        raise TransportError(f"unable to load root certificates: {error}") from None
