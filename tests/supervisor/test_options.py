"""Command lines become options by the rules of upstream's flag library."""

from __future__ import annotations

import re

import pytest
from apiserver_supervisor.completion import complete
from apiserver_supervisor.options import FLAGS, GROUPS
from apiserver_supervisor.options.flag import FlagError, format_duration, parse_duration, parse_port_range
from apiserver_supervisor.options.help import render
from apiserver_supervisor.options.parsing import OptionsError, parse
from apiserver_supervisor.options.validation import validate


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--secure-port=7443"], "secure_port", 7443),
        (["--secure_port", "7443"], "secure_port", 7443),
        (["--secure-port=auto"], "secure_port", "auto"),
        (["--anonymous-auth=false"], "anonymous_auth", False),
        (["--anonymous-auth=F", "--anonymous-auth"], "anonymous_auth", True),
        (["--etcd-servers=http://a:1,http://b:2", "--etcd-servers=http://c:3"], "etcd_servers", 3),
        (["--service-account-issuer=https://a,b", "--service-account-issuer=c"], "service_account_issuer", 2),
        (["--authorization-mode="], "authorization_mode", ()),
        (
            ["--runtime-config=a/v1=false, b/v1", "--runtime-config=a/v1=true"],
            "runtime_config",
            {"a/v1": "true", "b/v1": ""},
        ),
        (["--request-timeout=1m30s"], "request_timeout", 90.0),
        (["--service-node-port-range=30000+10"], "service_node_port_range", "30000-30010"),
        ([], "event_ttl", 3600.0),
    ],
)
def test_values(arguments: list[str], field: str, value: object) -> None:
    found = getattr(parse(arguments), field)
    assert (len(found) if isinstance(value, int) and isinstance(found, tuple) else found) == value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--secur-port=1"], "unknown flag: --secur-port (did you mean --secure-port?)"),
        (["--no-such-thing-at-all"], "unknown flag: --no-such-thing-at-all"),
        (["word"], 'does not take any arguments, got ["word"]'),
        (["--v"], "flag needs an argument: --v"),
        (["--v=x"], 'invalid argument "x" for "--v" flag: must be a whole number'),
        (["--bind-address=host"], "must be an IP address"),
        (["--request-timeout=5"], "must be a duration"),
        (["--profiling=yes"], "must be true or false"),
        (["--service-node-port-range=9-1"], "the lower one first"),
        (["--service-cluster-ip-range=10.0.0.0/40"], "must be one CIDR"),
    ],
)
def test_faults_of_the_command_line(arguments: list[str], message: str) -> None:
    with pytest.raises(OptionsError, match=re.escape(message)):
        parse(arguments)


def test_all_faults_are_told_at_once_in_brackets() -> None:
    with pytest.raises(OptionsError) as told:
        validate(complete(parse(["--secure-port=0", "--apiserver-count=0", "--authorization-mode=RBAC,RBAC,Nope"])))
    text = str(told.value)
    assert text.startswith("[") and text.endswith("]")
    assert all(part in text for part in ("--secure-port 0", "--apiserver-count", '"Nope"', "more than once"))
    assert len(told.value.errors) == 4


def test_an_unreadable_file_is_named_with_its_flag() -> None:
    with pytest.raises(OptionsError, match=r"--token-auth-file: /no/such: (?i:no such file)"):
        validate(complete(parse(["--token-auth-file=/no/such"])))


@pytest.mark.parametrize("text", ["1h30m", "250ms", "1m0s", "0", "1.5h", "-3s"])
def test_durations(text: str) -> None:
    expected = {"1h30m": 5400, "250ms": 0.25, "1m0s": 60, "0": 0, "1.5h": 5400, "-3s": -3}
    assert parse_duration(text) == expected[text]


def test_durations_are_printed_as_go_does() -> None:
    assert [format_duration(s) for s in (0, 60, 3600, 5405.5, 0.25)] == ["0s", "1m0s", "1h0m0s", "1h30m5.5s", "250ms"]


@pytest.mark.parametrize("text", ["a-b", "1-70000", "5-1"])
def test_port_ranges_refused(text: str) -> None:
    with pytest.raises(FlagError):
        parse_port_range(text)


def test_the_service_ip_is_the_first_address_of_the_range() -> None:
    assert complete(parse(["--service-cluster-ip-range=10.3.0.0/29"])).service_ip == "10.3.0.1"
    with pytest.raises(OptionsError, match="must be at least 8 IP addresses"):
        complete(parse(["--service-cluster-ip-range=10.3.0.0/30"]))


def test_the_advertise_address_follows_a_specific_bind_address() -> None:
    assert complete(parse(["--bind-address=192.0.2.9"])).advertise_address == "192.0.2.9"
    completed = complete(parse(["--bind-address=192.0.2.9", "--advertise-address=192.0.2.10"]))
    assert completed.advertise_address == completed.external_hostname == "192.0.2.10"


def test_anonymous_requests_are_off_when_everything_is_allowed() -> None:
    assert not complete(parse(["--authorization-mode=AlwaysAllow"])).anonymous_auth
    assert complete(parse([])).anonymous_auth


def test_a_run_folder_too_long_for_sockets_is_refused() -> None:
    with pytest.raises(OptionsError, match="too long for Unix sockets"):
        complete(parse([f"--run-dir=/tmp/{'x' * 100}"]))


def test_the_instance_names_the_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/s")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    completed = complete(parse(["--instance=b"]))
    assert (completed.run_dir, completed.data_dir) == (
        "/s/apiserver-supervisor/b/run",
        "/s/apiserver-supervisor/b/data",
    )


def test_every_flag_has_help_and_a_valid_default() -> None:
    validate(complete(parse([])))
    for flag in FLAGS.values():
        assert flag.help.endswith((".", ")")), flag.name


def test_help_has_a_section_for_each_group_and_fits_the_terminal() -> None:
    text = render(80)
    assert [line for line in text.splitlines() if line.endswith(" flags:")] == [f"{g.name} flags:" for g in GROUPS]
    assert all((f"--{name} " in text or f"--{name}\n" in text) is not flag.hidden for name, flag in FLAGS.items())
    assert max(map(len, text.splitlines())) <= 80
