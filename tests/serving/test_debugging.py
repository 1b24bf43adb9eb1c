"""Looking inside a running server: profiles, verbosity, the debug socket."""

import contextlib
import gzip
import http.client
import json
import re
import socket
import threading
import time
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from tests.conftest import ADMIN_TOKEN
from tests.running import RunningServer, wait_for
from tests.serving.conftest import OpenServer, token_request

pytestmark = pytest.mark.e2e


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


def by_debug_socket(opened: OpenServer, method: str, path: str, body: str = "") -> tuple[int, bytes]:
    connection = UnixConnection(str(opened.debug_socket))
    connection.request(method, path, body or None)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.seed("S20")
def test_the_index_lists_the_profiles(opened: OpenServer) -> None:
    status, body = opened.server.request("GET", "/debug/pprof/")
    assert status == 200
    for name in ("profile", "heap", "goroutine", "block", "cmdline"):
        assert f"<a href='{name}'>".encode() in body
    assert opened.server.request("GET", "/debug/pprof/nope")[0] == 404


@pytest.mark.seed("S20")
def test_a_cpu_profile_shows_where_the_time_of_all_workers_goes(opened: OpenServer) -> None:
    over = threading.Event()

    def load() -> None:
        roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles"
        while not over.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException):  # a busy machine is no reason to stop
                opened.insecure("GET", "/openapi/v3/apis/apps/v1")
                opened.insecure("GET", roles, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    found: set[str] = set()

    def profiled() -> bool:
        status, body = opened.server.request("GET", "/debug/pprof/profile?seconds=1", timeout=30)
        assert status == 200
        lines = body.decode().splitlines()
        assert all(re.fullmatch(r"(aggregator|core|extensions)-\d+;.+ \d+", line) for line in lines)
        found.update(line.partition("-")[0] for line in lines if "HttpProtocol." in line)
        return {"aggregator", "core"} <= found

    try:
        wait_for(profiled, 60, "both groups at work")
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_a_profile_in_the_format_of_pprof(opened: OpenServer) -> None:
    text = opened.server.request("GET", "/debug/pprof/goroutine")[1].decode()
    status, body = opened.server.request("GET", "/debug/pprof/goroutine?debug=0")
    assert status == 200
    profile = profile_message()
    profile.ParseFromString(gzip.decompress(body))
    strings = profile.string_table
    assert strings[0] == "" and strings[profile.sample_type[0].type] == "goroutine"
    names = {function.id: strings[function.name] for function in profile.function}
    lines = {one.id: one.line[0] for one in profile.location}
    stacks = [[names[lines[number].function_id] for number in reversed(one.location_id)] for one in profile.sample]
    wanted = {line.partition(";")[0] for line in text.splitlines()}
    assert {stack[0] for stack in stacks} == wanted
    assert any(stack[1:2] == ["Reflector._run"] for stack in stacks)
    assert all(one.value[0] >= 1 for one in profile.sample)
    status, body = opened.server.request("GET", "/debug/pprof/profile?seconds=0.2&debug=0")
    profile.ParseFromString(gzip.decompress(body))
    types = [(profile.string_table[one.type], profile.string_table[one.unit]) for one in profile.sample_type]
    assert types == [("samples", "count"), ("cpu", "nanoseconds")] and profile.period == 10_000_000


def profile_message() -> Any:
    """An empty message of github.com/google/pprof/proto/profile.proto, as far as we write it."""
    messages = {
        "ValueType": [("type", 1, "int64"), ("unit", 2, "int64")],
        "Sample": [("location_id", 1, "*uint64"), ("value", 2, "*int64")],
        "Line": [("function_id", 1, "uint64"), ("line", 2, "int64")],
        "Location": [("id", 1, "uint64"), ("line", 4, "*Line")],
        "Function": [(name, number, "int64") for number, name in enumerate(("name", "system_name", "filename"), 2)]
        + [("id", 1, "uint64"), ("start_line", 5, "int64")],
        "Profile": [
            *(("sample_type", 1, "*ValueType"), ("sample", 2, "*Sample"), ("location", 4, "*Location")),
            *(("function", 5, "*Function"), ("string_table", 6, "*string"), ("time_nanos", 9, "int64")),
            *(("duration_nanos", 10, "int64"), ("period_type", 11, "ValueType"), ("period", 12, "int64")),
        ],
    }
    file = FileDescriptorProto(name="profile.proto", package="profiles", syntax="proto3")
    for message, fields in messages.items():
        made = file.message_type.add(name=message)
        for name, number, kind in fields:
            field = made.field.add(name=name, number=number, label=3 if kind.startswith("*") else 1)
            kind = kind.removeprefix("*")
            field.type = {"int64": 3, "uint64": 4, "string": 9}.get(kind, 11)
            if field.type == 11:
                field.type_name = f".profiles.{kind}"
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("profiles.Profile"))()


