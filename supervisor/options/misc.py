"""misc flags."""

from supervisor.options.flag import BOOL, CIDRS, DURATION, INT, PORT_RANGE, STRING, STRINGS, Flag, FlagGroup
from supervisor.options.validators import between, not_negative, one_of, positive, readable

GROUP = FlagGroup(
    "Misc",
    (
        Flag("allow-privileged", BOOL, False, "Permit privileged containers."),
        Flag(
            "apiserver-count",
            INT,
            1,
            "How many servers there are, for the master-count reconciler.",
            positive,
            deprecated="the lease reconciler needs no count",
        ),
        Flag(
            "endpoint-reconciler-type",
            STRING,
            "lease",
            "Who maintains the endpoints of the kubernetes service: lease, master-count or none.",
            one_of("lease", "master-count", "none", ""),
        ),
        Flag("event-ttl", DURATION, 3600.0, "How long events are kept.", not_negative),
        Flag(
            "kubelet-certificate-authority",
            STRING,
            "",
            "CA that kubelets' serving certificates are verified with; without it they are not verified.",
            readable,
        ),
        Flag("kubelet-client-certificate", STRING, "", "Client certificate shown to kubelets.", readable),
        Flag("kubelet-client-key", STRING, "", "Key of that certificate.", readable),
        Flag(
            "kubelet-port",
            INT,
            10250,
            "Port of kubelets whose node does not say which it is.",
            between(1, 65535),
            deprecated="nodes report the port of their kubelet",
        ),
        Flag(
            "kubelet-preferred-address-types",
            STRINGS,
            ("Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"),
            "Types of a node's addresses, in the order in which one is looked for to reach its kubelet.",
        ),
        Flag("kubelet-timeout", DURATION, 5.0, "How long a connection to a kubelet may take.", positive),
        Flag(
            "kubernetes-service-node-port",
            INT,
            0,
            "If not 0, the kubernetes service is of type NodePort with this port.",
            between(0, 65535),
        ),
        Flag(
            "max-connection-bytes-per-sec",
            INT,
            0,
            "Most bytes a second that go through to a pod, service or node on one connection; 0 is no limit.",
            not_negative,
        ),
        Flag(
            "proxy-client-cert-file",
            STRING,
            "",
            "Client certificate shown to aggregated servers and webhooks.",
            readable,
        ),
        Flag("proxy-client-key-file", STRING, "", "Key of that certificate.", readable),
        Flag(
            "service-account-signing-key-file",
            STRING,
            "",
            "Key that signs service account tokens. Made at the first start if no service account key is given.",
            readable,
        ),
        Flag(
            "service-cluster-ip-range",
            CIDRS,
            "10.0.0.0/24",
            "Range of services' cluster IPs; its first address is the server's own.",
        ),
        Flag(
            "service-node-port-range",
            PORT_RANGE,
            "30000-32767",
            "Ports for services of type NodePort, both ends included.",
        ),
    ),
)
