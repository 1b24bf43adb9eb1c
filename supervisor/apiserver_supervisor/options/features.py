"""features flags (upstream: staging/src/k8s.io/apiserver/pkg/server/options/feature.go)."""

from apiserver_supervisor.options.flag import BOOL, STRING, Flag, FlagGroup
from apiserver_supervisor.options.validators import socket_path

GROUP = FlagGroup(
    "Features",
    (
        Flag("contention-profiling", BOOL, False, "Also profile who waits for whom, if --profiling is on."),
        Flag(
            "debug-socket-path",
            STRING,
            "",
            "Unix socket that serves the profiles without authentication, for whoever can open it.",
            socket_path,
        ),
        Flag(
            "enable-priority-and-fairness",
            BOOL,
            True,
            "Share out requests by flow schemas and priority levels, instead of by the two limits of requests in flight.",
            missing="priority and fairness, the two limits count instead",
        ),
        Flag(
            "enable-swagger-ui",
            BOOL,
            False,
            "Serve a page for reading the API at /swagger-ui/, and Swagger 1.2 at /swaggerapi.",
            legacy="1.24",
        ),
        Flag("profiling", BOOL, True, "Serve /debug/pprof/ and /debug/flags/v."),
    ),
)