def test_the_heap_and_the_tasks_are_those_of_each_worker(opened: OpenServer) -> None:
    workers = {
        f"{role}-{pid}"
        for role in ("aggregator", "core", "extensions")
        for pid in opened.server.processes(f"{role} worker")
    }
    assert len(workers) == 4
    heap = opened.server.request("GET", "/debug/pprof/heap")[1].decode()
    assert {line.partition(";")[0] for line in heap.splitlines()} == workers
    rss = [int(line.split()[1]) for line in heap.splitlines() if ";Rss: " in line]
    assert len(rss) == 4 and all(kilobytes > 10_000 for kilobytes in rss)
    (core,) = (worker for worker in workers if worker.startswith("core"))
    tasks = opened.server.request("GET", f"/debug/pprof/goroutine?worker={core}")[1].decode()
    assert {line.partition(";")[0] for line in tasks.splitlines()} == {core}
    assert "Reflector._run (apiserver_workers/storage/reflector.py:" in tasks and "thread MainThread" in tasks
    titles = opened.server.request("GET", "/debug/pprof/cmdline")[1].decode()
    assert "core worker" in titles and opened.server.request("GET", "/debug/pprof/heap?worker=no-1")[0] == 404


def test_what_blocks_a_loop_is_recorded_with_contention_profiling(opened: OpenServer) -> None:
    many = [{"op": "add", "path": f"/data/k{number}", "value": "x" * 100} for number in range(9000)]
    path = "/api/v1/namespaces/default/configmaps"
    opened.insecure(
        "POST", path, json.dumps({"metadata": {"name": "big"}, "data": {"a": "b"}}), Content_Type="application/json"
    )

    def recorded() -> bool:
        kind = "application/json-patch+json"
        assert opened.insecure("PATCH", f"{path}/big?dryRun=All", json.dumps(many), Content_Type=kind)[0] == 200
        return b"core-" in opened.server.request("GET", "/debug/pprof/block")[1]

    wait_for(recorded, 20, "a stall of the core worker")
    line = next(
        line for line in opened.server.request("GET", "/debug/pprof/block")[1].decode().splitlines() if "core-" in line
    )
    assert int(line.rpartition(" ")[2]) >= 20


@pytest.mark.seed("S4")
def test_the_verbosity_is_set_in_all_workers_and_stays_for_new_ones(opened: OpenServer) -> None:
    server = opened.server

    def logged(role: str, text: str) -> bool:
        return text in (server.run_dir / "logs" / f"{role}.log").read_text()

    assert server.request("GET", "/api/v1/namespaces/quiet")[0] == 404
    status, body = server.request("PUT", "/debug/flags/v", 6)
    assert (status, body) == (200, b"successfully set klog.logging.verbosity to 6\n")
    workers = [(role, pid) for role in ("aggregator", "core") for pid in server.processes(f"{role} worker")]
    for role, pid in workers:
        wait_for(
            lambda role=role, pid=pid: re.search(
                rf"^I.* {pid} {role} .*verbosity is 6 now", log_of(server, role), re.M
            ),
            5,
        )
    assert server.request("GET", "/api/v1/namespaces/loud")[0] == 404
    wait_for(lambda: logged("aggregator", 'URI="/api/v1/namespaces/loud"'), 5)
    assert not logged("aggregator", 'URI="/api/v1/namespaces/quiet"')
    assert opened.insecure("GET", "/api/v1/namespaces/loud-and-plain")[0] == 404
    wait_for(lambda: logged("aggregator", 'URI="/api/v1/namespaces/loud-and-plain"'), 5)
    server.command("restart", "aggregator")
    assert server.request("GET", "/api/v1/namespaces/still-loud")[0] == 404
    wait_for(lambda: logged("aggregator", 'URI="/api/v1/namespaces/still-loud"'), 5)
    assert server.request("PUT", "/debug/flags/v", 0)[0] == 200
    assert server.request("GET", "/api/v1/namespaces/quiet-again")[0] == 404
    time.sleep(0.1)
    assert not logged("aggregator", 'URI="/api/v1/namespaces/quiet-again"')


