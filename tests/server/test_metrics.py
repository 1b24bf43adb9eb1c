"""Metrics: counting, merging the numbers of several workers, and the text that Prometheus reads."""

import asyncio

import orjson
import pytest
from apiserver_workers.apimachinery.metrics import MAX, Registry, merged, render
from apiserver_workers.server.config import ServerConfig
from apiserver_workers.server.http.messages import Request
from apiserver_workers.server.http.request_info import request_info
from apiserver_workers.server.metrics import REQUESTS, Metrics, RequestMetrics
from apiserver_workers.server.process.private import PrivateEndpoints

from tests.server.serving import serving


def snapshot(number):
    registry = Registry()
    registry.counter("requests_total", "Requests.", ("code",)).inc(("200",), number)
    registry.gauge("build_info", "Build.", merge=MAX).set(1)
    histogram = registry.histogram("seconds", "Time.", ("verb",), buckets=(0.5, 1))
    for value in (0.1, 1, 7):
        histogram.observe(value, ("GET",))
    return orjson.loads(orjson.dumps(registry.snapshot()))


def test_the_numbers_of_all_workers_become_one():
    assert render(merged([snapshot(2), snapshot(3)])) == (
        "# HELP build_info Build.\n# TYPE build_info gauge\nbuild_info 1\n"
        '# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total{code="200"} 5\n'
        "# HELP seconds Time.\n# TYPE seconds histogram\n"
        'seconds_bucket{verb="GET",le="0.5"} 2\nseconds_bucket{verb="GET",le="1"} 4\n'
        'seconds_bucket{verb="GET",le="+Inf"} 6\nseconds_sum{verb="GET"} 16.2\nseconds_count{verb="GET"} 6\n'
    )


def test_label_values_are_escaped():
    registry = Registry()
    registry.counter("a", "b\nc", ("x",)).inc(('"\\\n',))
    assert render(registry.snapshot()) == '# HELP a b\\nc\n# TYPE a counter\na{x="\\"\\\\\\n"} 1\n'


def test_a_name_is_given_once():
    registry = Registry()
    registry.counter("a", "")
    with pytest.raises(ValueError, match="there already"):
        registry.gauge("a", "")


def request(path):
    return Request("GET", path, "", {}, info=request_info("GET", path))


def test_clients_cannot_invent_labels():
    metrics = RequestMetrics()
    before = set(REQUESTS.values)
    for number in range(5):
        metrics.record(request(f"/apis/made-up-{number}/v1/things"), 404, 0.1)
    (made,) = set(REQUESTS.values) - before
    assert made[:2] == ("LIST", "")
    metrics.record(request("/apis/metrics.test/v1/things/x"), 200, 0.1)
    metrics.record(request("/apis/metrics.test/v1/things/y"), 404, 0.1)
    label = ("GET", "", "metrics.test", "v1", "things", "", "resource", "apiserver")
    assert REQUESTS.values[*label, "200"] == REQUESTS.values[*label, "404"] == 1


def test_a_scrape_asks_every_worker_and_forgets_dead_ones(tmp_path):
    folder = tmp_path / "workers"
    folder.mkdir()
    config = ServerConfig(instance="", run_dir=str(tmp_path), service_ip="", loopback_token="")
    answer = PrivateEndpoints(config).handle
    with serving(answer, str(folder / "dead.sock")):
        pass
    with serving(answer, str(folder / "core-1.sock")):
        response = asyncio.run(Metrics(str(tmp_path)).handle(Request("GET", "/metrics", "", {})))
    text = response.body.decode()
    assert "# TYPE apiserver_request_total counter\n" in text
    assert "process_resident_memory_bytes" in text
    assert "kubernetes_healthcheck" not in text
    assert not (folder / "dead.sock").exists()
