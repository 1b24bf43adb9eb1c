"""Generated bad command lines: status 1, a message that names what is wrong, no traceback, nothing written."""

from __future__ import annotations

import contextlib
import io
import string
import tempfile
from pathlib import Path

from apiserver_supervisor import starting
from apiserver_supervisor.options import FLAGS
from apiserver_supervisor.options.flag import (
    BOOL,
    CIDRS,
    DURATION,
    FLOAT,
    INT,
    INTS,
    IP,
    NAMED_CERT_KEY,
    PAIRS,
    PORT,
    PORT_RANGE,
    UINT,
    VERSION,
)
from apiserver_supervisor.options.profile import KUBE_APISERVER, START
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kube_apiserver import run

# values that no flag of the type takes
BAD = {
    BOOL: ["yes", "2", "", "tRUE"],
    INT: ["x", "", "1.5", "1e3", "99999999999999999999", "1_0", " 1"],
    UINT: ["-1", "x", "4294967296.5"],
    INTS: ["x", "1,,2"],
    FLOAT: ["x", "nan", "inf", "1_0"],
    DURATION: ["5", "x", "1h-30m", "s", "1 h"],
    IP: ["localhost", "1.2.3", "1.2.3.4.5", "::g"],
    CIDRS: ["10.0.0.0/40", "x", "10.0.0.0/24,,"],
    PORT: ["x", "", "70000", "-1", "0"],
    PORT_RANGE: ["9-1", "x", "1-70000", "-"],
    NAMED_CERT_KEY: ["only", ",", "a,b,c"],
    PAIRS: ["no-equals"],
    VERSION: ["1.36", "vx"],
}
# values of the right type that make no sense
SENSELESS = [
    "--apiserver-count=0",
    "--authorization-mode=Nope",
    "--authorization-mode=RBAC,RBAC",
    "--client-ca-file=/no/such/file",
    "--cors-allowed-origins=(",
    "--enable-admission-plugins=Nope",
    "--encryption-provider-config-automatic-reload",
    "--etcd-servers=ftp://x",
    "--etcd-servers-overrides=x",
    "--event-ttl=-1s",
    "--feature-gates=NoSuchGate=true",
    "--goaway-chance=1",
    "--kubernetes-service-node-port=1",
    "--max-requests-inflight=-1",
    "--oidc-client-id=x",
    "--runtime-config=foo/v1=true",
    "--service-account-key-file=/no/such",
    "--service-cluster-ip-range=10.0.0.0/30",
    "--storage-media-type=x/y",
    "--strict-transport-security-directives=x",
    "--tls-cert-file=/no/such",
    "--tls-cipher-suites=NONE",
    "--tls-min-version=SSL3",
    "--token-auth-file=/no/such",
    "--watch-cache-sizes=pods",
]
NAMES = st.text(string.ascii_lowercase + "-_", min_size=1, max_size=12)
unknown = NAMES.map("x{}-".format).filter(lambda name: name not in FLAGS).map("--{}=1".format)
mistyped = st.sampled_from([f"--{f.name}={bad}" for f in FLAGS.values() for bad in BAD.get(f.type, ())])
word = st.text(string.ascii_letters, min_size=1, max_size=8)
faults = st.one_of(unknown, mistyped, st.sampled_from(SENSELESS), word)
harmless = st.sampled_from(
    ["--v=2", "--profiling=false", "--request-timeout=5s", "--event-ttl", "1h", "--anonymous-auth"]
)


@given(bad=st.lists(faults, min_size=1, max_size=3), good=st.lists(harmless, max_size=2), data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_a_bad_command_line_is_refused(bad: list[str], good: list[str], data: st.DataObject) -> None:
    good = [flag for flag in good if flag not in ("--event-ttl", "1h")]
    arguments = data.draw(st.permutations([*bad, *good]))
    profile = data.draw(st.sampled_from([START, KUBE_APISERVER]))
    with tempfile.TemporaryDirectory() as folder:
        private = [f"--run-dir={folder}/r", f"--data-dir={folder}/d", f"--cert-dir={folder}/c"]
        status, told = refuse([*private, *arguments], profile)
        assert status == 1
        assert told.startswith("error: ") and "Traceback" not in told
        assert any(fault.partition("=")[0] in told for fault in bad), told
        assert not list(Path(folder).iterdir())


def refuse(arguments: list[str], profile: object) -> tuple[int, str]:
    """What the command answers in this process; an AssertionError if it would have started a server."""
    original, errors = starting._serve, io.StringIO()

    def started(*_: object) -> int:
        raise AssertionError(f"not refused: {arguments}")

    starting._serve = started  # type: ignore[assignment]
    try:
        with contextlib.redirect_stderr(errors):
            return starting.command(arguments, profile), errors.getvalue()  # type: ignore[arg-type]
    finally:
        starting._serve = original


def test_a_real_process_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    done = run(
        "--secure-port=x", "--nope", "word", f"--run-dir={tmp_path}/r", f"--cert-dir={tmp_path}/c", TMPDIR=str(tmp_path)
    )
    assert done.returncode == 1 and not done.stdout
    assert all(text in done.stderr for text in ("--secure-port", "--nope", '"word"'))
    assert not list(tmp_path.iterdir())


def test_a_misspelt_flag_names_the_nearest() -> None:
    assert "unknown flag: --secure-prot (did you mean --secure-port?)" in run("--secure-prot=1").stderr
