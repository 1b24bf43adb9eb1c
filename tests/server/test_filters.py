"""The filters of the front that decide by themselves, each around a small handler."""

import asyncio

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.filters.cache_control import PRIVATE, CacheControl
from apiserver_workers.server.filters.cors import CORS
from apiserver_workers.server.filters.deadline import RequestDeadline
from apiserver_workers.server.filters.draining import Lifecycle, RetryAfter, WaitGroup
from apiserver_workers.server.filters.hsts import HSTS
from apiserver_workers.server.filters.http_logging import REQUEST_LOG, HTTPLogging
from apiserver_workers.server.filters.max_in_flight import MaxInFlight
from apiserver_workers.server.filters.observer import Observer
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.filters.request_info import RequestInfoFilter
from apiserver_workers.server.filters.warning_recorder import WarningRecorder, recorded
from apiserver_workers.server.http.messages import Request, text_response
from apiserver_workers.server.http.request_info import request_info


def request(path="/api/v1/pods", query="", method="GET", user="u", groups=(), **headers):
    info = request_info(method, path, query)
    return Request(method, path, query, headers, info=info, user=UserInfo(user, groups=groups))


async def ok(request):
    return text_response("ok")


async def slow(request):
    await asyncio.sleep(0.2)
    return text_response("slow")


async def missing(request):
    raise ApiError(404, "NotFound", "missing")


async def answered(handler, asked):
    """What the connection does with an answer before it writes it; errors are answered as in every chain."""
    response = await PanicRecovery(handler)(asked)
    asked.answer(response)
    return response


def run(handler, *args, **kwargs):
    return asyncio.run(_call(handler, request(*args, **kwargs)))


async def _call(handler, asked):
    return await handler(asked)


def told(handler, *args, **kwargs):
    return asyncio.run(answered(handler, request(*args, **kwargs)))


def test_a_request_that_takes_too_long_is_ended():
    with pytest.raises(ApiError, match="request did not complete within the allotted timeout") as caught:
        run(RequestDeadline(slow, maximum=0.02))
    assert (caught.value.code, caught.value.reason) == (504, "Timeout")


def test_a_client_may_ask_for_less_time_but_not_for_more():
    with pytest.raises(ApiError, match="allotted"):
        run(RequestDeadline(slow, maximum=60), query="timeout=10ms")
    with pytest.raises(ApiError, match="allotted"):
        run(RequestDeadline(slow, maximum=0.02), query="timeout=1h")
    assert run(RequestDeadline(slow, maximum=60), query="timeout=0").status == 200


def test_a_timeout_that_is_no_duration_is_refused():
    with pytest.raises(ApiError) as caught:
        run(RequestDeadline(ok, maximum=60), query="timeout=soon")
    assert caught.value.code == 400
    assert caught.value.message == 'invalid timeout specified in the request URL - time: invalid duration "soon"'


@pytest.mark.parametrize(
    ("path", "query"),
    [("/api/v1/pods", "watch=1"), ("/api/v1/namespaces/n/pods/p/log", ""), ("/debug/pprof/profile", "")],
)
def test_long_running_requests_have_no_deadline(path, query):
    assert run(RequestDeadline(slow, maximum=0.02), path, query).status == 200


def in_flight(*requests, reading=2, mutating=1, workers=1):
    async def ask_all():
        limited = MaxInFlight(ok, reading=reading, mutating=mutating, workers=workers)
        return [(await limited(one)).status for one in requests]

    return asyncio.run(ask_all())


def test_reading_and_writing_are_limited_apart():
    requests = [request(), request(), request(), request(method="POST"), request(method="POST")]
    assert in_flight(*requests) == [200, 200, 429, 200, 429]


def test_masters_and_watches_are_not_limited():
    requests = [request(), request(groups=("system:masters",)), request(query="watch=1"), request()]
    assert in_flight(*requests, reading=1) == [200, 200, 200, 429]


def test_limits_are_shared_among_workers_and_zero_is_none():
    assert in_flight(request(), request(), reading=2, workers=2) == [200, 429]
    assert in_flight(request(), request(), request(), reading=0) == [200] * 3


def test_a_refusal_says_when_to_come_again():
    async def ask():
        limited = MaxInFlight(ok, reading=1, mutating=1, workers=1)
        await limited(request())
        return await limited(request())

    response = asyncio.run(ask())
    assert (response.body, dict(response.headers)["Retry-After"]) == (
        b"Too many requests, please try again later.\n",
        "1",
    )


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_request_is_in_flight_until_it_is_over(method, whole):
    async def ask():
        limited = MaxInFlight(ok, reading=1, mutating=1, workers=1)
        first = request(method=method)
        statuses = [(await limited(one)).status for one in (first, request(method=method))]
        first.complete(whole=whole)
        first.complete(whole=True)
        return [*statuses, (await limited(request(method=method))).status], limited.running

    statuses, running = asyncio.run(ask())
    assert statuses == [200, 429, 200]
    assert sorted(running.values()) == [0, 1]


def test_what_is_sent_has_a_deadline_too():
    async def ask(query):
        asked = request(query=query)
        await RequestDeadline(ok, maximum=60)(asked)
        return asked.deadline - asyncio.get_running_loop().time()

    assert 59 < asyncio.run(ask("")) <= 60
    assert 4 < asyncio.run(ask("timeout=5s")) <= 5
    assert asyncio.run(ask("watch=1")) < 0


