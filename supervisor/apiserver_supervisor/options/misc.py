"""misc flags (upstream: pkg/controlplane/apiserver/options/options.go, cmd/kube-apiserver/app/options/options.go)."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.files import ca_bundle, client_pair, signing_key
from apiserver_supervisor.options.flag import (
    BOOL,
    CIDRS,
    DURATION,
    INT,
    PORT_RANGE,
    STRING,
    STRINGS,
    UINT,
    Flag,
    FlagGroup,
)
from apiserver_supervisor.options.validators import between, not_negative, positive

NODE_ADDRESSES = ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP")
ELECTION, PEERS = "coordinated leader election", "peer proxy (UnknownVersionInteroperabilityProxy)"
TUNNELS = "SSH tunnels"


def _service_ranges(options: Any) -> Iterator[str]:
    """Upstream: validateClusterIPFlags. Too small a range is found earlier, when the defaults are completed."""
    ranges = [ipaddress.ip_network(text) for text in options.service_cluster_ip_range.split(",")]
    if len(ranges) > 2:
        yield "--service-cluster-ip-range must not contain more than two entries"
        return
    if len(ranges) == 2 and ranges[0].version == ranges[1].version:
        yield "--service-cluster-ip-range and secondary --service-cluster-ip-range must be of different IP family"
    if options.endpoint_reconciler_type == "none" or not options.advertise_address:
        return
    published = ipaddress.ip_address(options.advertise_address)
    if published.version != ranges[0].version:
        yield (
            f'service IP family "{ranges[0]}" must match public address family "{published}": '
            "--service-cluster-ip-range and --advertise-address"
        )


def _service_node_port(options: Any) -> Iterator[str]:
    port = options.kubernetes_service_node_port
    if not 0 <= port <= 65535:
        yield f"--kubernetes-service-node-port {port} must be between 0 and 65535, inclusive. If 0, the Kubernetes master service will be of type ClusterIP"
    elif port and options.service_node_port_range:
        first, last = map(int, options.service_node_port_range.split("-"))
        if not first <= port <= last:
            yield f"--kubernetes-service-node-port: kubernetes service node port range {first}-{last} doesn't contain {port}"


def _election(options: Any) -> Iterator[str]:
    lease, renew = options.coordinated_leadership_lease_duration, options.coordinated_leadership_renew_deadline
    if lease <= renew:
        yield "--coordinated-leadership-lease-duration must be greater than --coordinated-leadership-renew-deadline"
    if renew <= options.coordinated_leadership_retry_period:
        yield "--coordinated-leadership-renew-deadline must be greater than --coordinated-leadership-retry-period"


def _tunnels(options: Any) -> Iterator[str]:
    """Upstream (until 1.21): CreateNodeDialer."""
    if not options.ssh_user:
        return
    for flag in ("kubelet-port", "kubelet-read-only-port"):
        if not getattr(options, flag.replace("-", "_")):
            yield f"must enable kubelet port if proxy ssh-tunneling is specified: --{flag} is 0 and --ssh-user is set"


def _peers(options: Any) -> Iterator[str]:
    for flag in ("peer-advertise-ip", "peer-advertise-port", "peer-ca-file"):
        if getattr(options, flag.replace("-", "_")):
            yield f"--{flag} requires UnknownVersionInteroperabilityProxy feature to be turned on"


GROUP = FlagGroup(
    "Misc",
    (
        Flag(
            "aggregator-reject-forwarding-redirect",
            BOOL,
            True,
            "Turn redirects of aggregated servers into errors.",
        ),
        Flag("allow-privileged", BOOL, False, "Permit privileged containers."),
        Flag(
            "apiserver-count",
            INT,
            1,
            "How many servers there are, for the master-count reconciler.",
            positive,
            deprecated="apiserver-count is deprecated and will be removed in a future version.",
        ),
        Flag(
            "coordinated-leadership-lease-duration",
            DURATION,
            15.0,
            "How long an elected leader's lease lasts.",
            missing=ELECTION,
        ),
        Flag(
            "coordinated-leadership-renew-deadline",
            DURATION,
            10.0,
            "How long a leader tries to renew its lease.",
            missing=ELECTION,
        ),
        Flag("coordinated-leadership-retry-period", DURATION, 2.0, "Wait between two such attempts.", missing=ELECTION),
        Flag(
            "enable-aggregator-routing",
            BOOL,
            False,
            "Reach aggregated servers and webhooks by the addresses of their endpoints, not by their cluster IP.",
        ),
        Flag(
            "enable-logs-handler",
            BOOL,
            False,
            "Serve the files of /var/log under /logs/.",
            deprecated="This flag will be removed in v1.19",
        ),
        Flag(
            "endpoint-reconciler-type",
            STRING,
            "lease",
            "Who maintains the endpoints of the kubernetes service: lease, none, or master-count (deprecated).",
        ),
        Flag("event-ttl", DURATION, 3600.0, "How long events are kept.", not_negative),
        Flag(
            "kubelet-certificate-authority",
            STRING,
            "",
            "CA that kubelets' serving certificates are verified with; without it they are not verified.",
            ca_bundle,
        ),
        Flag("kubelet-client-certificate", STRING, "", "Client certificate shown to kubelets."),
        Flag("kubelet-client-key", STRING, "", "Key of that certificate."),
        Flag("kubelet-https", BOOL, True, "Talk HTTPS to kubelets.", legacy="1.22"),
        Flag(
            "kubelet-port",
            UINT,
            10250,
            "Port of kubelets whose node does not say which it is.",
            between(0, 65535),
            deprecated="kubelet-port is deprecated and will be removed.",
        ),
        Flag(
            "kubelet-preferred-address-types",
            STRINGS,
            NODE_ADDRESSES,
            "Types of a node's addresses, in the order in which one is looked for to reach its kubelet.",
        ),
        Flag(
            "kubelet-read-only-port",
            UINT,
            10255,
            "Port that SSH tunnels are probed at.",
            between(0, 65535),
            deprecated="kubelet-read-only-port is deprecated and will be removed.",
            missing=TUNNELS,
        ),
        Flag("kubelet-timeout", DURATION, 5.0, "How long a connection to a kubelet may take.", positive),
        Flag(
            "kubernetes-service-node-port",
            INT,
            0,
            "If not 0, the kubernetes service is of type NodePort with this port.",
        ),
        Flag(
            "max-connection-bytes-per-sec",
            INT,
            0,
            "Bytes a second that one proxied, exec, attach or port-forward connection may move; 0 is no limit.",
            not_negative,
        ),
        Flag(
            "peer-advertise-ip",
            STRING,
            "",
            "Address at which other servers of the control plane reach this one.",
            missing=PEERS,
        ),
        Flag("peer-advertise-port", STRING, "", "Port for that.", missing=PEERS),
        Flag("peer-ca-file", STRING, "", "CA that verifies other servers of the control plane.", missing=PEERS),
        Flag("proxy-client-cert-file", STRING, "", "Client certificate shown to aggregated servers and webhooks."),
        Flag("proxy-client-key-file", STRING, "", "Key of that certificate."),
        Flag("repair-malformed-updates", BOOL, False, "Has no effect.", legacy="1.14"),
        Flag(
            "service-account-signing-endpoint",
            STRING,
            "",
            "Socket of a service that signs service account tokens, in place of the key files.",
            missing="external signer of tokens",
        ),
        Flag(
            "service-account-signing-key-file",
            STRING,
            "",
            "Key that signs service account tokens.",
            signing_key,
        ),
        Flag(
            "service-cluster-ip-range",
            CIDRS,
            "10.0.0.0/24",
            "Range of services' cluster IPs, or two of different families; the first address is the server's own.",
        ),
        Flag(
            "service-node-port-range",
            PORT_RANGE,
            "30000-32767",
            "Ports for services of type NodePort, both ends included.",
        ),
        Flag("ssh-keyfile", STRING, "", "Key of --ssh-user.", legacy="1.22", missing=TUNNELS),
        Flag("ssh-user", STRING, "", "Reach nodes through SSH as this user.", legacy="1.22", missing=TUNNELS),
    ),
    (
        _service_ranges,
        _service_node_port,
        _election,
        _tunnels,
        _peers,
        client_pair("kubelet-client-certificate", "kubelet-client-key"),
        client_pair("proxy-client-cert-file", "proxy-client-key-file"),
    ),
)
