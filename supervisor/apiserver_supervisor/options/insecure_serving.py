"""insecure serving flags, which kube-apiserver had until 1.23 (upstream: pkg/kubeapiserver/options/serving.go)."""

from apiserver_supervisor.options.flag import INT, IP, Flag, FlagGroup
from apiserver_supervisor.options.validators import insecure_port

GONE = "1.24"

GROUP = FlagGroup(
    "Insecure serving",
    (
        Flag(
            "address",
            IP,
            "127.0.0.1",
            "Same as --insecure-bind-address.",
            deprecated="see --insecure-bind-address instead.",
            legacy=GONE,
            sets="insecure-bind-address",
            hidden=True,
        ),
        Flag(
            "insecure-bind-address",
            IP,
            "127.0.0.1",
            "Address of the insecure port.",
            deprecated="this flag will be removed in a future version.",
            legacy=GONE,
        ),
        Flag(
            "insecure-port",
            INT,
            0,
            "Port of plain HTTP without authentication and authorization: whoever reaches it may do everything. 0 is none.",
            insecure_port,
            deprecated="this flag will be removed in a future version.",
            legacy=GONE,
        ),
        Flag(
            "port",
            INT,
            0,
            "Same as --insecure-port.",
            deprecated="see --insecure-port instead.",
            legacy=GONE,
            sets="insecure-port",
            hidden=True,
        ),
    ),
)
