"""What the master tells its workers: the completed options that workers need, and this server's own paths.

The master fills every field whose name is a flag's (dashes as underscores) from the completed options, so a flag that a
worker needs is one field here. Durations are seconds; lists are tuples.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Completed configuration, the same in all workers of one server."""

    # this server
    instance: str
    run_dir: str  # 0700; holds core.sock, extensions.sock, aggregator.sock, control.sock, logs/
    service_ip: str  # the server's own service IP: address 1 of the service range
    loopback_token: str = field(repr=False)  # user system:apiserver, group system:masters
    loopback_certificate: bytes = b""  # shown under the name apiserver-loopback-client
    loopback_key: bytes = field(default=b"", repr=False)
    started: float = 0.0  # time.monotonic() of the server's start
    aggregator_workers: int = 1
    core_workers: int = 1
    extensions_workers: int = 1
    worker_drain_timeout: float = 3600.0
    worker_max_memory: str = "0"
    worker_timeout: float = 5.0

    # what is served
    kubernetes_version: str = "1.36"
    emulated_version: tuple[str, ...] = ()
    min_compatibility_version: tuple[str, ...] = ()
    emulation_forward_compatible: bool = False
    runtime_config_emulation_forward_compatible: bool = False
    runtime_config: tuple[str, ...] = ()  # key=value, and so are these:
    feature_gates: tuple[str, ...] = ()

    # etcd
    etcd_servers: tuple[str, ...] = ()
    etcd_cafile: str = ""
    etcd_certfile: str = ""
    etcd_keyfile: str = ""
    etcd_prefix: str = "/registry"
    etcd_quorum_read: bool = True
    etcd_servers_overrides: tuple[str, ...] = ()
    etcd_compaction_interval: float = 300.0
    etcd_count_metric_poll_period: float = 60.0
    etcd_db_metric_poll_interval: float = 30.0
    etcd_healthcheck_timeout: float = 2.0
    etcd_readycheck_timeout: float = 2.0
    watch_cache: bool = True
    watch_cache_sizes: tuple[str, ...] = ()
    default_watch_cache_size: int = 100
    delete_collection_workers: int = 1
    enable_garbage_collector: bool = True
    storage_media_type: str = "application/json"  # completed: protobuf is the default on an etcd that is not our own
    storage_versions: str = ""
    encryption_provider_config: str = ""
    encryption_provider_config_automatic_reload: bool = False
    lease_reuse_duration_seconds: int = 60
    event_ttl: float = 3600.0

    # serving
    bind_address: str = "0.0.0.0"
    secure_port: int = 6443
    advertise_address: str = ""
    external_hostname: str = ""
    tls_cert_file: str = ""
    tls_private_key_file: str = ""
    tls_min_version: str = ""
    tls_cipher_suites: tuple[str, ...] = ()
    tls_sni_cert_key: tuple[str, ...] = ()
    tls_curve_preferences: tuple[int, ...] = ()
    client_ca_file: str = ""
    requestheader_client_ca_file: str = ""
    requestheader_allowed_names: tuple[str, ...] = ()
    requestheader_username_headers: tuple[str, ...] = ()
    requestheader_group_headers: tuple[str, ...] = ()
    requestheader_uid_headers: tuple[str, ...] = ()
    requestheader_extra_headers_prefix: tuple[str, ...] = ()
    proxy_client_cert_file: str = ""
    proxy_client_key_file: str = ""
    aggregator_reject_forwarding_redirect: bool = True

    # authentication
    anonymous_auth: bool = True
    authentication_config: str = ""
    token_auth_file: str = ""
    basic_auth_file: str = ""
    enable_bootstrap_token_auth: bool = False
    authentication_token_webhook_config_file: str = ""
    authentication_token_webhook_version: str = "v1beta1"
    authentication_token_webhook_cache_ttl: float = 120.0
    oidc_issuer_url: str = ""
    oidc_client_id: str = ""
    oidc_ca_file: str = ""
    oidc_username_claim: str = "sub"
    oidc_username_prefix: str = ""
    oidc_groups_claim: str = ""
    oidc_groups_prefix: str = ""
    oidc_required_claim: tuple[str, ...] = ()  # key=value
    oidc_signing_algs: tuple[str, ...] = ("RS256",)
    api_audiences: tuple[str, ...] = ()
    service_account_issuer: tuple[str, ...] = ()
    service_account_key_file: tuple[str, ...] = ()
    service_account_signing_key_file: str = ""
    service_account_lookup: bool = True
    service_account_jwks_uri: str = ""
    service_account_max_token_expiration: float = 0.0
    service_account_extend_token_expiration: bool = True

    # authorization
    authorization_mode: tuple[str, ...] = ("AlwaysAllow",)
    authorization_config: str = ""
    authorization_policy_file: str = ""
    authorization_webhook_config_file: str = ""
    authorization_webhook_version: str = "v1beta1"
    authorization_webhook_cache_authorized_ttl: float = 300.0
    authorization_webhook_cache_unauthorized_ttl: float = 30.0

    # admission
    enable_admission_plugins: tuple[str, ...] = ()
    disable_admission_plugins: tuple[str, ...] = ()
    admission_configuration: bytes = b""  # JSON: what single plugins are told, by their names
    enable_aggregator_routing: bool = False
    default_not_ready_toleration_seconds: int = 300
    default_unreachable_toleration_seconds: int = 300
    allow_privileged: bool = False

    # kubelets
    kubelet_certificate_authority: str = ""
    kubelet_client_certificate: str = ""
    kubelet_client_key: str = ""
    kubelet_port: int = 10250
    kubelet_preferred_address_types: tuple[str, ...] = (
        "Hostname",
        "InternalDNS",
        "InternalIP",
        "ExternalDNS",
        "ExternalIP",
    )
    kubelet_timeout: float = 5.0
    kubelet_https: bool = True

    # limits
    request_timeout: float = 60.0
    min_request_timeout: float = 1800.0
    max_requests_inflight: int = 400
    max_mutating_requests_inflight: int = 200
    max_connection_bytes_per_sec: int = 0
    cors_allowed_origins: tuple[str, ...] = ()
    strict_transport_security_directives: tuple[str, ...] = ()
    goaway_chance: float = 0.0
    disable_http2_serving: bool = False
    http2_max_streams_per_connection: int = 0

    # starting and stopping
    livez_grace_period: float = 0.0
    storage_initialization_timeout: float = 60.0
    shutdown_send_retry_after: bool = False
    shutdown_watch_termination_grace_period: float = 0.0

    # looking inside
    profiling: bool = True
    contention_profiling: bool = False
    debug_socket_path: str = ""
    enable_logs_handler: bool = False
    enable_swagger_ui: bool = False

    # networking
    service_cluster_ip_range: str = "10.0.0.0/24"
    service_node_port_range: str = "30000-32767"
    kubernetes_service_node_port: int = 0
    version: str = ""  # reported at /version in place of ours

    # metrics and logs
    disabled_metrics: tuple[str, ...] = ()
    allow_metric_labels: tuple[str, ...] = ()  # metric,label=value,value
    v: int = 0
    vmodule: tuple[str, ...] = ()
    logging_format: str = "text"

    @property
    def server_address(self) -> str:
        """Host and port at which clients reach the server, as discovery tells them."""
        host = self.external_hostname or self.advertise_address or self.bind_address
        if host.count(":") == 1 or "]:" in host:
            return host  # with a port of its own
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return f"{host}:{self.secure_port}"