def log_of(server: RunningServer, role: str) -> str:
    return (server.run_dir / "logs" / f"{role}.log").read_text()


@pytest.mark.seed("S4")
def test_what_is_no_verbosity_is_refused_in_go_s_words(opened: OpenServer) -> None:
    status, body = opened.server.request("PUT", "/debug/flags/v", "x")
    said = b'failed set klog.logging.verbosity "x": strconv.ParseInt: parsing ""x"": invalid syntax\n'
    assert (status, body) == (400, said)
    assert opened.server.request("GET", "/debug/flags/v") == (406, b"unsupported http method\n")
    assert b"<tr>v<br>" in opened.server.request("GET", "/debug/flags")[1]


@pytest.mark.seed("S20")
def test_metrics_can_be_reset_in_all_workers(opened: OpenServer) -> None:
    def counted() -> float:
        text = opened.server.request("GET", "/metrics")[1].decode()
        found = re.findall(r"^apiserver_request_total\{.*\} (\d+)$", text, re.M)
        return sum(map(float, found))

    for _ in range(30):
        opened.server.request("GET", "/version")
    assert counted() >= 30
    assert opened.server.request("DELETE", "/metrics") == (200, b"metrics reset\n")
    assert counted() < 10
    assert b"kubernetes_build_info{" in opened.server.request("GET", "/metrics")[1]


def test_who_may_do_nothing_sees_no_profile(opened: OpenServer) -> None:
    assert token_request(opened.server, "GET", "/debug/pprof/heap", "test-bob-token")[0] == 403
    assert token_request(opened.server, "PUT", "/debug/flags/v", "test-bob-token", "6")[0] == 403
    assert token_request(opened.server, "GET", "/debug/pprof/heap", ADMIN_TOKEN)[0] == 200


def test_the_debug_socket_asks_nobody_and_serves_nothing_else(opened: OpenServer) -> None:
    assert by_debug_socket(opened, "GET", "/debug/pprof/heap")[0] == 200
    assert by_debug_socket(opened, "PUT", "/debug/flags/v", "0")[0] == 200
    assert by_debug_socket(opened, "GET", "/api/v1/namespaces")[0] == 404
    assert opened.debug_socket.stat().st_mode & 0o777 == 0o600


@pytest.mark.seed("S20", "S57")
def test_without_profiling_there_is_nothing_to_look_into(tmp_path) -> None:
    debug = tmp_path / "debug.sock"
    flags = ("--profiling=false", f"--debug-socket-path={debug}", "--advertise-address=192.0.2.10")
    with RunningServer(tmp_path, *flags) as server:
        for path in ("/debug/pprof/", "/debug/pprof/heap", "/debug/flags/v", "/logs/", "/swaggerapi", "/swagger-ui/"):
            assert server.request("GET", path)[0] == 404, path
        before = server.request("GET", "/metrics")[1]
        assert server.request("DELETE", "/metrics")[1] != b"metrics reset\n"
        assert (
            b"apiserver_request_total{" in before
            and b"apiserver_request_total{" in server.request("GET", "/metrics")[1]
        )
        assert by_debug_socket(OpenServer(server, 0, debug), "GET", "/debug/pprof/heap")[0] == 200
    assert not debug.exists()


@pytest.mark.parametrize("kind", ["healthz", "livez", "readyz"])
def test_health_names_what_upstream_names(server: RunningServer, kind: str) -> None:
    code, told = server.request("GET", f"/{kind}?verbose")
    assert code == 200
    checks = {line[3:].removesuffix(" ok") for line in told.decode().splitlines() if line.startswith("[+]")}
    assert {
        "autoregister-completion",
        "poststarthook/apiservice-discovery-controller",
        "poststarthook/apiservice-openapi-controller",
        "poststarthook/apiservice-openapiv3-controller",
        "poststarthook/apiservice-registration-controller",
        "poststarthook/kube-apiserver-autoregistration",
        "poststarthook/start-kube-aggregator-informers",
    } <= checks
    assert server.request("GET", f"/{kind}/autoregister-completion") == (200, b"ok")