def test_observers_are_told_once_when_the_request_is_over():
    seen = []
    observer = Observer(ok, lambda asked, status, seconds: seen.append((asked.path, status, seconds >= 0)))

    async def ask():
        asked, cut = request(), request("/api/v1/nodes")
        asked.answer(await observer(asked))
        assert not seen
        asked.complete(whole=True)
        await observer(cut)
        cut.complete(whole=False)
        cut.complete(whole=False)

    asyncio.run(ask())
    assert seen == [("/api/v1/pods", 200, True), ("/api/v1/nodes", 500, True)]


def test_a_line_is_logged_for_each_request_while_that_is_wanted(caplog):
    caplog.set_level("INFO")

    async def ask(path):
        asked = request(path)
        asked.answer(await HTTPLogging(ok)(asked))
        asked.complete(whole=True)

    try:
        for v, path in ((2, "/quiet"), (3, "/loud\n"), (0, "/quiet")):
            REQUEST_LOG.set_verbosity(v)
            asyncio.run(ask(path))
    finally:
        REQUEST_LOG.set_verbosity(0)
    (line,) = caplog.messages
    assert line.startswith('"HTTP" verb="GET" URI="/loud\\n" latency="')
    assert line.endswith("resp=200")


def test_cors():
    allowed = CORS(missing, allowed_origins=[r"^https://a\.example$"])
    response = told(allowed, origin="https://a.example")
    assert response.status == 404
    assert dict(response.headers)["Access-Control-Allow-Origin"] == "https://a.example"
    preflight = told(allowed, origin="https://a.example", method="OPTIONS")
    assert (preflight.status, dict(preflight.headers)["Access-Control-Expose-Headers"]) == (204, "Date")
    assert told(allowed, origin="https://b.example").headers == ()


def test_hsts_is_on_errors_too():
    response = told(HSTS(missing, directives=["max-age=31536000", "includeSubDomains"]))
    assert dict(response.headers)["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


@pytest.mark.parametrize(
    ("headers", "value"), [([], "no-cache, private"), ([("Cache-Control", "public")], ""), ([("ETag", "x")], PRIVATE)]
)
def test_answers_are_not_kept_unless_they_say_so(headers, value):
    async def answer(request):
        return text_response("ok", headers=headers)

    assert told(CacheControl(answer)).cache_control == value


def test_warnings_are_told_with_errors_too():
    async def warn(request):
        request.warnings += ["a", "b", "a", ""]
        raise ApiError(404, "NotFound", "missing")

    assert told(WarningRecorder(warn)).headers == [("Warning", '299 - "a"'), ("Warning", '299 - "b"')]


@pytest.mark.parametrize(
    ("lengths", "told"),
    [
        ([4096], [4096]),
        ([4097], [256]),
        ([300] * 13, [300] * 13),
        ([300] * 14, [256] * 14),
        ([300] * 30, [256] * 16),
        ([100] * 50, [100] * 41),
        ([1] + [5000] * 20, [1] + [256] * 16),
    ],
)
def test_warnings_have_a_limit(lengths, told):
    warnings = [chr(0x100 + number) + "w" * (length - 1) for number, length in enumerate(lengths)]
    assert [len(text) for text in recorded(warnings)] == told


@pytest.mark.parametrize(
    ("path", "status", "exempt"),
    [("/api/v1/pods", 503, False), ("/readyz", 200, True), ("/livez/ping", 200, True), ("/metrics", 200, True),
     ("/readyzz", 503, False)],
)  # fmt: skip
def test_new_requests_are_refused_while_the_server_ends(path, status, exempt):
    lifecycle = Lifecycle()
    for make, refusal in ((WaitGroup, status), (RetryAfter, 200 if exempt else 429)):
        lifecycle.draining = False
        assert told(make(ok, lifecycle), path).status == 200
        lifecycle.draining = True
        response = told(make(ok, lifecycle), path)
        assert response.status == refusal
        if refusal != 200:
            assert dict(response.headers)["Retry-After"] == ("1" if make is WaitGroup else "5")


@pytest.mark.parametrize(
    ("accept", "content_type", "begins"),
    [
        ("", "application/json", b'{"kind":"Status"'),
        ("application/json", "application/json", b'{"kind":"Status"'),
        ("application/yaml", "application/yaml", b"apiVersion: v1"),
        ("application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf", b"k8s\0"),
        ("text/html, */*;q=0.1", "application/json", b'{"kind":"Status"'),
        ("text/html", "application/json", b'{\n  "kind": "Status"'),
        ("application/json;as=Table;g=meta.k8s.io;v=v1", "application/json", b'{\n  "kind": "Status"'),
        ("application/json;as=Table;g=meta.k8s.io;v=v1,application/yaml", "application/yaml", b"apiVersion: v1"),
    ],
)
def test_errors_of_filters_are_negotiated(accept, content_type, begins):
    response = told(missing, accept=accept)
    assert (response.status, response.content_type) == (404, content_type)
    assert response.body.startswith(begins)


def test_nothing_of_an_unexpected_error_leaks():
    async def broken(request):
        raise RuntimeError("secret")

    response = run(PanicRecovery(broken))
    assert response.status == 500
    assert b"secret" not in response.body
    assert run(PanicRecovery(missing)).status == 404


def test_a_path_without_a_resource():
    response = asyncio.run(_call(RequestInfoFilter(ok), Request("GET", "/api/v1/watch", "", {})))
    assert response.status == 500
    assert b"unable to determine kind and namespace" in response.body
