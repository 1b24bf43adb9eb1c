"""The filters of the front that decide by themselves, each around a small handler."""

import asyncio

import pytest
from apiserver_workers.apimachinery.errors import ApiError
from apiserver_workers.apimachinery.user import UserInfo
from apiserver_workers.server.filters.cors import CORS
from apiserver_workers.server.filters.deadline import RequestDeadline
from apiserver_workers.server.filters.hsts import HSTS
from apiserver_workers.server.filters.max_in_flight import MaxInFlight
from apiserver_workers.server.filters.panic_recovery import PanicRecovery
from apiserver_workers.server.filters.request_info import RequestInfoFilter
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


def run(handler, *args, **kwargs):
    return asyncio.run(handler(request(*args, **kwargs)))


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
        limited = MaxInFlight(slow, reading=reading, mutating=mutating, workers=workers)
        return [response.status for response in await asyncio.gather(*map(limited, requests))]

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
        limited = MaxInFlight(slow, reading=1, mutating=1, workers=1)
        return (await asyncio.gather(limited(request()), limited(request())))[1]

    response = asyncio.run(ask())
    assert (response.body, dict(response.headers)["Retry-After"]) == (
        b"Too many requests, please try again later.\n",
        "1",
    )


def test_cors():
    allowed = CORS(missing, allowed_origins=[r"^https://a\.example$"])
    response = run(allowed, origin="https://a.example")
    assert response.status == 404
    assert dict(response.headers)["Access-Control-Allow-Origin"] == "https://a.example"
    assert run(allowed, origin="https://a.example", method="OPTIONS").status == 204
    with pytest.raises(ApiError):
        run(allowed, origin="https://b.example")


def test_hsts_is_on_errors_too():
    response = run(HSTS(missing, directives=["max-age=31536000", "includeSubDomains"]))
    assert dict(response.headers)["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def test_nothing_of_an_unexpected_error_leaks():
    async def broken(request):
        raise RuntimeError("secret")

    response = run(PanicRecovery(broken))
    assert response.status == 500
    assert b"secret" not in response.body
    assert run(PanicRecovery(missing)).status == 404


def test_a_path_without_a_resource():
    response = asyncio.run(RequestInfoFilter(ok)(Request("GET", "/api/v1/watch", "", {})))
    assert response.status == 500
    assert b"unable to determine kind and namespace" in response.body
