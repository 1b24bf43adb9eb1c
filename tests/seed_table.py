"""docs/seed-systems.md: which tests check which row of the systems that the server is made of.

`python -m tests.seed_table > docs/seed-systems.md` writes it from the `seed` markers of the tests.
"""

from __future__ import annotations

import contextlib
import io
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
# a row's number and what it is about; the rows are those of the systems from main() to PrepareRun and Run
ROWS = dict(
    line.split(" ", 1)
    for line in """\
S1 Random life of watches
S2 Signals: the first stops, the second ends at once
S3 Flag names with underscores
S4 Verbosity
S5 The log is whole to its last line
S6 Failure exit
S7 Command identity
S8 --version
S9 Flags are logged
S10 Complete, then Validate, then Run
S11 Sectioned help
S12 Unknown flags
S13 Storage media type
S14 etcd prefix and keys
S15 Secure serving defaults
S16 Insecure serving defaults
S17 Authentication, all methods
S18 Authorization default
S19 Auditing default
S20 Features default
S21 Admission defaults
S22 Cloud provider default
S23 Storage versions
S24 API enablement default
S25 Scalar defaults
S26 Kubelet client defaults
S27 Node port range
S28 Service CIDR
S29 Advertise address from secure serving
S30 Advertise address from insecure serving
S31 Service range and the server's service IP
S32 Self-signed serving certificate
S33 External host
S34 Anonymous and AlwaysAllow
S35 Service account keys
S36 Deserialization cache heuristic
S37 Watch cache sizes
S38 Watch cache overrides
S39 runtime-config legacy keys
S40 Only completed options are validated and run
S41 apiserver-count
S42 etcd options
S43 service-cluster-ip-range
S44 kubernetes-service-node-port
S45 secure-port
S46 Authentication options
S47 Authorization options
S48 Audit options
S49 Admission options
S50 Insecure port
S51 runtime-config
S52 Token request options
S52a Generic options
S53 --address and --port
S54 Deprecated flags
S55 repair-malformed-updates
S56 allow-privileged
S57 Logs handler
S58 event-ttl
S59 max-connection-bytes-per-sec
S60 enable-aggregator-routing
S61 Proxy client certificate
S62 Token issuer
S63 Kubelet flags
S64 Run logs the version
S66 Proxy transport
S67 Shared server configuration
S71 Delegation
S73 Aggregator
S74 Aggregated proxying
S75 Insecure handler chain
S76 Insecure serving life
S77 Swagger 1.2
S78 OpenAPI
S79 Health endpoints
S82 Ready is told once all serves
S83 Post-start hooks
S84 Run returns
S85 Pre-shutdown hooks
S86 Requests that run at the stop
S87 Stop order
S88 The kubernetes service
S89 Its node port
S90 Reconciler choice
S91 master-count
S92 Lease reconciler
S93 No reconciler
S94 Endpoints removed at start and stop
S95 apiserver-count elsewhere
S96 System namespaces
S97 Service IP and node port repair
S98 Authentication config map
S100 In-flight limits
S101 Request timeout""".splitlines()
)
# rows whose check needs systems that are not there yet, with which
WAITING: dict[str, str] = {}

HEAD = """\
# Seed systems and their tests

Each row of the systems that an API server is made of, from the start of the process to its stop, with the tests that observe
it from outside. Run one row's tests with `scripts/test -k NAME`. This page is made by `python -m tests.seed_table`.

| row | what | tests |
|---|---|---|
"""


class _Collector:
    """A pytest plugin that notes the rows of every test that is collected."""

    def __init__(self) -> None:
        self.found: dict[str, list[str]] = defaultdict(list)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            name = item.nodeid.partition("[")[0]
            for marker in item.iter_markers("seed"):
                for row in marker.args:
                    if name not in self.found[row]:
                        self.found[row].append(name)


def marked() -> dict[str, list[str]]:
    """Test names by row, from the `seed` markers of modules, functions and parameters."""
    collector = _Collector()
    with contextlib.redirect_stdout(io.StringIO()):
        status = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", str(TESTS)], plugins=[collector])
    if status:
        raise SystemExit(f"the tests cannot be collected: {status!r}")
    return collector.found


def render() -> str:
    """The whole page."""
    found = marked()
    return HEAD + "".join(f"| {row} | {what} | {_tests(row, found[row])} |\n" for row, what in ROWS.items())


def _tests(row: str, names: list[str]) -> str:
    if row in WAITING:
        names = [*names, f"waits for {WAITING[row]}"]
    return "<br>".join(f"`{name}`" if "::" in name else name for name in sorted(names)) or "none yet"


if __name__ == "__main__":
    print(render(), end="")
