"""Where values come from: flag before environment before file before default, and `config` says so."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from apiserver_supervisor.completion import complete
from apiserver_supervisor.configuration import redact
from apiserver_supervisor.options.parsing import CompletedOptions, OptionsError, parse
from apiserver_supervisor.options.profile import KUBE_APISERVER
from apiserver_supervisor.options.validation import validate

from tests.running import COMMAND

seed = pytest.mark.seed
FILE = """\
secure-port: 7443
authorization-mode: [Node, RBAC]
runtime_config: {batch/v1: false, api/beta: true}
feature-gates: {WatchList: true}
service-account-issuer: ["https://a.example,with-comma"]
cors-allowed-origins: ["^https://a,b$"]
anonymous-auth: false
request-timeout: 90s
v: 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "server.yaml"
    path.write_text(FILE)
    return path


def test_a_file_gives_values_of_every_kind(file: Path) -> None:
    options = parse([f"--config={file}"])
    assert (options.secure_port, options.v, options.request_timeout, options.anonymous_auth) == (7443, 3, 90.0, False)
    assert options.authorization_mode == ("Node", "RBAC")
    assert options.runtime_config == {"batch/v1": "false", "api/beta": "true"}
    assert options.feature_gates == {"WatchList": True}
    assert options.service_account_issuer == ("https://a.example,with-comma",)
    assert options.cors_allowed_origins == ("^https://a,b$",)


def test_a_flag_comes_before_the_environment_and_that_before_the_file(file: Path) -> None:
    environment = {"APISERVER_SUPERVISOR_V": "5", "APISERVER_SUPERVISOR_SECURE_PORT": "8443", "HOME": "/"}
    options = parse([f"--config={file}", "--v=7"], environment)
    assert (options.v, options.secure_port, options.request_timeout, options.event_ttl) == (7, 8443, 90.0, 3600.0)
    sources = {"v": "flag", "secure_port": "environment", "request_timeout": "file"}
    assert {field: options.sources[field] for field in sources} == sources
    assert "event_ttl" not in options.given


def test_the_environment_can_name_the_file(file: Path) -> None:
    assert parse([], {"APISERVER_SUPERVISOR_CONFIG": str(file)}).secure_port == 7443


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("secur-port: 1", "unknown flag: --secur-port (did you mean --secure-port?)"),
        ("secure-port: [1]", "invalid value for --secure-port: a list of words is not what this flag takes"),
        ("secure-port: x", "invalid value for --secure-port: must be a whole number"),
        ("authorization-mode: {a: b}", "invalid value for --authorization-mode: a mapping is not what this flag takes"),
        ("authorization-mode: [[a]]", "invalid value for --authorization-mode"),
        ("a: [", "no valid YAML"),
        ("- a", "must hold one YAML mapping"),
        ("feature-gates: {WatchList: maybe}", "invalid value for --feature-gates"),
    ],
)
def test_faults_of_a_file_name_it_and_the_flag(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(OptionsError) as told:
        parse([f"--config={path}"])
    assert str(path) in str(told.value) and message in str(told.value)


def test_faults_of_the_environment_name_the_variable_and_the_flag() -> None:
    with pytest.raises(OptionsError) as told:
        parse([], {"APISERVER_SUPERVISOR_V": "x", "APISERVER_SUPERVISOR_SECUR_PORT": "1"})
    assert 'APISERVER_SUPERVISOR_V: invalid value "x" for --v' in str(told.value)
    assert "did you mean --secure-port?), from APISERVER_SUPERVISOR_SECUR_PORT" in str(told.value)


def config(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "config", *arguments], capture_output=True, text=True, env=os.environ | environment
    )


def test_config_shows_values_with_their_sources_and_no_password(file: Path) -> None:
    server = "--etcd-servers=https://root:secret@127.0.0.1:2379"
    done = config(
        "-o", "json", "--", f"--config={file}", server, "--advertise-address=192.0.2.10", APISERVER_SUPERVISOR_V="5"
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["secure-port"] == {"value": 7443, "source": "file"}
    assert shown["v"] == {"value": 5, "source": "environment"}
    assert shown["advertise-address"]["source"] == "flag"
    assert shown["event-ttl"] == {"value": 3600.0, "source": "default"}
    assert shown["etcd-servers"]["value"] == ["https://REDACTED@127.0.0.1:2379"]
    assert "secret" not in done.stdout
    table = config(f"--config={file}", server).stdout
    assert "secret" not in table and "secure-port" in table and "event-ttl" not in table
    assert redact({"a": "http://u:p@h"}) == {"a": "http://REDACTED@h"}


def test_config_refuses_what_start_refuses() -> None:
    done = config("--secure-port=0")
    assert done.returncode == 1 and "--secure-port 0 must be between" in done.stderr


def completed(*arguments: str, strict: bool = False) -> CompletedOptions:
    address = [] if any("advertise" in argument for argument in arguments) else ["--advertise-address=192.0.2.10"]
    return complete(parse([*address, *arguments], profile=KUBE_APISERVER) if strict else parse([*address, *arguments]))


@seed("S36", "S37")
@pytest.mark.parametrize(("megabytes", "size"), [(0, 1000), (12000, 5000), (120000, 50000)])
def test_the_memory_budget_of_old_releases_gives_the_sizes_that_they_had(megabytes: int, size: int) -> None:
    shown = json.loads(config("-o", "json", f"--target-ram-mb={megabytes}", "--advertise-address=192.0.2.10").stdout)
    assert shown["deserialization-cache-size"]["value"] == size
    if megabytes == 12000:
        caches = dict(entry.split("#") for entry in shown["watch-cache-sizes"]["value"])
        assert caches == {
            "replicationcontrollers": "1000",
            "endpoints": "2000",
            "nodes": "1000",
            "pods": "10000",
            "services": "1000",
            "apiservices.apiregistration.k8s.io": "1000",
        }


@seed("S38")
def test_what_the_user_says_replaces_one_estimate() -> None:
    sizes = completed("--target-ram-mb=12000", "--watch-cache-sizes=pods#7,events#0").watch_cache_sizes
    assert "pods#7" in sizes and "events#0" in sizes and "nodes#1000" in sizes


@seed("S29", "S30")
def test_the_advertise_address_follows_the_bind_addresses() -> None:
    def address(*arguments: str) -> str:
        return complete(parse(arguments, profile=KUBE_APISERVER)).advertise_address

    assert address("--bind-address=192.0.2.10") == "192.0.2.10"
    assert address("--insecure-port=8080", "--insecure-bind-address=192.0.2.9") == "192.0.2.9"
    assert address("--bind-address=192.0.2.10", "--advertise-address=192.0.2.11") == "192.0.2.11"


@seed("S40")
def test_only_completed_options_are_validated() -> None:
    with pytest.raises(TypeError):
        validate(parse([]))  # type: ignore[arg-type]


@seed("S50")
def test_the_highest_insecure_port_is_upstreams() -> None:
    assert validate(completed("--insecure-port=65335")) is None


@seed("S53")
def test_the_last_name_of_the_insecure_port_on_the_line_counts() -> None:
    options = completed("--port=8080", "--insecure-port=8081", "--address=127.0.0.2")
    assert (options.insecure_port, options.insecure_bind_address) == (8081, "127.0.0.2")
    assert completed("--insecure-port=8081", "--port=0").insecure_port == 0


@seed("S48")
def test_options_of_a_backend_that_is_off_are_not_validated() -> None:
    assert validate(completed("--audit-log-mode=x", "--audit-webhook-batch-max-size=0")) is None
