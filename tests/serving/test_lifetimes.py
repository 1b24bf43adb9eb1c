"""How long things last: watches without a timeout, requests that hang, requests beyond the limits, and the stop."""

import http.client
import json
import os
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ADMIN_TOKEN, TOKENS
from tests.running import RunningServer, wait_for

pytestmark = pytest.mark.e2e
ALICE = "test-alice-token"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture(scope="module")
def tight(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with short times and small limits."""
    folder = tmp_path_factory.mktemp("tight")
    tokens = Path(folder, "tokens.csv")
    tokens.write_text(TOKENS)
    flags = (
        "--advertise-address=192.0.2.10",
        f"--token-auth-file={tokens}",
        "--authorization-mode=AlwaysAllow",
        "--min-request-timeout=5",
        "--request-timeout=3s",
        "--max-mutating-requests-inflight=1",
    )
    with RunningServer(folder, *flags) as server:
        yield server


def connection(server: RunningServer) -> http.client.HTTPSConnection:
    host, _, port = server.url.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=str(server.data_dir / "pki" / "ca.crt"))
    return http.client.HTTPSConnection(host, int(port), timeout=40, context=context)


def ask(
    server: RunningServer, method: str, path: str, body: str = "", token: str = ADMIN_TOKEN
) -> tuple[int, bytes, float]:
    """Status, body and how long it took."""
    asking = connection(server)
    began = time.monotonic()
    asking.request(method, path, body or None, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    answer = asking.getresponse()
    try:
        return answer.status, answer.read(), time.monotonic() - began
    finally:
        asking.close()


@pytest.mark.seed("S1")
def test_watches_without_a_timeout_end_each_at_a_moment_of_its_own(tight: RunningServer) -> None:
    ended: list[float] = []
    events: list[bytes] = []

    def watch() -> None:
        watching = connection(tight)
        began = time.monotonic()
        watching.request("GET", "/api/v1/namespaces?watch=1", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
        answer = watching.getresponse()
        events.append(answer.read())  # to the proper end; a broken one raises
        ended.append(time.monotonic() - began)
        watching.close()

    threads = [threading.Thread(target=watch) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert len(ended) == 20
    assert min(ended) > 4.9 and max(ended) < 13  # ten seconds, and a busy machine
    assert max(ended) - min(ended) > 0.5
    assert not any(b'"ERROR"' in text for text in events)


@pytest.fixture
def hanging(tight: RunningServer) -> Iterator[RunningServer]:
    """The same server while its etcd does not answer."""
    (etcd,) = tight.processes("etcd")
    os.kill(etcd, signal.SIGSTOP)
    try:
        yield tight
    finally:
        os.kill(etcd, signal.SIGCONT)
        wait_for(lambda: tight.request("GET", "/readyz")[0] == 200, 30)


@pytest.mark.seed("S101")
def test_a_request_that_hangs_is_given_up_in_time(hanging: RunningServer) -> None:
    status, body, took = ask(hanging, "POST", CONFIGMAPS, json.dumps({"metadata": {"name": "late"}}))
    assert (status, json.loads(body)["reason"]) == (504, "Timeout")
    assert 2.9 < took < 8
    status, body, took = ask(hanging, "POST", f"{CONFIGMAPS}?timeout=1s", json.dumps({"metadata": {"name": "late"}}))
    assert status == 504 and 0.9 < took < 2.9


@pytest.mark.seed("S100")
def test_writes_beyond_the_limit_are_sent_away_but_for_administrators(hanging: RunningServer) -> None:
    statuses: dict[str, int] = {}

    def post(name: str, token: str) -> None:
        statuses[name] = ask(hanging, "POST", CONFIGMAPS, json.dumps({"metadata": {"name": name}}), token)[0]

    first = threading.Thread(target=post, args=("first", ALICE))
    first.start()
    time.sleep(0.7)
    status, body, took = ask(hanging, "POST", CONFIGMAPS, json.dumps({"metadata": {"name": "second"}}), ALICE)
    assert (status, body) == (429, b"Too many requests, please try again later.\n") and took < 2
    post("admin", ADMIN_TOKEN)
    first.join(20)
    assert statuses == {"first": 504, "admin": 504}


@pytest.mark.seed("S27", "S28")
def test_the_default_ranges_of_services(server: RunningServer) -> None:
    service = json.loads(server.request("GET", "/api/v1/namespaces/default/services/kubernetes")[1])
    assert service["spec"]["clusterIP"] == "10.0.0.1"

    def create(name: str, **port: int) -> tuple[int, dict]:
        spec = {"type": "NodePort", "ports": [{"port": 80, **port}]}
        status, body = server.request(
            "POST", "/api/v1/namespaces/default/services", {"metadata": {"name": name}, "spec": spec}
        )
        return status, json.loads(body)

    status, refused = create("below", nodePort=29999)
    assert status == 422 and "30000-32767" in refused["message"]
    assert create("above", nodePort=32768)[0] == 422
    status, created = create("inside")
    assert status == 201 and 30000 <= created["spec"]["ports"][0]["nodePort"] <= 32767
    assert created["spec"]["clusterIP"].startswith("10.0.0.")


class SlowPost:
    """A creation of which the first half has been sent."""

    def __init__(self, server: RunningServer, name: str) -> None:
        self._body = json.dumps({"metadata": {"name": name}}).encode()
        self._connection = connection(server)
        self._connection.putrequest("POST", CONFIGMAPS)
        for header, value in (("Authorization", f"Bearer {ADMIN_TOKEN}"), ("Content-Type", "application/json")):
            self._connection.putheader(header, value)
        self._connection.putheader("Content-Length", str(len(self._body)))
        self._connection.endheaders()
        self._connection.send(self._body[:5])

    def finish(self) -> int:
        self._connection.send(self._body[5:])
        try:
            return self._connection.getresponse().status
        finally:
            self._connection.close()


def stopping(tmp_path: Path, *flags: str) -> RunningServer:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    return RunningServer(tmp_path, "--advertise-address=192.0.2.10", f"--token-auth-file={tokens}", *flags)


@pytest.mark.seed("S86", "S2")
def test_what_has_begun_is_finished_and_meanwhile_new_requests_are_sent_elsewhere(tmp_path: Path) -> None:
    with stopping(tmp_path, "--shutdown-send-retry-after") as server:
        post = SlowPost(server, "begun")
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)

        def sent_away() -> bool:
            asking = connection(server)
            asking.request("GET", "/version", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
            answer = asking.getresponse()
            if answer.status != 429:
                return False
            assert answer.read() == b"The apiserver is shutting down, please try again later.\n"
            assert (answer.headers["Retry-After"], answer.headers["Connection"]) == ("5", "close")
            return True

        wait_for(sent_away, 10)
        assert ask(server, "GET", "/livez")[0] == 200
        assert post.finish() == 201
        assert server.process.wait(10) == 0


@pytest.mark.seed("S2")
def test_a_second_signal_does_not_wait_for_what_has_begun(tmp_path: Path) -> None:
    with stopping(tmp_path) as server:
        post = SlowPost(server, "cut-off")
        (worker,) = server.processes("aggregator worker")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(1.5)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(2) == 1
        wait_for(
            lambda: not Path(f"/proc/{worker}/cmdline").exists() or not Path(f"/proc/{worker}/cmdline").read_text(), 2
        )
        with pytest.raises((OSError, http.client.HTTPException)):
            post.finish()


def test_watches_end_one_after_the_other_when_they_are_given_time(tmp_path: Path) -> None:
    with stopping(tmp_path, "--shutdown-watch-termination-grace-period=5s") as server:
        watches = []
        for _ in range(40):
            watch = connection(server)
            watch.request("GET", "/api/v1/namespaces?watch=1", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
            watches.append(watch.getresponse())
        ended: list[float] = []

        def follow(answer: http.client.HTTPResponse) -> None:
            answer.read()
            ended.append(time.monotonic())

        threads = [threading.Thread(target=follow, args=(watch,)) for watch in watches]
        for thread in threads:
            thread.start()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(15) == 0
        for thread in threads:
            thread.join(5)
        assert len(ended) == 40  # each by its proper end
        assert max(ended) - min(ended) > 40 / 200 / 2  # 200 a second, not all at once
