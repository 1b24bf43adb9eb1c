"""generic flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/server_run_options.go)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from apiserver_supervisor.options.feature_gates import FEATURE_GATES
from apiserver_supervisor.options.flag import BOOL, DURATION, FLOAT, INT, IP, STRING, STRINGS, Flag, FlagGroup
from apiserver_supervisor.options.validators import between, cors_origins, hsts, not_negative


def _seats(options: Any) -> Iterator[str]:
    """With priority and fairness the two limits together are what is shared out."""
    reading, writing = options.max_requests_inflight, options.max_mutating_requests_inflight
    if options.enable_priority_and_fairness and reading + writing <= 0:
        yield (
            f"invalid configuration: --max-requests-inflight={reading} and --max-mutating-requests-inflight={writing};"
            " they must add up to something positive"
        )


GROUP = FlagGroup(
    "Generic",
    (
        Flag(
            "advertise-address",
            IP,
            "",
            "IP address published to the cluster as this server's endpoint. By default that of --bind-address or, if that is not specific, of the interface with the default route.",
        ),
        Flag(
            "cors-allowed-origins",
            STRINGS,
            (),
            "Regular expressions of the origins that get CORS headers, such as ^https://example\\.com$.",
            cors_origins,
        ),
        Flag(
            "emulated-version",
            STRINGS,
            (),
            "Kubernetes minor version, at most three back, whose APIs and features are served instead of this one's.",
        ),
        Flag(
            "emulation-forward-compatible",
            BOOL,
            False,
            "With --emulated-version, serve also the newer stable versions of the APIs that it has.",
        ),
        Flag(
            "external-hostname",
            STRING,
            "",
            "Host name used in URLs of this server in discovery. By default the advertise address.",
        ),
        Flag(
            "feature-gates",
            FEATURE_GATES,
            {},
            "Features switched on or off by the names that Kubernetes has for them, such as WatchList=false; AllAlpha and"
            " AllBeta stand for all of a stage.",
        ),
        Flag(
            "goaway-chance",
            FLOAT,
            0.0,
            "Share of HTTP/2 requests whose client is to use another connection, so that clients spread over several servers; at most 0.02.",
            between(0, 0.02),
        ),
        Flag(
            "livez-grace-period",
            DURATION,
            0.0,
            "How long after the start /livez ignores start-up hooks that have not finished.",
            not_negative,
        ),
        Flag("master-service-namespace", STRING, "default", "Has no effect.", legacy="1.27"),
        Flag(
            "max-mutating-requests-inflight",
            INT,
            200,
            "Writing requests served at the same time; beyond that 429 is answered. 0 is no limit.",
            not_negative,
        ),
        Flag(
            "max-requests-inflight",
            INT,
            400,
            "Reading requests served at the same time; beyond that 429 is answered. 0 is no limit.",
            not_negative,
        ),
        Flag(
            "min-compatibility-version",
            STRINGS,
            (),
            "Oldest Kubernetes minor version that other servers of the same cluster may have.",
        ),
        Flag(
            "min-request-timeout",
            INT,
            1800,
            "Seconds that a watch without a timeout lives at least; it ends at a random moment before twice that.",
            not_negative,
        ),
        Flag(
            "request-timeout",
            DURATION,
            60.0,
            "How long a request may take, unless it is long-running such as a watch.",
            not_negative,
        ),
        Flag(
            "runtime-config-emulation-forward-compatible",
            BOOL,
            False,
            "With --emulated-version, let --runtime-config switch on APIs that are newer than it.",
        ),
        Flag(
            "shutdown-delay-duration",
            DURATION,
            0.0,
            "How long the server goes on serving after SIGTERM while /readyz fails already.",
            not_negative,
        ),
        Flag(
            "shutdown-send-retry-after",
            BOOL,
            False,
            "While the server drains, answer new requests with 429 and Retry-After instead of refusing connections.",
        ),
        Flag(
            "shutdown-watch-termination-grace-period",
            DURATION,
            0.0,
            "How long a stop waits for open watches to end by themselves.",
            not_negative,
        ),
        Flag(
            "storage-initialization-timeout",
            DURATION,
            60.0,
            "How long a start waits for the watch caches to fill before it fails, a minute at least; it is never ready before.",
            not_negative,
        ),
        Flag(
            "strict-transport-security-directives",
            STRINGS,
            (),
            "Contents of the Strict-Transport-Security header: max-age=N, includeSubDomains, preload.",
            hsts,
        ),
        Flag(
            "target-ram-mb",
            INT,
            0,
            "Memory budget in megabytes from which --watch-cache-sizes are estimated; 0 leaves them alone.",
            not_negative,
            legacy="1.24",
        ),
    ),
    (_seats,),
)
